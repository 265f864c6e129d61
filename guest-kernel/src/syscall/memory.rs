//! Memory objects and mappings.

use alloc::sync::Arc;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::vm::{BY_PID, MapFlags, ObjectKind, Prot, Region, RemapFlags};

use super::unlocked;
use crate::arch::TrapFrame;
use crate::boot;
use crate::mm::uaccess::UserPtr;
use crate::mm::{AddressSpace, MapRequest, PhysAddr, VmObject};
use crate::object::Object;
use crate::object::core_lock::lock;
use crate::process::{by_pid, may_signal, with_current_space};
use crate::sched::Next;
use crate::thread::current_process;

/// `ObjectCreate`.
pub fn object_create(frame: &mut TrapFrame) -> Next {
    let [kind, bytes, address, resource, ..] = frame.arguments();
    let result = make_object(kind, bytes, address, Handle(resource as u32));
    Next::result(frame, result)
}

fn make_object(kind: u64, bytes: u64, address: u64, resource: Handle) -> Result<u64> {
    let kind = u8::try_from(kind)
        .ok()
        .and_then(|kind| ObjectKind::try_from(kind).ok());
    let kind = kind.ok_or(Error::Invalid)?;
    let process = current_process();
    if kind != ObjectKind::Anonymous {
        process.check_resource(&lock(), resource, Rights::PHYSICAL)?;
    }
    if kind == ObjectKind::Physical && !boot::is_mappable(address, bytes) {
        return Err(Error::AccessDenied);
    }
    let object = unlocked(|| VmObject::create(kind, bytes, PhysAddr(address)))?;
    let mut rights = Rights::READ | Rights::WRITE | Rights::DUP | Rights::TRANSFER;
    rights.set(Rights::PAGER, kind == ObjectKind::Anonymous);
    let handle = process.add_handle(&mut lock(), Object::Memory(object), rights)?;
    Ok(handle.0 as u64)
}

/// `ObjectPhysical`.
pub fn object_physical(frame: &mut TrapFrame) -> Next {
    let [object, offset, resource, ..] = frame.arguments();
    let core = lock();
    let process = current_process();
    let result = process
        .check_resource(&core, Handle(resource as u32), Rights::PHYSICAL)
        .and_then(|()| process.memory(&core, Handle(object as u32)))
        .and_then(|(object, _)| object.physical_address(offset));
    Next::result(frame, result.map(|address| address.0))
}

/// `ObjectSize`.
pub fn object_size(frame: &mut TrapFrame) -> Next {
    let found = current_process().memory(&lock(), Handle(frame.rdi as u32));
    let result = found.map(|(object, _)| {
        // The reference in hand is neither handle nor mapping.
        let uses = Arc::strong_count(&object) as u64 - 1;
        frame.rdx = object.resident_pages() | uses << 40;
        object.size()
    });
    Next::result(frame, result)
}

/// Calls `f` with the address space that a process handle names, interrupts on.
fn with_space<R>(handle: Handle, f: impl FnOnce(&AddressSpace) -> Result<R>) -> Result<R> {
    if handle == Handle::NONE {
        return unlocked(|| with_current_space(f));
    }
    let core = lock();
    let process = current_process().process_named(&core, handle, Rights::WRITE)?;
    let space = process.share_space(&core).ok_or(Error::NoSuchProcess)?;
    drop(core);
    unlocked(|| f(&space))
}

/// As [`with_space`]; the process may also be named by its pid, by who may see it.
fn with_seen_space<R>(process: u64, f: impl FnOnce(&AddressSpace) -> Result<R>) -> Result<R> {
    if process & BY_PID == 0 {
        return with_space(Handle(process as u32), f);
    }
    let core = lock();
    let seen = by_pid(&core, process as u32).ok_or(Error::NoSuchProcess)?;
    if !may_signal(&core, current_process(), seen) {
        return Err(Error::NotPermitted);
    }
    let space = seen.share_space(&core).ok_or(Error::NoSuchProcess)?;
    drop(core);
    unlocked(|| f(&space))
}

/// What a mapping of an object may show, by the rights of its handle.
fn most(rights: Rights) -> Prot {
    let mut most = Prot::empty();
    most.set(Prot::READ | Prot::EXEC, rights.contains(Rights::READ));
    most.set(Prot::WRITE, rights.contains(Rights::WRITE));
    most
}

/// `VmMap`.
pub fn map(frame: &mut TrapFrame) -> Next {
    let [process, address, length, mode, object, offset] = frame.arguments();
    if process as u32 | object as u32 == Handle::NONE.0
        && let Some(address) = map_more(length, mode)
    {
        return Next::result(frame, Ok(address));
    }
    let result = map_request(address, length, mode, Handle(object as u32), offset)
        .and_then(|request| with_space(Handle(process as u32), |space| space.map(request)));
    Next::result(frame, result)
}

#[inline(always)]
fn map_more(length: u64, mode: u64) -> Option<u64> {
    let prot = Prot::from_bits(mode as u32)?;
    let flags = MapFlags::from_bits((mode >> 32) as u32)?;
    with_current_space(|space| space.map_more(length, prot, flags))
}

fn map_request(
    address: u64,
    length: u64,
    mode: u64,
    object: Handle,
    offset: u64,
) -> Result<MapRequest> {
    let prot = Prot::from_bits(mode as u32).ok_or(Error::Invalid)?;
    let flags = MapFlags::from_bits((mode >> 32) as u32).ok_or(Error::Invalid)?;
    let (object, max) = if object == Handle::NONE {
        (None, Prot::all())
    } else {
        let (object, rights) = current_process().memory(&lock(), object)?;
        (Some(object), mapping_limit(rights, flags)?)
    };
    if !max.contains(prot) {
        return Err(Error::AccessDenied);
    }
    Ok(MapRequest {
        address,
        length,
        prot,
        max,
        flags,
        object,
        offset,
    })
}

/// A private mapping writes to copies, so that reading is enough.
fn mapping_limit(rights: Rights, flags: MapFlags) -> Result<Prot> {
    let max = most(rights);
    match flags.contains(MapFlags::PRIVATE) {
        _ if !max.contains(Prot::READ) => Err(Error::AccessDenied),
        true => Ok(Prot::all()),
        false => Ok(max),
    }
}

/// `VmUnmap`.
pub fn unmap(frame: &mut TrapFrame) -> Next {
    let [process, address, length, ..] = frame.arguments();
    let own = process as u32 == Handle::NONE.0;
    if own && with_current_space(|space| space.unmap_end(address, length)).is_some() {
        return Next::result(frame, Ok(0));
    }
    let result = with_space(Handle(process as u32), |space| space.unmap(address, length));
    Next::result(frame, result.map(|()| 0))
}

/// `VmProtect`.
pub fn protect(frame: &mut TrapFrame) -> Next {
    let [process, address, length, prot, ..] = frame.arguments();
    let result = Prot::from_bits(prot as u32)
        .ok_or(Error::Invalid)
        .and_then(|prot| {
            with_space(Handle(process as u32), |space| {
                space.protect(address, length, prot)
            })
        });
    Next::result(frame, result.map(|()| 0))
}

/// `VmQuery`.
pub fn query(frame: &mut TrapFrame) -> Next {
    let [process, address, target, ..] = frame.arguments();
    let target = UserPtr::<Region>::new(target);
    let result = with_seen_space(process, |space| space.query(address))
        .and_then(|region| unlocked(|| target.write(&region)));
    Next::result(frame, result.map(|()| 0))
}

/// `VmRemap`.
pub fn remap(frame: &mut TrapFrame) -> Next {
    let [old, old_length, length, how, to, ..] = frame.arguments();
    let result = RemapFlags::from_bits(how as u32)
        .ok_or(Error::Invalid)
        .and_then(|how| {
            with_space(Handle::NONE, |space| {
                space.remap(old, old_length, length, how, to)
            })
        });
    Next::result(frame, result)
}

/// `VmDiscard`.
pub fn discard(frame: &mut TrapFrame) -> Next {
    let [address, length, ..] = frame.arguments();
    let result = with_space(Handle::NONE, |space| space.discard(address, length));
    Next::result(frame, result.map(|()| 0))
}
