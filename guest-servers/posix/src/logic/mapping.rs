//! The words of `mmap` and its relatives in the kernel's.

use crate::errno::{Errno, Result};
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP, USER_BASE};
use ferrix_abi::vm::{MapFlags, Prot};
use linux_raw_sys::general as linux;

/// Flags that `MAP_SHARED_VALIDATE` knows.
const KNOWN: u32 = linux::MAP_TYPE
    | linux::MAP_FIXED
    | linux::MAP_FIXED_NOREPLACE
    | linux::MAP_ANONYMOUS
    | linux::MAP_GROWSDOWN
    | linux::MAP_DENYWRITE
    | linux::MAP_EXECUTABLE
    | linux::MAP_LOCKED
    | linux::MAP_NORESERVE
    | linux::MAP_POPULATE
    | linux::MAP_NONBLOCK
    | linux::MAP_STACK
    | linux::MAP_HUGETLB
    | linux::MAP_32BIT
    | linux::MAP_UNINITIALIZED;

/// What is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeroed memory.
    Anonymous,
    /// A file; writes stay private.
    PrivateFile,
    /// A file; writes change it.
    SharedFile,
}

/// Where it goes when the program leaves it to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Anywhere.
    Any,
    /// In the first two gigabytes (`MAP_32BIT`).
    Low,
}

/// A checked request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Address, as `flags` say.
    pub address: u64,
    /// Bytes, a multiple of the page size.
    pub length: u64,
    /// Protection.
    pub prot: Prot,
    /// How.
    pub flags: MapFlags,
    /// What.
    pub backing: Backing,
    /// Where.
    pub zone: Zone,
}

/// Checks `mmap`'s arguments.
///
/// # Errors
/// `EINVAL`, `ENOMEM` for ranges outside the program's part, `EPERM` for the first pages, `EOVERFLOW` for an
/// offset too far, `EOPNOTSUPP` for unknown flags with `MAP_SHARED_VALIDATE`.
pub fn translate(address: u64, length: u64, prot: u64, flags: u64, offset: u64) -> Result<Request> {
    let flags = flags as u32;
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    let length = length
        .checked_next_multiple_of(PAGE_SIZE)
        .filter(|&length| length <= STACK_TOP - USER_BASE)
        .ok_or(Errno::ENOMEM)?;
    let backing = backing(flags)?;
    if backing != Backing::Anonymous {
        let end = offset.checked_add(length).ok_or(Errno::EOVERFLOW)?;
        i64::try_from(end).map_err(|_| Errno::EOVERFLOW)?;
    }
    let (address, mut map) = place(address, length, flags)?;
    map.set(
        MapFlags::PRIVATE,
        flags & linux::MAP_TYPE == linux::MAP_PRIVATE,
    );
    if flags & linux::MAP_GROWSDOWN != 0 {
        if backing != Backing::Anonymous || !map.contains(MapFlags::PRIVATE) {
            return Err(Errno::EINVAL);
        }
        map |= MapFlags::GROWS_DOWN;
    }
    map.set(MapFlags::POPULATE, flags & linux::MAP_POPULATE != 0);
    map.set(MapFlags::LOCKED, flags & linux::MAP_LOCKED != 0);
    let low = flags & linux::MAP_32BIT != 0 && !is_exact(map);
    Ok(Request {
        address,
        length,
        prot: Prot::from_bits_truncate(prot as u32),
        flags: map,
        backing,
        zone: if low { Zone::Low } else { Zone::Any },
    })
}

fn backing(flags: u32) -> Result<Backing> {
    let anonymous = flags & linux::MAP_ANONYMOUS != 0;
    // There are no huge pages to be had.
    if anonymous && flags & linux::MAP_HUGETLB != 0 {
        return Err(Errno::ENOMEM);
    }
    match flags & linux::MAP_TYPE {
        linux::MAP_SHARED_VALIDATE if flags & !KNOWN != 0 => Err(Errno::EOPNOTSUPP),
        linux::MAP_SHARED_VALIDATE if anonymous => Err(Errno::EINVAL),
        linux::MAP_PRIVATE | linux::MAP_SHARED if anonymous => Ok(Backing::Anonymous),
        linux::MAP_PRIVATE => Ok(Backing::PrivateFile),
        linux::MAP_SHARED | linux::MAP_SHARED_VALIDATE => Ok(Backing::SharedFile),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether the address is not for the kernel to choose.
pub fn is_exact(flags: MapFlags) -> bool {
    flags.intersects(MapFlags::FIXED | MapFlags::NO_REPLACE)
}

fn place(address: u64, length: u64, flags: u32) -> Result<(u64, MapFlags)> {
    let exact = if flags & linux::MAP_FIXED_NOREPLACE != 0 {
        MapFlags::NO_REPLACE
    } else if flags & linux::MAP_FIXED != 0 {
        MapFlags::FIXED
    } else {
        let hint = address & !(PAGE_SIZE - 1);
        return match range(hint, length) {
            Ok(_) => Ok((hint, MapFlags::HINT)),
            Err(_) => Ok((0, MapFlags::empty())),
        };
    };
    if address < USER_BASE && address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EPERM);
    }
    range(address, length).map(|_| (address, exact))
}

/// Protection bits of `mprotect`, without `PROT_GROWSDOWN`.
///
/// # Errors
/// `EINVAL` for bits that mean nothing; nothing grows up.
pub fn protection(prot: u64) -> Result<Prot> {
    let known = prot & !u64::from(linux::PROT_GROWSDOWN);
    u32::try_from(known)
        .ok()
        .and_then(Prot::from_bits)
        .ok_or(Errno::EINVAL)
}

/// A page range in the program's part of the address space; the length rounded up to pages. That part ends with the
/// stack: between it and the personality nothing is mapped, which `exec` relies on.
///
/// # Errors
/// `EINVAL` if the address is no page's, `ENOMEM` if the range leaves that part.
pub fn range(address: u64, length: u64) -> Result<u64> {
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let length = length
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    let end = address.checked_add(length).ok_or(Errno::ENOMEM)?;
    if address < USER_BASE || end > STACK_TOP {
        return Err(Errno::ENOMEM);
    }
    Ok(length)
}

/// The pages that a range of bytes touches, for `mlock`: start and length.
///
/// # Errors
/// `EINVAL` if the end wraps, `ENOMEM` if the range leaves the program's part.
pub fn pages(address: u64, length: u64) -> Result<(u64, u64)> {
    let start = address & !(PAGE_SIZE - 1);
    let end = address.checked_add(length).ok_or(Errno::EINVAL)?;
    let end = end
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::EINVAL)?;
    range(start, end - start).map(|length| (start, length))
}

/// A checked `mremap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remap {
    /// Where it is.
    pub address: u64,
    /// Bytes there, whole pages; 0: another mapping of the same shared pages.
    pub old: u64,
    /// Bytes wanted, whole pages.
    pub new: u64,
    /// How it may move.
    pub motion: Motion,
    /// Whether what is moved leaves an empty mapping behind (`MREMAP_DONTUNMAP`).
    pub leave: Leave,
}

/// How `mremap` may move a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Not at all.
    Stay,
    /// Anywhere.
    Anywhere,
    /// To this address, replacing what is there.
    To(u64),
}

/// What `mremap` leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing.
    Nothing,
    /// The mapping, without its pages.
    Empty,
}

/// Checks `mremap`'s arguments.
///
/// # Errors
/// `EINVAL`, `EFAULT` for a range that is not the program's, `ENOMEM` for one that cannot be.
pub fn translate_remap(arguments: [u64; 5]) -> Result<Remap> {
    let [address, old, new, flags, target] = arguments;
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let known = linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED | linux::MREMAP_DONTUNMAP;
    let has = |bit| flags & bit != 0;
    let needs_move = has(linux::MREMAP_FIXED) || has(linux::MREMAP_DONTUNMAP);
    if flags & !known != 0 || needs_move && !has(linux::MREMAP_MAYMOVE) {
        return Err(Errno::EINVAL);
    }
    if !address.is_multiple_of(PAGE_SIZE) || new == 0 {
        return Err(Errno::EINVAL);
    }
    let old = if old == 0 {
        0
    } else {
        range(address, old).map_err(|_| Errno::EFAULT)?
    };
    let new = new
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::EINVAL)?;
    if has(linux::MREMAP_DONTUNMAP) && old != new || old == 0 && !has(linux::MREMAP_MAYMOVE) {
        return Err(Errno::EINVAL);
    }
    let motion = if has(linux::MREMAP_FIXED) {
        let end = target.checked_add(new).ok_or(Errno::EINVAL)?;
        let overlaps = target < address + old && address < end;
        if range(target, new).is_err() || overlaps {
            return Err(Errno::EINVAL);
        }
        Motion::To(target)
    } else if has(linux::MREMAP_MAYMOVE) {
        Motion::Anywhere
    } else {
        Motion::Stay
    };
    let leave = if has(linux::MREMAP_DONTUNMAP) {
        Leave::Empty
    } else {
        Leave::Nothing
    };
    Ok(Remap {
        address,
        old,
        new,
        motion,
        leave,
    })
}

/// What `madvise` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing that changes anything here.
    Hint,
    /// The contents are not needed: private memory starts anew (`MADV_DONTNEED`).
    Discard,
    /// The same for private anonymous memory only, at leisure (`MADV_FREE`).
    Free,
    /// The pages will be read: make them present.
    PopulateRead,
    /// The pages will be written.
    PopulateWrite,
    /// A forked child gets it or does not (`MADV_DOFORK`, `MADV_DONTFORK`).
    Inherit(ferrix_abi::vm::Inheritance),
}

/// Advice by its number.
///
/// # Errors
/// `EINVAL` for what this system does not do.
pub fn advice(number: u64) -> Result<Advice> {
    use ferrix_abi::vm::Inheritance;
    match number as u32 {
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_HUGEPAGE
        | linux::MADV_NOHUGEPAGE
        | linux::MADV_DONTDUMP
        | linux::MADV_DODUMP
        | linux::MADV_COLD
        | linux::MADV_PAGEOUT => Ok(Advice::Hint),
        linux::MADV_DONTNEED => Ok(Advice::Discard),
        linux::MADV_FREE => Ok(Advice::Free),
        linux::MADV_POPULATE_READ => Ok(Advice::PopulateRead),
        linux::MADV_POPULATE_WRITE => Ok(Advice::PopulateWrite),
        linux::MADV_DONTFORK => Ok(Advice::Inherit(Inheritance::None)),
        linux::MADV_DOFORK => Ok(Advice::Inherit(Inheritance::ByKind)),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether `msync`'s flags make sense: not both synchronous and asynchronous, nothing unknown.
///
/// # Errors
/// `EINVAL`.
pub fn sync_flags(flags: u64) -> Result<u32> {
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let both = linux::MS_ASYNC | linux::MS_SYNC;
    if flags & !(both | linux::MS_INVALIDATE) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

#[cfg(test)]
#[path = "mapping/tests.rs"]
mod tests;
