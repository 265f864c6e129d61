//! The program's part of the address space (`USER_BASE..SYSTEM_BASE`): no Rust object of the personality lies there,
//! so mapping and unmapping in it is safe, whatever the program asks for.

use crate::user::check;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::{Errno, Result};
use ferrix_rt::sys::memory::{self, Mapping, SELF};
use ferrix_rt::sys::process;

/// Maps in the program's part.
pub fn map(mapping: &Mapping) -> Result<u64> {
    if mapping.flags.contains(MapFlags::SYSTEM) || mapping.process != SELF {
        return Err(Errno::EINVAL);
    }
    check(mapping.address, mapping.length)?;
    // SAFETY: what a fixed mapping replaces is the program's.
    Ok(unsafe { memory::map(mapping) }?)
}

/// Fresh private memory at exactly an address; what is there stays: then `EEXIST`.
pub fn map_fresh(address: u64, length: u64) -> Result<u64> {
    let mut mapping = Mapping::anonymous(length, Prot::READ | Prot::WRITE);
    mapping.address = address;
    mapping.flags |= MapFlags::NO_REPLACE;
    map(&mapping)
}

/// Part of an object at exactly an address.
pub fn map_object(
    address: u64,
    length: u64,
    prot: Prot,
    flags: MapFlags,
    object: (Handle, u64),
) -> Result<u64> {
    let (object, offset) = object;
    let flags = flags | MapFlags::FIXED;
    map(&Mapping {
        process: SELF,
        address,
        length,
        prot,
        flags,
        object,
        offset,
    })
}

/// Unmaps.
pub fn unmap(address: u64, length: u64) -> Result<()> {
    check(address, length)?;
    // SAFETY: the range is the program's.
    Ok(unsafe { memory::unmap(SELF, address, length) }?)
}

/// Changes protection.
pub fn protect(address: u64, length: u64, prot: Prot) -> Result<()> {
    check(address, length)?;
    // SAFETY: the range is the program's.
    Ok(unsafe { memory::protect(SELF, address, length, prot) }?)
}

/// Grows, shrinks or moves.
pub fn remap(address: u64, old: u64, new: u64, may_move: bool) -> Result<u64> {
    check(address, old)?;
    check(address, new.min(old).max(PAGE_SIZE))?;
    // SAFETY: the range is the program's.
    Ok(unsafe { memory::remap(address, old, new, may_move) }?)
}

/// Drops contents.
pub fn discard(address: u64, length: u64) -> Result<()> {
    check(address, length)?;
    // SAFETY: the range is the program's.
    Ok(unsafe { memory::discard(address, length) }?)
}

/// Copies the process: the child's pid, or `None` in the child. The caller holds every lock.
pub fn fork(_locks: &mut crate::state::All) -> Result<Option<u32>> {
    // SAFETY: no lock is held by a thread that the child does not have.
    let pid = unsafe { process::fork() }?;
    Ok((pid != 0).then_some(pid))
}
