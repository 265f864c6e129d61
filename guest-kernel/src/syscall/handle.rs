//! Handles.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};

use crate::arch::TrapFrame;
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::object::kinds::granted;
use crate::sched::Next;
use crate::thread::current_process;

/// `HandleClose`.
pub fn close(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let taken = current_process().take_handle(&mut core, Handle(frame.rdi as u32));
    let result = taken.map(|(object, rights)| {
        object.release(&mut core, rights);
        drop(core);
        // The last reference to a memory object frees its pages: not under the core lock.
        drop(object);
        0
    });
    Next::result(frame, result)
}

/// `HandleDup`.
pub fn duplicate(frame: &mut TrapFrame) -> Next {
    let [handle, rights, ..] = frame.arguments();
    let mut core = lock();
    let asked = Rights::from_bits_truncate(rights as u32);
    let result = copy(&mut core, Handle(handle as u32), asked);
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

fn copy(core: &mut Core, handle: Handle, asked: Rights) -> Result<Handle> {
    let process = current_process();
    let (object, held) = match process.handles.get(core).get(handle) {
        Some((object, held)) if held.contains(Rights::DUP) => (object.clone(), held),
        _ => return Err(Error::BadHandle),
    };
    process.share_handle(core, object, granted(held, asked))
}

/// `HandleGrant`.
pub fn grant(frame: &mut TrapFrame) -> Next {
    let [process, handle, rights, ..] = frame.arguments();
    let mut core = lock();
    let asked = Rights::from_bits_truncate(rights as u32);
    let result = give(
        &mut core,
        Handle(process as u32),
        Handle(handle as u32),
        asked,
    );
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

fn give(core: &mut Core, process: Handle, handle: Handle, asked: Rights) -> Result<Handle> {
    let caller = current_process();
    let target = caller.process_named(core, process, Rights::WRITE)?;
    if !target.is_alive(core) {
        return Err(Error::NoSuchProcess);
    }
    let allowed = Rights::DUP | Rights::TRANSFER;
    let (object, held) = match caller.handles.get(core).get(handle) {
        Some((object, held)) if held.intersects(allowed) => (object.clone(), held),
        _ => return Err(Error::BadHandle),
    };
    target.share_handle(core, object, granted(held, asked))
}
