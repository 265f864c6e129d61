//! The program's part of the address space (`USER_BASE..SYSTEM_BASE`): no Rust object of the personality lies there,
//! so mapping and unmapping in it is safe, whatever the program asks for.

use crate::user::check;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot, Region, RemapFlags};
use ferrix_posix::mapping::{Leave, Motion, Remap};
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
pub fn map_fresh(address: u64, length: u64, more: MapFlags) -> Result<u64> {
    let mut mapping = Mapping::anonymous(length, Prot::READ | Prot::WRITE);
    mapping.address = address;
    mapping.flags |= MapFlags::NO_REPLACE | more;
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
pub fn remap(what: &Remap) -> Result<u64> {
    let Remap {
        address, old, new, ..
    } = *what;
    check(address, old.max(PAGE_SIZE))?;
    let (mut how, to) = match what.motion {
        Motion::Stay => (RemapFlags::empty(), 0),
        Motion::Anywhere => (RemapFlags::MAY_MOVE, 0),
        Motion::To(to) => (RemapFlags::MAY_MOVE | RemapFlags::FIXED, to),
    };
    check(to, new)?;
    how.set(RemapFlags::KEEP, what.leave == Leave::Empty);
    // SAFETY: both ranges are the program's.
    Ok(unsafe { memory::remap(address, old, new, how, to) }?)
}

/// The whole mapping around an address.
pub fn whole_region(address: u64) -> Result<Region> {
    Ok(memory::query(SELF, address)?)
}

/// The mappings of a range in ascending order, cut to it.
pub fn regions(address: u64, length: u64) -> impl Iterator<Item = Region> {
    let (mut from, end) = (address, address + length);
    core::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let mut region = memory::query(SELF, from).ok()?;
        if region.start >= end {
            return None;
        }
        region.start = region.start.max(from);
        region.end = region.end.min(end);
        from = region.end;
        Some(region)
    })
}

/// The mappings of a range, each seen by `each`.
///
/// # Errors
/// `ENOMEM` where nothing is mapped, after what is mapped has been seen; what `each` says.
pub fn each_region(
    address: u64,
    length: u64,
    mut each: impl FnMut(&Region) -> Result<()>,
) -> Result<()> {
    let (mut covered, end) = (address, address + length);
    let mut hole = false;
    for region in regions(address, length) {
        hole |= region.start != covered;
        covered = region.end;
        each(&region)?;
    }
    if hole || covered != end {
        return Err(Errno::ENOMEM);
    }
    Ok(())
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
