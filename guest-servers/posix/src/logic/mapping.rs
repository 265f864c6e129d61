//! `mmap`'s words in the kernel's.

use crate::errno::{Errno, Result};
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP, USER_BASE};
use ferrix_abi::vm::{MapFlags, Prot};
use linux_raw_sys::general as linux;

/// What is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeroed memory.
    Anonymous,
    /// A file; writes, if any, stay private.
    File,
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
}

/// Checks `mmap`'s arguments.
///
/// # Errors
/// `EINVAL`, `ENOMEM` for ranges outside the program's part, `ENODEV` for a writable shared file.
pub fn translate(address: u64, length: u64, prot: u64, flags: u64) -> Result<Request> {
    let flags = flags as u32;
    let length = length
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    let prot = protection(prot)?;
    let (address, mut map) = place(address, length, flags)?;
    let backing = if flags & linux::MAP_ANONYMOUS != 0 {
        Backing::Anonymous
    } else {
        Backing::File
    };
    match flags & linux::MAP_TYPE {
        linux::MAP_PRIVATE => map |= MapFlags::PRIVATE,
        linux::MAP_SHARED | linux::MAP_SHARED_VALIDATE => {
            if backing == Backing::File && prot.contains(Prot::WRITE) {
                return Err(Errno::ENODEV);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    map.set(MapFlags::GROWS_DOWN, flags & linux::MAP_GROWSDOWN != 0);
    map.set(MapFlags::POPULATE, flags & linux::MAP_POPULATE != 0);
    Ok(Request {
        address,
        length,
        prot,
        flags: map,
        backing,
    })
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
    range(address, length).map(|_| (address, exact))
}

/// Protection bits.
///
/// # Errors
/// `EINVAL` for bits that mean nothing.
pub fn protection(prot: u64) -> Result<Prot> {
    let known = prot & !u64::from(linux::PROT_GROWSDOWN | linux::PROT_GROWSUP);
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

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: u64 = (linux::MAP_PRIVATE | linux::MAP_ANONYMOUS) as u64;

    #[test]
    fn anonymous_private_anywhere() {
        let request = translate(0, 1, 3, PRIVATE).unwrap();
        assert_eq!(request.length, PAGE_SIZE);
        assert_eq!(request.flags, MapFlags::PRIVATE);
        assert_eq!(request.prot, Prot::READ | Prot::WRITE);
    }

    #[test]
    fn the_personality_cannot_be_replaced() {
        let fixed = PRIVATE | u64::from(linux::MAP_FIXED);
        assert_eq!(translate(STACK_TOP, 4096, 3, fixed), Err(Errno::ENOMEM));
        assert_eq!(
            translate(STACK_TOP - 4096, 8192, 3, fixed),
            Err(Errno::ENOMEM)
        );
        assert!(translate(STACK_TOP - 4096, 4096, 3, fixed).is_ok());
        assert_eq!(translate(0x1_0001, 4096, 3, fixed), Err(Errno::EINVAL));
        let hint = translate(STACK_TOP, 4096, 3, PRIVATE).unwrap();
        assert_eq!((hint.address, hint.flags), (0, MapFlags::PRIVATE));
    }

    #[test]
    fn shared_files_are_read_only() {
        let shared = u64::from(linux::MAP_SHARED);
        assert_eq!(translate(0, 4096, 3, shared), Err(Errno::ENODEV));
        assert_eq!(
            translate(0, 4096, 1, shared).unwrap().backing,
            Backing::File
        );
        assert_eq!(translate(0, 0, 1, shared), Err(Errno::EINVAL));
        assert_eq!(translate(0, u64::MAX, 1, shared), Err(Errno::ENOMEM));
    }
}
