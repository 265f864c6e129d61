//! Receiving: from ports, from a thread's own queue, with and without waiting.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag};
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("nothing_there", nothing_there),
    ("timeout", timeout),
    ("own_queue", own_queue),
    ("only_from_one_thread", only_from_one_thread),
    ("gone_thread", gone_thread),
    ("many_receivers", many_receivers),
    ("first_come_first_served", first_come_first_served),
    ("closed_port", closed_port),
];

fn nothing_there() -> Outcome {
    let port = ipc::port_create()?;
    let tag = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(port, tag), Error::WouldBlock)?;
    fails(ipc::receive(Handle::NONE, tag), Error::WouldBlock)
}

fn timeout() -> Outcome {
    let port = ipc::port_create()?;
    for wait_ms in [0, 4] {
        for from in [port, Handle::NONE] {
            let deadline = after_ms(wait_ms);
            utcb::set_deadline(deadline);
            let tag = Tag::SHORT.with(Tag::TIMEOUT);
            fails(ipc::receive(from, tag), Error::TimedOut)?;
            holds(clock::monotonic_ns() >= deadline, "the time has passed")?;
        }
    }
    Ok(())
}

fn own_queue() -> Outcome {
    let other = start_thread(|| {
        let call = ipc::receive(Handle::NONE, Tag::SHORT)?;
        equal((call.kind, call.badge), (Kind::CALL, 0))?;
        equal(call.words, [4, 3, 2, 1])?;
        ipc::reply(call.token, Tag::SHORT, [7; 4])?;
        let sent = ipc::receive(Handle::NONE, Tag::SHORT)?;
        equal((sent.kind, sent.words[0]), (Kind::SEND, 9))
    })?;
    let reply = ipc::call_thread(other.tid, Tag::SHORT, [4, 3, 2, 1])?;
    equal(reply.words, [7; 4])?;
    ipc::send_thread(other.tid, Tag::SHORT, [9, 0, 0, 0])?;
    other.join()
}

/// A message of somebody else waits until it is asked for.
fn only_from_one_thread() -> Outcome {
    let me = utcb::tid();
    let first = spawn(|| Ok(ipc::send_thread(me, Tag::SHORT, [1, 0, 0, 0])?))?;
    until_asleep(first)?;
    let wanted = start_thread(move || Ok(ipc::send_thread(me, Tag::SHORT, [2, 0, 0, 0])?))?;
    let sent = ipc::receive_from(wanted.tid, Tag::SHORT)?;
    equal(sent.words[0], 2)?;
    wanted.join()?;
    let sent = ipc::receive(Handle::NONE, Tag::SHORT)?;
    equal((sent.words[0], sent.pid), (1, first))?;
    succeeded(first)
}

fn gone_thread() -> Outcome {
    let gone = start_thread(|| Ok(()))?;
    let tid = gone.tid;
    gone.join()?;
    for tid in [tid, 0, u32::MAX] {
        fails(
            ipc::call_thread(tid, Tag::SHORT, [0; 4]),
            Error::NoSuchProcess,
        )?;
    }
    // Who waits for a thread when it ends hears of it.
    let ends = start_thread(|| {
        sleep_ms(20);
        Ok(())
    })?;
    fails(
        ipc::call_thread(ends.tid, Tag::SHORT, [0; 4]),
        Error::NoSuchProcess,
    )?;
    ends.join()
}

/// Each message goes to one of them.
fn many_receivers() -> Outcome {
    const RECEIVERS: usize = 4;
    let port = ipc::port_create()?;
    static SUM: AtomicU32 = AtomicU32::new(0);
    let receivers: [_; RECEIVERS] = core::array::from_fn(|_| {
        start_thread(move || {
            let call = ipc::receive(port, Tag::SHORT)?;
            SUM.fetch_add(call.words[0] as u32, SeqCst);
            Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
        })
    });
    for number in 1..=RECEIVERS as u64 {
        ipc::call(port, Tag::SHORT, [number, 0, 0, 0])?;
    }
    for receiver in receivers {
        receiver?.join()?;
    }
    equal(SUM.load(SeqCst), 10)
}

fn first_come_first_served() -> Outcome {
    let port = ipc::port_create()?;
    let mut senders = [0; 5];
    for (number, sender) in senders.iter_mut().enumerate() {
        *sender = spawn(|| Ok(ipc::send(port, Tag::SHORT, [number as u64, 0, 0, 0])?))?;
        until_asleep(*sender)?;
    }
    for (number, sender) in senders.into_iter().enumerate() {
        let sent = ipc::receive(port, Tag::SHORT)?;
        equal((sent.words[0], sent.pid), (number as u64, sender))?;
        succeeded(sender)?;
    }
    Ok(())
}

fn closed_port() -> Outcome {
    let port = ipc::port_create()?;
    let sender = ipc::duplicate(port, Rights::SEND)?;
    ipc::close(port)?;
    fails(ipc::receive(port, Tag::SHORT), Error::BadHandle)?;
    fails(ipc::receive(sender, Tag::SHORT), Error::BadHandle)?;
    Ok(ipc::close(sender)?)
}
