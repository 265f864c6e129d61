//! Calls, sends and replies; LONG bytes; what becomes of them when a side dies or gives up.

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, LONG_MAX, Tag};
use ferrix_abi::signal::number::{SIGKILL, SIGUSR1};
use ferrix_abi::signal::{Disposition, SignalInfo};
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, signal, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("short_call", short_call),
    ("long_call_of_every_size", long_call_of_every_size),
    ("too_much_is_refused", too_much_is_refused),
    ("send_awaits_no_reply", send_awaits_no_reply),
    ("one_reply_to_a_call", one_reply_to_a_call),
    ("reply_to_a_dead_caller", reply_to_a_dead_caller),
    ("death_of_the_server", death_of_the_server),
    ("death_of_the_port", death_of_the_port),
    ("non_blocking_call", non_blocking_call),
    ("timeout_before_receipt", timeout_before_receipt),
    ("timeout_after_receipt", timeout_after_receipt),
    ("signal_before_receipt", signal_before_receipt),
    ("signal_after_receipt", signal_after_receipt),
    ("cancel_stays_at_its_port", cancel_stays_at_its_port),
    ("a_silent_server", a_silent_server),
];

fn short_call() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let reply = ipc::call(port, Tag::SHORT, [1, 2, 3, u64::MAX])?;
        equal((reply.tag, reply.words), (Tag::SHORT, [10, 20, 30, 40]))?;
        let reply = ipc::call(port, Tag::SHORT, [5, 0, 0, 0])?;
        equal(reply.words[0], 50)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    equal((call.kind, call.badge, call.pid), (Kind::CALL, 0, pid))?;
    equal((call.tag, call.words), (Tag::SHORT, [1, 2, 3, u64::MAX]))?;
    let call = ipc::reply_receive(port, call.token, Tag::SHORT, [10, 20, 30, 40])?;
    equal(call.words[0], 5)?;
    ipc::reply(call.token, Tag::SHORT, [50, 0, 0, 0])?;
    succeeded(pid)
}

/// Every size there, and another back.
fn long_call_of_every_size() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        for size in 0..=LONG_MAX {
            utcb::put_bytes(&pattern(size as u8));
            let reply = ipc::call(port, Tag::new(size, 0, 0), [0; 4])?;
            bytes_are(reply.tag, LONG_MAX - size, !size as u8)?;
        }
        Ok(())
    })?;
    for size in 0..=LONG_MAX {
        let call = ipc::receive(port, Tag::SHORT)?;
        bytes_are(call.tag, size, size as u8)?;
        utcb::put_bytes(&pattern(!size as u8));
        ipc::reply(call.token, Tag::new(LONG_MAX - size, 0, 0), [0; 4])?;
    }
    succeeded(pid)
}

fn pattern(start: u8) -> [u8; LONG_MAX] {
    core::array::from_fn(|index| start.wrapping_mul(7).wrapping_add(index as u8))
}

#[track_caller]
fn bytes_are(tag: Tag, size: usize, start: u8) -> Outcome {
    equal(tag, Tag::new(size, 0, 0))?;
    let (bytes, length) = utcb::received_bytes(tag.bytes());
    equal(&bytes[..length], &pattern(start)[..size])
}

/// Whether the receiver waits already or comes later, the sender gets the error.
fn too_much_is_refused() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        equal(call.words[0], 7)?;
        Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
    })?;
    for _ in 0..2 {
        for tag in [
            Tag::new(LONG_MAX + 1, 0, 0),
            Tag::new(0, 5, 0),
            Tag::new(0, 0, 5),
        ] {
            fails(ipc::call(port, tag, [0; 4]), Error::TooBig)?;
        }
        until_asleep(pid)?;
    }
    ipc::call(port, Tag::SHORT, [7, 0, 0, 0])?;
    succeeded(pid)
}

fn send_awaits_no_reply() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        utcb::put_bytes(b"bytes");
        ipc::send(port, Tag::new(5, 0, 0), [1, 2, 3, 4])?;
        Ok(())
    })?;
    let sent = ipc::receive(port, Tag::SHORT)?;
    equal((sent.kind, sent.pid, sent.token), (Kind::SEND, pid, 0))?;
    equal((sent.tag.bytes(), sent.words), (5, [1, 2, 3, 4]))?;
    let (bytes, _) = utcb::received_bytes(5);
    equal(&bytes[..5], b"bytes".as_slice())?;
    succeeded(pid)
}

fn one_reply_to_a_call() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        ipc::call(port, Tag::SHORT, [0; 4])?;
        ipc::call(port, Tag::SHORT, [0; 4])?;
        Ok(())
    })?;
    let first = ipc::receive(port, Tag::SHORT)?;
    for wrong in [0, 1, first.token ^ 1, first.token + (1 << 32), u64::MAX] {
        fails(ipc::reply(wrong, Tag::SHORT, [0; 4]), Error::NoSuchProcess)?;
    }
    ipc::reply(first.token, Tag::SHORT, [0; 4])?;
    let second = ipc::receive(port, Tag::SHORT)?;
    fails(
        ipc::reply(first.token, Tag::SHORT, [0; 4]),
        Error::NoSuchProcess,
    )?;
    ipc::reply(second.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)
}

/// Neither kind of reply arrives, and `ReplyReceive` does not receive.
fn reply_to_a_dead_caller() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| Ok(ipc::call(port, Tag::SHORT, [0; 4]).map(drop)?))?;
    let call = ipc::receive(port, Tag::SHORT)?;
    kill(pid as i32, SIGKILL)?;
    equal(status_of(pid)?, SIGKILL)?;
    fails(
        ipc::reply(call.token, Tag::SHORT, [0; 4]),
        Error::NoSuchProcess,
    )?;
    let waiting = spawn(|| Ok(ipc::send(port, Tag::SHORT, [8, 0, 0, 0])?))?;
    until_asleep(waiting)?;
    fails(
        ipc::reply_receive(port, call.token, Tag::SHORT, [0; 4]),
        Error::NoSuchProcess,
    )?;
    equal(ipc::receive(port, Tag::SHORT)?.words[0], 8)?;
    succeeded(waiting)
}

fn death_of_the_server() -> Outcome {
    let port = ipc::port_create()?;
    let server = spawn(|| {
        let session = ipc::session_create(port, 5, 0)?;
        let call = ipc::receive(port, Tag::SHORT)?;
        utcb::move_handle(0, session, Rights::SEND | Rights::DUP);
        ipc::reply_receive(port, call.token, Tag::new(0, 1, 0), [0; 4])?;
        Ok(())
    })?;
    let reply = ipc::call(port, Tag::SHORT, [0; 4])?;
    equal(reply.tag.handles(), 1)?;
    let session = utcb::received_handle(0);
    fails(ipc::call(session, Tag::SHORT, [0; 4]), Error::BrokenPipe)?;
    succeeded(server)?;
    fails(ipc::call(session, Tag::SHORT, [0; 4]), Error::Stale)?;
    fails(ipc::send(session, Tag::SHORT, [0; 4]), Error::Stale)?;
    fails(ipc::port_id(session), Error::Stale)?;
    Ok(ipc::close(session)?)
}

/// Who waits to be received hears of the end of the last handle that could receive.
fn death_of_the_port() -> Outcome {
    let port = ipc::port_create()?;
    let sender = ipc::duplicate(port, Rights::SEND)?;
    let other =
        start_thread(move || fails(ipc::call(sender, Tag::SHORT, [0; 4]), Error::BrokenPipe))?;
    sleep_ms(5);
    ipc::close(port)?;
    other.join()?;
    fails(ipc::call(sender, Tag::SHORT, [0; 4]), Error::BrokenPipe)?;
    fails(ipc::send(sender, Tag::SHORT, [0; 4]), Error::BrokenPipe)?;
    Ok(ipc::close(sender)?)
}

fn non_blocking_call() -> Outcome {
    let port = ipc::port_create()?;
    let tag = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::call(port, tag, [0; 4]), Error::WouldBlock)?;
    fails(ipc::send(port, tag, [0; 4]), Error::WouldBlock)?;
    let server = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        Ok(ipc::reply(call.token, Tag::SHORT, [3, 0, 0, 0])?)
    })?;
    until_asleep(server)?;
    equal(ipc::call(port, tag, [0; 4])?.words[0], 3)?;
    succeeded(server)
}

fn timeout_before_receipt() -> Outcome {
    let port = ipc::port_create()?;
    let tag = Tag::SHORT.with(Tag::TIMEOUT);
    for wait_ms in [0, 4] {
        let deadline = after_ms(wait_ms);
        utcb::set_deadline(deadline);
        fails(ipc::call(port, tag, [0; 4]), Error::TimedOut)?;
        holds(clock::monotonic_ns() >= deadline, "the time has passed")?;
        fails(ipc::send(port, tag, [0; 4]), Error::TimedOut)?;
    }
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(port, none), Error::WouldBlock)
}

/// The server is told, and the caller gets `TimedOut` whatever it replies.
fn timeout_after_receipt() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        utcb::set_deadline(after_ms(30));
        let tag = Tag::SHORT.with(Tag::TIMEOUT);
        fails(ipc::call(port, tag, [2; 4]), Error::TimedOut)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let cancel = ipc::receive(port, Tag::SHORT)?;
    equal((cancel.kind, cancel.token), (Kind::CANCEL, call.token))?;
    fails(
        ipc::reply(call.token, Tag::SHORT, [55; 4]),
        Error::NoSuchProcess,
    )?;
    succeeded(pid)
}

fn signal_before_receipt() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        signal::set_action(SIGUSR1, Disposition::Catch)?;
        let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
        fails(ipc::call(port, tag, [1; 4]), Error::Interrupted)?;
        equal(some(signal::take()?)?.0.signo, SIGUSR1)?;
        fails(ipc::receive(Handle::NONE, tag), Error::Interrupted)?;
        equal(some(signal::take()?)?.0.signo, SIGUSR1)
    })?;
    for _ in 0..2 {
        until_asleep(pid)?;
        kill(pid as i32, SIGUSR1)?;
        sleep_ms(5);
    }
    succeeded(pid)
}

/// The server decides; a caller that is not `INTERRUPTIBLE` is left alone.
fn signal_after_receipt() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        signal::set_action(SIGUSR1, Disposition::Catch)?;
        let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
        equal(ipc::call(port, tag, [1; 4])?.words[0], 55)?;
        equal(some(signal::take()?)?.0.signo, SIGUSR1)?;
        equal(ipc::call(port, Tag::SHORT, [2; 4])?.words[0], 66)?;
        equal(some(signal::take()?)?.0.signo, SIGUSR1)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    kill(pid as i32, SIGUSR1)?;
    let cancel = ipc::receive(port, Tag::SHORT)?;
    equal(
        (cancel.kind, cancel.token, cancel.pid),
        (Kind::CANCEL, call.token, pid),
    )?;
    ipc::reply(call.token, Tag::SHORT, [55; 4])?;
    let call = ipc::receive(port, Tag::SHORT)?;
    kill(pid as i32, SIGUSR1)?;
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(port, none), Error::WouldBlock)?;
    ipc::reply(call.token, Tag::SHORT, [66; 4])?;
    succeeded(pid)
}

/// The port at which a call was received is gone, and the next one may have its memory: nobody there hears of the caller's
/// signal.
fn cancel_stays_at_its_port() -> Outcome {
    let (port, other) = (ipc::port_create()?, ipc::port_create()?);
    let sender = ipc::duplicate(port, Rights::SEND | Rights::DUP)?;
    let pid = spawn(|| {
        ipc::close(port)?;
        signal::set_action(SIGUSR1, Disposition::Catch)?;
        let closer = start_thread(move || {
            ipc::call(other, Tag::SHORT, [0; 4])?;
            ipc::close(sender)?;
            ipc::call(other, Tag::SHORT, [0; 4])?;
            Ok(())
        })?;
        let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
        equal(ipc::call(sender, tag, [1; 4])?.words[0], 55)?;
        equal(some(signal::take()?)?.0.signo, SIGUSR1)?;
        closer.join()
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let ready = ipc::receive(other, Tag::SHORT)?;
    ipc::close(port)?;
    ipc::close(sender)?;
    let closed = ipc::reply_receive(other, ready.token, Tag::SHORT, [0; 4])?;
    let next = ipc::port_create()?;
    let info = SignalInfo {
        signo: SIGUSR1,
        ..Default::default()
    };
    signal::send(signal::Target::Thread, pid as i32, &info)?;
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(next, none), Error::WouldBlock)?;
    ipc::reply(call.token, Tag::SHORT, [55; 4])?;
    ipc::reply(closed.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)?;
    ipc::close(next)?;
    Ok(ipc::close(other)?)
}

/// A server that never replies delays its own clients only, and they can be killed.
fn a_silent_server() -> Outcome {
    let (silent, port) = (ipc::port_create()?, ipc::port_create()?);
    let waiting = spawn(|| Ok(ipc::call(silent, Tag::SHORT, [1; 4]).map(drop)?))?;
    let unanswered = ipc::receive(silent, Tag::SHORT)?;
    let server = spawn(|| {
        let mut call = ipc::receive(port, Tag::SHORT)?;
        loop {
            call = ipc::reply_receive(port, call.token, Tag::SHORT, call.words)?;
        }
    })?;
    for number in 0..100 {
        let reply = ipc::call(port, Tag::SHORT, [number; 4])?;
        equal(reply.words, [number; 4])?;
    }
    until_asleep(waiting)?;
    for pid in [waiting, server] {
        kill(pid as i32, SIGKILL)?;
        equal(status_of(pid)?, SIGKILL)?;
    }
    fails(
        ipc::reply(unanswered.token, Tag::SHORT, [0; 4]),
        Error::NoSuchProcess,
    )?;
    ipc::close(silent)?;
    Ok(ipc::close(port)?)
}
