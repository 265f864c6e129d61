//! What a pager does with its objects, and what the maker of a resizable one does.

use alloc::sync::Arc;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::vm::PAGES_MAX;

use super::unlocked;
use crate::arch::TrapFrame;
use crate::ipc::{PageAnswer, PagerLink, shortage};
use crate::mm::VmObject;
use crate::mm::oom;
use crate::mm::uaccess::UserSlice;
use crate::object::Object;
use crate::object::core_lock::lock;
use crate::process::with_current_space;
use crate::sched::Next;
use crate::thread::current_process;

/// Words of the bitmap of [`PAGES_MAX`] pages.
const BITMAP: usize = PAGES_MAX as usize / 64;

/// `PagedCreate`.
pub fn create(frame: &mut TrapFrame) -> Next {
    let [port, badge, bytes, timeout, ..] = frame.arguments();
    let result = make(Handle(port as u32), badge as u32, bytes, timeout);
    Next::result(frame, result)
}

fn make(port: Handle, badge: u32, bytes: u64, timeout_ns: u64) -> Result<u64> {
    let process = current_process();
    let core = lock();
    let port = process.port(&core, port, Rights::RECEIVE)?;
    let pager = PagerLink::create(&core, process, port, badge, timeout_ns)?;
    drop(core);
    let maker = with_current_space(|space| space.id());
    let object = unlocked(|| VmObject::paged(bytes, pager, maker))?;
    let rights = Rights::READ | Rights::WRITE | Rights::DUP | Rights::TRANSFER | Rights::PAGER;
    let handle = process.add_handle(&mut lock(), Object::Memory(object), rights)?;
    Ok(handle.0 as u64)
}

/// The object that a handle names with the right to manage its pages.
fn managed(handle: u64) -> Result<Arc<VmObject>> {
    match current_process().memory(&lock(), Handle(handle as u32))? {
        (object, rights) if rights.contains(Rights::PAGER) => Ok(object),
        _ => Err(Error::NotPermitted),
    }
}

/// Who waits for these pages tries again, or fails.
fn answer(object: &VmObject, pages: core::ops::Range<u64>, answer: PageAnswer) {
    if let Some(pager) = object.pager() {
        pager.answered(&mut lock(), pages, answer);
    }
}

/// `ObjectSupply`.
pub fn supply(frame: &mut TrapFrame) -> Next {
    let [object, first, count, source, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        if count > PAGES_MAX || object.pager().is_none() {
            return Err(Error::Invalid);
        }
        let pages = object.check_pages(first, count)?;
        let supplied =
            unlocked(|| with_current_space(|space| space.supply(&object, pages.clone(), source)));
        // Even after an error some pages may be there; who finds none asks again.
        answer(&object, pages, PageAnswer::Retry);
        supplied
    });
    Next::result(frame, result)
}

/// `ObjectFail`.
pub fn fail(frame: &mut TrapFrame) -> Next {
    let [object, first, count, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        let end = first.checked_add(count).ok_or(Error::Invalid)?;
        answer(&object, first..end, PageAnswer::Failed);
        Ok(0)
    });
    Next::result(frame, result)
}

/// `ObjectClean`.
pub fn clean(frame: &mut TrapFrame) -> Next {
    let [object, first, count, bitmap, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        let pages = object.check_pages(first, count)?;
        with_bitmap(count, bitmap, |bits| object.clean(pages, bits))
    });
    Next::result(frame, result)
}

/// `ObjectResize`.
pub fn resize(frame: &mut TrapFrame) -> Next {
    let [object, bytes, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        unlocked(|| object.resize(bytes))?;
        answer(&object, object.pages()..u64::MAX, PageAnswer::Retry);
        Ok(0)
    });
    Next::result(frame, result)
}

/// `ObjectDiscard`.
pub fn discard(frame: &mut TrapFrame) -> Next {
    let [object, first, count, bitmap, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        let pages = object.check_pages(first, count)?;
        if bitmap == 0 {
            return unlocked(|| object.discard(pages, |_| {}));
        }
        with_bitmap(count, bitmap, |bits| {
            object.discard(pages, |page| bits[page as usize / 64] |= 1 << (page % 64))
        })
    });
    Next::result(frame, result)
}

/// `ObjectReferenced`.
pub fn referenced(frame: &mut TrapFrame) -> Next {
    let [object, first, count, bitmap, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        let pages = object.check_pages(first, count)?;
        with_bitmap(count, bitmap, |bits| object.take_referenced(pages, bits))
    });
    Next::result(frame, result)
}

/// `ObjectQuota`.
pub fn quota(frame: &mut TrapFrame) -> Next {
    let [object, leader, pages, ..] = frame.arguments();
    let result = managed(object).and_then(|object| {
        let leader = match leader {
            0 => None,
            handle => Some(managed(handle)?),
        };
        unlocked(|| object.set_quota(leader.as_deref(), pages))
    });
    Next::result(frame, result)
}

/// `MemoryWatch`.
pub fn watch(frame: &mut TrapFrame) -> Next {
    let [port, given_back, ..] = frame.arguments();
    let (process, core) = (current_process(), lock());
    let result = process
        .port(&core, Handle(port as u32), Rights::RECEIVE)
        .map(|port| shortage::watch(&core, process, port, given_back));
    Next::result(frame, result.map(|()| 0))
}

/// `MemoryWait`.
pub fn wait(frame: &mut TrapFrame) -> Next {
    let [pages, ..] = frame.arguments();
    let free = unlocked(|| Ok(oom::wait_for_pages(pages)));
    Next::result(frame, free)
}

/// Does work on `count` pages that tells something of each, in a bitmap of the caller.
fn with_bitmap(
    count: u64,
    bitmap: u64,
    work: impl FnOnce(&mut [u64]) -> Result<u64>,
) -> Result<u64> {
    if count > PAGES_MAX {
        return Err(Error::Invalid);
    }
    let words = count.div_ceil(64) as usize;
    let target = UserSlice::<u64>::new(bitmap, words);
    unlocked(|| {
        let mut bits = [0; BITMAP];
        // Before anything is done: the bits must not be lost.
        target.write(&bits[..words])?;
        let result = work(&mut bits[..words])?;
        target.write(&bits[..words])?;
        Ok(result)
    })
}
