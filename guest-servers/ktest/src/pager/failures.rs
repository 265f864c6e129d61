//! Pagers that fail, die or are stuck; who may act as one; the end of use.

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HandleItem, Kind, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::{SIGBUS, SIGKILL};
use ferrix_abi::vm::MapFlags;
use ferrix_rt::sys::{ipc, memory, utcb};

use super::object::{BADGE, Paged, RW, content, map, supply};
use super::touch;
use crate::support::*;

pub fn a_failed_page() -> Outcome {
    let paged = Paged::new(1)?;
    let pid = spawn(|| touch(paged, 0))?;
    paged.request()?;
    memory::fail(paged.object, 0, 1)?;
    equal(status_of(pid)?, SIGBUS)?;
    let pid = spawn(|| {
        equal(paged.share()?.read(0), content(0))?;
        paged.finish()
    })?;
    paged.serve(1)?;
    succeeded(pid)
}

/// A process that makes an object, hands it over and answers no request.
fn silent_pager(port: Handle) -> Result<(u32, Handle), Failure> {
    let pid = spawn(|| {
        let paged = Paged::new(4)?;
        paged.supply(0, 1)?;
        let handle = paged.client_handle()?;
        put_handle(HandleItem {
            handle: handle.0,
            rights: (Rights::READ | Rights::WRITE).bits(),
        });
        ipc::call(port, Tag::new(0, 1, 0), [0; 4])?;
        Ok(())
    })?;
    ipc::receive(port, Tag::SHORT)?;
    Ok((pid, received_handle()))
}

pub fn a_dead_pager() -> Outcome {
    let (pager, object) = silent_pager(ipc::port_create()?)?;
    let mut clients = [0; 4];
    for (number, client) in clients.iter_mut().enumerate() {
        *client = spawn(|| {
            let pages = map(object, 4, RW, MapFlags::empty())?;
            equal(pages.read(0), content(0))?;
            pages.read(1 + number as u64 / 2);
            Ok(())
        })?;
        until_asleep(*client)?;
    }
    kill(pager as i32, SIGKILL)?;
    equal(status_of(pager)?, SIGKILL)?;
    for client in clients {
        equal(status_of(client)?, SIGBUS)?;
    }
    // What is there stays; what is not never comes.
    let pages = map(object, 4, RW, MapFlags::empty())?;
    equal(pages.read(0), content(0))?;
    let pid = spawn(|| {
        pages.read(1);
        Ok(())
    })?;
    equal(status_of(pid)?, SIGBUS)
}

pub fn a_closed_port() -> Outcome {
    let paged = Paged::new(1)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        ipc::close(paged.port)?;
        pages.read(0);
        Ok(())
    })?;
    paged.request()?;
    ipc::close(paged.port)?;
    equal(status_of(pid)?, SIGBUS)
}

/// How long the kernel waits for a stuck pager. Who supplies in time must be able to on a host with much else to do.
const TIMEOUT_NS: u64 = 500_000_000;

pub fn a_stuck_pager() -> Outcome {
    let paged = Paged::with_timeout(4, TIMEOUT_NS)?;
    let before = after_ms(0);
    let first = spawn(|| touch(paged, 0))?;
    let second = spawn(|| touch(paged, 1))?;
    equal(status_of(first)?, SIGBUS)?;
    equal(status_of(second)?, SIGBUS)?;
    holds(after_ms(0) - before >= TIMEOUT_NS, "they waited")?;
    // Nobody waits again, until the pager answers.
    let third = spawn(|| touch(paged, 2))?;
    equal(status_of(third)?, SIGBUS)?;
    paged.supply(3, 1)?;
    let last = spawn(|| touch(paged, 2))?;
    until_asleep(last)?;
    equal(paged.request()?.page, 2)?;
    paged.supply(0, 4)?;
    succeeded(last)
}

/// Two wait for the same page; the first is killed before the pager has received its request.
pub fn a_killed_waiter() -> Outcome {
    let paged = Paged::new(2)?;
    let mut clients = [0; 2];
    for client in &mut clients {
        *client = spawn(|| equal(paged.share()?.read(0), content(0)))?;
        until_asleep(*client)?;
    }
    kill(clients[0] as i32, SIGKILL)?;
    equal(status_of(clients[0])?, SIGKILL)?;
    equal(paged.request()?.pid, clients[1])?;
    paged.supply(0, 1)?;
    succeeded(clients[1])?;
    // It was asked once.
    equal(
        ipc::receive(paged.port, Tag::SHORT)?.kind,
        Kind::OBJECT_UNUSED,
    )
}

pub fn the_end_of_use_is_told() -> Outcome {
    let paged = Paged::new(2)?;
    paged.supply(0, 2)?;
    let none = || {
        let tag = Tag::SHORT.with(Tag::NON_BLOCKING);
        fails(ipc::receive(paged.port, tag), Error::WouldBlock)
    };
    let unused = || {
        let event = ipc::receive(paged.port, Tag::SHORT)?;
        equal((event.kind, event.badge), (Kind::OBJECT_UNUSED, BADGE))
    };
    for _ in 0..2 {
        let handle = paged.client_handle()?;
        none()?;
        ipc::close(handle)?;
        unused()?;
        none()?;
    }
    // A mapping is a use, and so is its child's.
    let pid = spawn(|| {
        let pages = paged.share()?;
        ipc::call(paged.port, Tag::SHORT, [0; 4])?;
        let child = spawn(|| {
            pages.read(0);
            ipc::call(paged.port, Tag::SHORT, [0; 4])?;
            Ok(())
        })?;
        pages.unmap()?;
        succeeded(child)?;
        ipc::call(paged.port, Tag::SHORT, [0; 4])?;
        Ok(())
    })?;
    let first = ipc::receive(paged.port, Tag::SHORT)?;
    ipc::reply(first.token, Tag::SHORT, [0; 4])?;
    let child = ipc::receive(paged.port, Tag::SHORT)?;
    equal(child.kind, Kind::CALL)?;
    none()?;
    ipc::reply(child.token, Tag::SHORT, [0; 4])?;
    unused()?;
    let last = ipc::receive(paged.port, Tag::SHORT)?;
    equal(last.kind, Kind::CALL)?;
    ipc::reply(last.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)?;
    none()
}

pub fn only_the_pager_manages() -> Outcome {
    let paged = Paged::new(2)?;
    let handle = paged.client_handle()?;
    let page = Pages::new(1)?;
    fails(supply(handle, 0, page), Error::NotPermitted)?;
    fails(memory::fail(handle, 0, 1), Error::NotPermitted)?;
    fails(memory::clean(handle, 0, 1, &mut [0]), Error::NotPermitted)?;
    fails(memory::object_resize(handle, 1), Error::NotPermitted)?;
    fails(memory::object_discard(handle, 0, 1), Error::NotPermitted)?;
    fails(supply(paged.object, 2, page), Error::Invalid)?;
    fails(supply(paged.object, u64::MAX, page), Error::Invalid)?;
    fails(memory::clean(paged.object, 1, 2, &mut [0]), Error::Invalid)?;
    fails(memory::object_discard(paged.object, 0, 0), Error::Invalid)?;
    fails(
        memory::object_resize(paged.object, u64::MAX),
        Error::Invalid,
    )?;
    let sender = ipc::duplicate(paged.port, Rights::SEND)?;
    fails(memory::paged_create(sender, 1, 1, 0), Error::BadHandle)?;
    let anonymous = memory::object_create(PAGE_SIZE)?;
    fails(supply(anonymous, 0, page), Error::Invalid)
}

/// Puts a handle into the message.
fn put_handle(item: HandleItem) {
    // SAFETY: the UTCB is this thread's own and always there.
    unsafe { (*utcb::utcb()).handles[0] = item };
}

/// The received handle.
fn received_handle() -> Handle {
    // SAFETY: as in `put_handle`.
    Handle(unsafe { (*utcb::utcb()).handles[0] }.handle)
}
