//! Sessions: badges, readiness, their end.

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{FOREVER, Kind, Tag, WaitItem, ready};
use ferrix_abi::signal::Disposition;
use ferrix_abi::signal::number::SIGUSR1;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, signal, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("badges", badges),
    ("close_is_told_once", close_is_told_once),
    ("close_by_death", close_by_death),
    ("badge_of_a_handle", badge_of_a_handle),
    ("readiness", readiness),
    ("readiness_wakes", readiness_wakes),
    ("one_of_many", one_of_many),
    ("stale_session", stale_session),
    ("wait_ends_by_signal", wait_ends_by_signal),
];

const NONE: Tag = Tag::SHORT.with(Tag::NON_BLOCKING);

fn badges() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 77, 0)?;
    let last = ipc::session_create(port, u32::MAX, 0)?;
    fails(ipc::session_create(port, 77, 0), Error::Exists)?;
    let other = ipc::port_create()?;
    ipc::session_create(other, 77, 0)?;
    equal(ipc::port_id(session)?, ipc::port_id(port)?)?;
    holds(ipc::port_id(other)? != ipc::port_id(port)?, "ids differ")?;
    let pid = spawn(|| {
        ipc::send(session, Tag::SHORT, [0; 4])?;
        Ok(ipc::send(last, Tag::SHORT, [0; 4])?)
    })?;
    for badge in [77, u32::MAX] {
        let sent = ipc::receive(port, Tag::SHORT)?;
        equal((sent.kind, sent.badge, sent.pid), (Kind::SEND, badge, pid))?;
    }
    succeeded(pid)
}

/// When the last of its handles goes; then the badge is free.
fn close_is_told_once() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 3, 0)?;
    let second = ipc::duplicate(session, Rights::SEND)?;
    ipc::close(session)?;
    fails(ipc::receive(port, NONE), Error::WouldBlock)?;
    ipc::close(second)?;
    let event = ipc::receive(port, Tag::SHORT)?;
    equal((event.kind, event.badge), (Kind::SESSION_CLOSED, 3))?;
    fails(ipc::receive(port, NONE), Error::WouldBlock)?;
    ipc::session_create(port, 3, 0)?;
    fails(ipc::session_signal(port, 4, 1, 0), Error::NotFound)
}

fn close_by_death() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 4, 0)?;
    let pid = spawn(|| after_a_while(10))?;
    ipc::close(session)?;
    let event = ipc::receive(port, Tag::SHORT)?;
    equal((event.kind, event.badge), (Kind::SESSION_CLOSED, 4))?;
    succeeded(pid)
}

fn badge_of_a_handle() -> Outcome {
    let (port, other) = (ipc::port_create()?, ipc::port_create()?);
    let session = ipc::session_create(port, 1234, 0)?;
    equal(ipc::session_badge(port, session)?, 1234)?;
    fails(ipc::session_badge(other, session), Error::Invalid)?;
    fails(ipc::session_badge(port, port), Error::BadHandle)
}

fn item(session: Handle, want: u32) -> WaitItem {
    WaitItem {
        handle: session.0,
        want,
        ..Default::default()
    }
}

/// The bits that a look without waiting finds.
fn look(session: Handle, want: u32) -> Result<u32, Failure> {
    let mut items = [item(session, want)];
    let count = ipc::wait_many(&mut items, 0)?;
    equal(count, usize::from(items[0].ready != 0))?;
    Ok(items[0].ready)
}

fn readiness() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 1, ready::READABLE)?;
    equal(look(session, ready::READABLE | ready::WRITABLE)?, 1)?;
    equal(look(session, ready::WRITABLE)?, 0)?;
    ipc::session_signal(port, 1, ready::WRITABLE, ready::READABLE)?;
    equal(
        look(session, ready::READABLE | ready::WRITABLE)?,
        ready::WRITABLE,
    )?;
    ipc::session_signal(port, 1, ready::HANG_UP, u32::MAX)?;
    equal(look(session, ready::WRITABLE)?, ready::HANG_UP)?;
    let deadline = after_ms(4);
    let mut items = [item(session, 0)];
    ipc::session_signal(port, 1, 0, ready::HANG_UP)?;
    equal(ipc::wait_many(&mut items, deadline)?, 0)?;
    holds(clock::monotonic_ns() >= deadline, "the time has passed")?;
    equal(ipc::wait_many(&mut [], after_ms(2))?, 0)
}

fn readiness_wakes() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 1, 0)?;
    let pid = spawn(|| {
        let mut items = [item(session, ready::READABLE)];
        equal(ipc::wait_many(&mut items, FOREVER)?, 1)?;
        equal(items[0].ready, ready::READABLE)?;
        let mut items = [item(session, ready::PRIORITY)];
        equal(ipc::wait_many(&mut items, FOREVER)?, 1)?;
        equal(items[0].ready, ready::ERROR)
    })?;
    until_asleep(pid)?;
    ipc::session_signal(port, 1, ready::WRITABLE, 0)?;
    until_asleep(pid)?;
    ipc::session_signal(port, 1, ready::READABLE, 0)?;
    sleep_ms(2);
    until_asleep(pid)?;
    ipc::session_signal(port, 1, ready::ERROR, 0)?;
    succeeded(pid)
}

fn one_of_many() -> Outcome {
    const COUNT: u32 = 20;
    let port = ipc::port_create()?;
    let mut items = [WaitItem::default(); COUNT as usize];
    for (badge, one) in (0..COUNT).zip(&mut items) {
        *one = item(ipc::session_create(port, badge, 0)?, ready::READABLE);
    }
    // Sessions are their maker's: it signals them, a thread of it.
    let other = start_thread(move || {
        sleep_ms(5);
        Ok(ipc::session_signal(port, 13, ready::READABLE, 0)?)
    })?;
    equal(ipc::wait_many(&mut items, FOREVER)?, 1)?;
    equal(items[13].ready, ready::READABLE)?;
    equal(items.iter().filter(|item| item.ready != 0).count(), 1)?;
    other.join()
}

fn stale_session() -> Outcome {
    let port = ipc::port_create()?;
    let maker = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        utcb::move_handle(0, ipc::session_create(port, 6, 0)?, Rights::all());
        ipc::reply(call.token, Tag::new(0, 1, 0), [0; 4])?;
        after_a_while(10)
    })?;
    ipc::call(port, Tag::SHORT, [0; 4])?;
    let session = utcb::received_handle(0);
    // It becomes stale while this waits.
    let mut items = [item(session, ready::READABLE)];
    equal(ipc::wait_many(&mut items, FOREVER)?, 1)?;
    equal(items[0].ready, ready::ERROR | ready::HANG_UP)?;
    succeeded(maker)?;
    equal(look(session, 0)?, ready::ERROR | ready::HANG_UP)?;
    fails(ipc::call(session, Tag::SHORT, [0; 4]), Error::Stale)?;
    fails(ipc::receive(port, NONE), Error::WouldBlock)?;
    ipc::session_create(port, 6, 0)?;
    Ok(())
}

fn wait_ends_by_signal() -> Outcome {
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 1, 0)?;
    let pid = spawn(|| {
        signal::set_action(SIGUSR1, Disposition::Catch)?;
        let mut items = [item(session, ready::READABLE)];
        fails(ipc::wait_many(&mut items, FOREVER), Error::Interrupted)
    })?;
    until_asleep(pid)?;
    kill(pid as i32, SIGUSR1)?;
    succeeded(pid)
}
