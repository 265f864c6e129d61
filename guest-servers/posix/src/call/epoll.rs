//! `epoll` and `eventfd`. The lists are the process's own (see [`ferrix_posix::pollers`]); a list's descriptor is a
//! counter of the `queue` server, which is changed when a list changes at which somebody waits.

use super::mq::port;
use super::poll::with_mask;
use crate::scratch::{self, Filled};
use crate::server;
use crate::state::{self, FILES, install};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, Tag, WaitItem, ready};
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::pollers::{DEPTH, Entry, Pollers, report};
use ferrix_posix::time::{deadline, from_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{self, kind};
use ferrix_proto::request::{Head, Place};
use ferrix_proto::socket::CREATE_COUNTER;
use ferrix_rt::client::exchange;
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::{ipc, utcb};
use linux_raw_sys::general::{self as linux, __kernel_timespec as timespec};

/// Bytes of `struct epoll_event`, which is packed.
const EVENT: u64 = 12;

fn counter(value: u64, flags: u64) -> Result<Handle> {
    let answer = server::ask(port()?, CREATE_COUNTER, [value, flags, 0])?;
    server::expect_handles(&answer, 1)?;
    Ok(utcb::received_handle(0))
}

pub fn eventfd(frame: &mut Frame) -> Result<u64> {
    make_eventfd(frame.rdi, 0)
}

pub fn eventfd2(frame: &mut Frame) -> Result<u64> {
    let [value, flags, ..] = frame.args();
    make_eventfd(value, flags)
}

fn make_eventfd(value: u64, flags: u64) -> Result<u64> {
    let known = linux::EFD_SEMAPHORE | linux::O_NONBLOCK | linux::O_CLOEXEC;
    if flags as u32 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let handle = counter(u64::from(value as u32), u64::from(flags as u32))?;
    let on_exec = OnExec::from_bit(flags, linux::O_CLOEXEC);
    install(Descriptor::new(handle.0, kind::EVENT, on_exec), 0)
}

pub fn epoll_create(frame: &mut Frame) -> Result<u64> {
    match frame.rdi as i32 {
        1.. => create(0),
        _ => Err(Errno::EINVAL),
    }
}

pub fn epoll_create1(frame: &mut Frame) -> Result<u64> {
    create(frame.rdi)
}

fn create(flags: u64) -> Result<u64> {
    if flags as u32 & !linux::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let handle = counter(1, linux::O_NONBLOCK.into())?;
    // The server knows the operation.
    let _ = server::ask(handle, file::WATCH, [0; 3]);
    let created = FILES.lock().pollers.create(handle.0);
    created.inspect_err(|_| {
        // It came just now.
        let _ = ipc::close(handle);
    })?;
    let on_exec = OnExec::from_bit(flags, linux::O_CLOEXEC);
    install(Descriptor::new(handle.0, kind::POLLER, on_exec), 0)
        .inspect_err(|_| FILES.lock().pollers.closed(handle.0))
}

fn list(fd: u64) -> Result<u32> {
    let descriptor = state::descriptor(fd)?;
    match u64::from(descriptor.kind) {
        kind::POLLER => Ok(descriptor.handle),
        _ => Err(Errno::EINVAL),
    }
}

pub fn epoll_ctl(frame: &mut Frame) -> Result<u64> {
    let [epfd, operation, fd, event, ..] = frame.args();
    let operation = operation as u32;
    let removes = operation == linux::EPOLL_CTL_DEL;
    let (events, data) = match removes {
        true => (0, 0),
        false => (user::read::<u32>(event)?, user::read::<u64>(event + 4)?),
    };
    let descriptor = state::descriptor(epfd).and_then(|_| state::descriptor(fd))?;
    let list = list(epfd)?;
    if list == descriptor.handle {
        return Err(Errno::EINVAL);
    }
    if matches!(u64::from(descriptor.kind), kind::REGULAR | kind::DIRECTORY) {
        return Err(Errno::EPERM);
    }
    let entry = Entry {
        list,
        fd: fd as u32,
        handle: descriptor.handle,
        events,
        data,
        ..Entry::default()
    };
    if entry.is_edge() {
        // Who does not know the operation tells of changes only.
        let _ = server::ask(Handle(descriptor.handle), file::WATCH, [0; 3]);
    }
    let waiters = {
        let pollers = &mut FILES.lock().pollers;
        match operation {
            linux::EPOLL_CTL_ADD => pollers.add(entry)?,
            linux::EPOLL_CTL_MOD => pollers.modify(entry)?,
            linux::EPOLL_CTL_DEL => pollers.remove(list, entry.fd, entry.handle)?,
            _ => return Err(Errno::EINVAL),
        }
        pollers.has_waiters()
    };
    if waiters && !removes {
        wake(Handle(list));
    }
    Ok(0)
}

/// Threads that wait at a list look at it again.
fn wake(list: Handle) {
    let length = utcb::put_bytes(&1u64.to_le_bytes());
    let head = Head::new(file::WRITE, Place::INLINE, length as u32);
    let words = [file::position::CURRENT, 0, 0];
    // It is a counter far from its end.
    let _ = exchange(list, Tag::new(length, 0, 0), head, words);
}

fn item(entry: &Entry) -> WaitItem {
    let edge = if entry.waits_for_events() {
        ready::EDGE
    } else {
        0
    };
    WaitItem {
        handle: entry.handle,
        want: super::poll::wanted(entry.wanted()) | edge,
        events: entry.seen,
        ready: 0,
    }
}

/// Names what a list waits for, and the lists in it, until `add` takes no more; whether it took everything.
pub fn add_items(
    pollers: &Pollers,
    list: u32,
    add: &mut impl FnMut(WaitItem) -> bool,
    depth: usize,
) -> bool {
    pollers.of(list).all(|entry| {
        if !pollers.is_list(entry.handle) {
            return add(item(entry));
        }
        let waits = depth > 0 && entry.wanted() & linux::POLLIN != 0;
        !waits || add_items(pollers, entry.handle, add, depth - 1)
    })
}

/// How many items [`add_items`] would add.
pub fn count_items(list: u32) -> usize {
    let mut count = 0;
    let mut add = |_| {
        count += 1;
        true
    };
    add_items(&FILES.lock().pollers, list, &mut add, DEPTH);
    count
}

/// Whether a list has something to report.
pub fn is_ready(list: u32) -> Result<bool> {
    scratch::with(count_items(list), |room| {
        let mut items = Filled::new(room);
        // What was added just now is ready for the next who asks.
        add_items(
            &FILES.lock().pollers,
            list,
            &mut |item| items.push(item),
            DEPTH,
        );
        let items = items.all();
        Ok(!items.is_empty() && ipc::wait_many(items, 0)? > 0)
    })
}

/// Stores what is ready; how many.
fn collect(list: u32, items: &[WaitItem], place: u64, most: usize) -> Result<usize> {
    let (mut count, mut from) = (0, 0);
    while count < most {
        let found = FILES.lock().pollers.next(list, from);
        let Some((next, entry)) = found else {
            break;
        };
        from = next;
        let entry = &entry;
        let nested = FILES.lock().pollers.is_list(entry.handle);
        let found = items
            .iter()
            .find(|item| **item == item_with_result(entry, item));
        let (bits, seen) = match found {
            // What has been closed meanwhile is not ready.
            _ if nested && is_ready(entry.handle) == Ok(true) => (linux::POLLIN, 0),
            Some(item) => (item.ready, item.events),
            None => (0, 0),
        };
        let bits = report(entry, bits);
        if bits == 0 {
            continue;
        }
        let at = place + count as u64 * EVENT;
        let stored = user::write(at, &bits).and_then(|()| user::write(at + 4, &entry.data));
        match stored {
            Err(_) if count > 0 => break,
            stored => stored?,
        }
        FILES.lock().pollers.reported(entry, seen);
        count += 1;
    }
    Ok(count)
}

/// What the item of an entry looks like with the kernel's word in it.
fn item_with_result(entry: &Entry, result: &WaitItem) -> WaitItem {
    WaitItem {
        ready: result.ready,
        events: result.events,
        ..item(entry)
    }
}

fn wait(list: u32, place: u64, most: u64, until: u64) -> Result<u64> {
    let most = match most as i32 {
        count @ 1.. => count as usize,
        _ => return Err(Errno::EINVAL),
    };
    user::check(place, most as u64 * EVENT)?;
    loop {
        // The list itself is waited for too.
        let waited = scratch::with(count_items(list) + 1, |room| {
            wait_once(list, (place, most), until, Filled::new(room))
        });
        if let Some(count) = waited? {
            return Ok(count);
        }
    }
}

/// Waits once; nothing when the list has changed meanwhile, or what woke was not to be reported.
fn wait_once(
    list: u32,
    (place, most): (u64, usize),
    until: u64,
    mut items: Filled<WaitItem>,
) -> Result<Option<u64>> {
    let seen = {
        let pollers = &mut FILES.lock().pollers;
        if !add_items(pollers, list, &mut |item| items.push(item), DEPTH) {
            return Ok(None);
        }
        pollers.begin_wait(list)
    };
    let own = WaitItem {
        handle: list,
        want: ready::READABLE | ready::EDGE,
        events: seen,
        ready: 0,
    };
    let woken = match items.push(own) {
        true => ipc::wait_many(items.all(), until)
            .map_err(Errno::from)
            .map(Some),
        false => Ok(None),
    };
    let (own, items) = match items.all() {
        [items @ .., own] if own.handle == list => (own.events, &*items),
        items => (seen, &*items),
    };
    let still_open = {
        let pollers = &mut FILES.lock().pollers;
        pollers.end_wait(list, own);
        pollers.is_list(list)
    };
    let woken = match woken {
        Ok(Some(woken)) => woken,
        // Another thread has added to the list, or closed what was waited for.
        Ok(None) => return Ok(None),
        Err(Errno::EBADF) if still_open => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let count = collect(list, items, place, most)?;
    Ok((count > 0 || woken == 0).then_some(count as u64))
}

fn until_ms(timeout: u64) -> u64 {
    match timeout as i32 {
        ms if ms < 0 => FOREVER,
        0 => 0,
        ms => deadline(monotonic_ns(), ms as u64 * 1_000_000),
    }
}

pub fn epoll_wait(frame: &mut Frame) -> Result<u64> {
    let [epfd, place, most, timeout, ..] = frame.args();
    wait(list(epfd)?, place, most, until_ms(timeout))
}

pub fn epoll_pwait(frame: &mut Frame) -> Result<u64> {
    let [epfd, place, most, timeout, mask, _] = frame.args();
    let list = list(epfd)?;
    let mask = user::read_optional::<u64>(mask)?;
    with_mask(mask, || wait(list, place, most, until_ms(timeout)))
}

pub fn epoll_pwait2(frame: &mut Frame) -> Result<u64> {
    let [epfd, place, most, timeout, mask, _] = frame.args();
    let list = list(epfd)?;
    let limit = user::read_optional::<timespec>(timeout)?;
    let until = match limit.map(from_timespec).transpose()? {
        None => FOREVER,
        Some(0) => 0,
        Some(limit) => deadline(monotonic_ns(), limit),
    };
    let mask = user::read_optional::<u64>(mask)?;
    with_mask(mask, || wait(list, place, most, until))
}
