//! POSIX message queues: `mq_open`, `mq_unlink`, `mq_timedsend`, `mq_timedreceive`, `mq_notify`, `mq_getsetattr`.
//! A descriptor is a session with the `queue` server.

use crate::server;
use crate::state::{self, FILES, Queue, install};
use crate::user;
use crate::window;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, LONG_MAX, Tag};
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::mq::{Attributes, Notification, notify_kind};
use ferrix_posix::slots::SLOT_SIZE;
use ferrix_posix::time::{from_realtime, from_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::kind;
use ferrix_proto::queue::mq::{self, create, notify};
use ferrix_proto::queue::{PRESENCE, TAKE};
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::sys::{system, utcb};
use linux_raw_sys::general::{self as linux, __kernel_timespec as timespec};

/// The name of a queue, as far as a message carries it.
fn name(address: u64) -> Result<([u8; LONG_MAX], usize)> {
    let length = user::string_length(address, mq::NAME_MAX as u64)? as usize;
    let mut bytes = [0; LONG_MAX];
    user::read_bytes(address, &mut bytes[..length])?;
    Ok((bytes, length))
}

pub fn mq_open(frame: &mut Frame) -> Result<u64> {
    let [address, flags, mode, attributes, ..] = frame.args();
    let attributes = user::read_optional::<Attributes>(attributes)?;
    let (name, length) = name(address)?;
    let (mut shape, mut options) = (0, 0);
    if flags & u64::from(linux::O_CREAT) != 0
        && let Some(asked) = attributes
    {
        // The server refuses what is out of range, if it is to make the queue.
        let part = |value: i64| u64::from(u32::try_from(value.max(0)).unwrap_or(u32::MAX));
        shape = part(asked.messages) | part(asked.size) << 32;
        options = create::WITH_ATTRIBUTES;
        if asked.flags as u64 & mq::FLAG_TOPIC != 0 {
            options |= create::TOPIC;
        }
    }
    let mode = mode & 0o777 & !u64::from(FILES.lock().umask);
    let words = [u64::from(flags as u32) | mode << 32, shape, options];
    let answer = server::ask_with(port()?, mq::OPEN, words, &name[..length])?;
    server::expect_handles(&answer, 1)?;
    // As on Linux: `exec` closes every queue.
    let session = utcb::received_handle(0).0;
    install(Descriptor::new(session, kind::QUEUE, OnExec::Close), 0)
}

/// The server's port.
pub fn port() -> Result<Handle> {
    match FILES.lock().queue.port {
        Handle::NONE => Err(Errno::ENOSYS),
        port => Ok(port),
    }
}

pub fn mq_unlink(frame: &mut Frame) -> Result<u64> {
    let (name, length) = name(frame.rdi)?;
    server::ask_with(port()?, mq::UNLINK, [0; 3], &name[..length]).map(|_| 0)
}

fn session(fd: u64) -> Result<(Handle, Descriptor)> {
    let descriptor = state::descriptor(fd)?;
    match u64::from(descriptor.kind) {
        kind::QUEUE => Ok((Handle(descriptor.handle), descriptor)),
        _ => Err(Errno::EBADF),
    }
}

/// A deadline on the wall clock.
fn until(timeout: u64) -> Result<u64> {
    let timeout = user::read_optional::<timespec>(timeout)?;
    let wall = timeout.map(from_timespec).transpose()?;
    Ok(wall.map_or(FOREVER, |wall| {
        from_realtime(wall, system::realtime_offset())
    }))
}

pub fn mq_timedsend(frame: &mut Frame) -> Result<u64> {
    let [fd, address, length, priority, timeout, _] = frame.args();
    let until = until(timeout)?;
    let priority = u64::from(priority as u32);
    if priority >= mq::PRIORITIES {
        return Err(Errno::EINVAL);
    }
    let (session, descriptor) = session(fd)?;
    be_present()?;
    if length > LONG_MAX as u64 {
        return send_large(
            fd,
            (session, &descriptor),
            (address, length),
            priority,
            until,
        );
    }
    let mut bytes = [0; LONG_MAX];
    let bytes = &mut bytes[..length as usize];
    user::read_bytes(address, bytes)?;
    utcb::put_bytes(bytes);
    let tag = Tag::new(bytes.len(), 0, 0).with(Tag::INTERRUPTIBLE);
    let head = Head::new(mq::SEND, Place::INLINE, bytes.len() as u32);
    exchange(session, tag, head, [priority, until, 0])
        .map_err(|errno| Errno::from(errno).restartable())?;
    Ok(0)
}

/// Sends through the window, whose slot is not held by who waits for room in the queue.
fn send_large(
    fd: u64,
    (session, descriptor): (Handle, &Descriptor),
    (address, length): (u64, u64),
    priority: u64,
    until: u64,
) -> Result<u64> {
    if length > SLOT_SIZE {
        // No queue takes so much; the server tells what else may be wrong.
        let head = Head::new(mq::SEND, Place::INLINE, u32::MAX);
        exchange(session, Tag::SHORT, head, [priority, until, 0])?;
        return Err(Errno::EMSGSIZE);
    }
    let window = server::server_of(fd, descriptor)?;
    let slot = window::wait_for_slot(window, session)?;
    slot.fill_from_program(0, address, length)?;
    let head = Head::new(mq::SEND, Place::WINDOW, length as u32);
    let words = [priority | mq::TRY << 32, until, slot.offset()];
    let answer = exchange(session, Tag::SHORT, head, words)?;
    drop(slot);
    if answer.value == 0 {
        return Ok(0);
    }
    // There is no room. The server has the message now, and this thread gets in line with it.
    let head = Head::new(mq::SEND, Place::INLINE, 0);
    let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
    exchange(
        session,
        tag,
        head,
        [priority | mq::DEPOSITED << 32, until, 0],
    )
    .map_err(|errno| Errno::from(errno).restartable())?;
    Ok(0)
}

pub fn mq_timedreceive(frame: &mut Frame) -> Result<u64> {
    let [fd, address, length, priority, timeout, _] = frame.args();
    let until = until(timeout)?;
    let (session, descriptor) = session(fd)?;
    be_present()?;
    let room = u32::try_from(length).unwrap_or(u32::MAX);
    let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
    let head = Head::new(mq::RECEIVE, Place::INLINE, room);
    let answer = exchange(session, tag, head, [0, until, 0])
        .map_err(|errno| Errno::from(errno).restartable())?;
    let [sent_with, number, _] = answer.words;
    let got = fetch(fd, (session, &descriptor), &answer, number, address)?;
    user::write_optional(priority, &(sent_with as u32))?;
    Ok(got)
}

/// Stores what a reply brought, or left with the server under `number`.
fn fetch(
    fd: u64,
    (session, descriptor): (Handle, &Descriptor),
    answer: &Answer,
    number: u64,
    address: u64,
) -> Result<u64> {
    if number == 0 {
        let (bytes, length) = utcb::received_bytes(answer.bytes);
        user::write_bytes(address, &bytes[..length])?;
        return Ok(length as u64);
    }
    let window = server::server_of(fd, descriptor)?;
    let slot = window::wait_for_slot(window, session)?;
    let head = Head::new(TAKE, Place::WINDOW, 0);
    let length = exchange(session, Tag::SHORT, head, [number, 0, slot.offset()])?.value;
    slot.copy_to_program(0, address, length)?;
    Ok(length)
}

pub fn mq_notify(frame: &mut Frame) -> Result<u64> {
    let [fd, event, ..] = frame.args();
    let event = user::read_optional::<Notification>(event)?;
    let (session, _) = session(fd)?;
    let (how, value) = match event {
        None => (notify::REMOVE, 0),
        Some(event) => (notify_kind(&event)?, event.value),
    };
    if how != notify::REMOVE {
        be_present()?;
    }
    let number = event.map_or(0, |event| u64::from(event.signal as u32));
    if how != notify::THREAD {
        server::ask(session, mq::NOTIFY, [how | number << 32, value, 0])?;
        return Ok(0);
    }
    // The C library reads what it gave from a socket, whose number is the signal.
    let mut cookie = [0; mq::COOKIE];
    user::read_bytes(value, &mut cookie)?;
    let socket = state::descriptor(number)?;
    utcb::put_handle(0, Handle(socket.handle), ferrix_abi::handle::Rights::SEND);
    utcb::put_bytes(&cookie);
    let head = Head::new(mq::NOTIFY, Place::INLINE, cookie.len() as u32);
    exchange(session, Tag::new(cookie.len(), 1, 0), head, [how, 0, 0])?;
    Ok(0)
}

/// Lets the server know when this process ends, whatever its children keep: it waits for nothing any more then, and what
/// it was about to receive is for others.
pub fn be_present() -> Result<()> {
    let mut files = FILES.lock();
    let queue = &mut files.queue;
    if queue.presence == Handle::NONE {
        let answer = server::ask(queue.port, PRESENCE, [0; 3])?;
        server::expect_handles(&answer, 1)?;
        queue.presence = utcb::received_handle(0);
    }
    Ok(())
}

/// In a forked child: its parent's presence is not its own.
pub fn forked(queue: &mut Queue) {
    queue.presence = Handle::NONE;
}

pub fn mq_getsetattr(frame: &mut Frame) -> Result<u64> {
    let [fd, new, old, ..] = frame.args();
    let new = user::read_optional::<Attributes>(new)?;
    let allowed = i64::from(linux::O_NONBLOCK);
    if new.is_some_and(|new| new.flags & !allowed != 0) {
        return Err(Errno::EINVAL);
    }
    let (session, _) = session(fd)?;
    let [flags, shape, now] = server::ask(session, mq::ATTRIBUTES, [0; 3])?.words;
    let before = Attributes {
        flags: flags as i64,
        messages: i64::from(shape as u32),
        size: (shape >> 32) as i64,
        now: now as i64,
        reserved: [0; 4],
    };
    if let Some(new) = new {
        let words = [new.flags as u64, 0, 0];
        server::ask(session, ferrix_proto::file::SET_FLAGS, words)?;
    }
    user::write_optional(old, &before)?;
    Ok(0)
}
