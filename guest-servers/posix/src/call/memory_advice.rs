//! What a program says and asks of its pages: `madvise`, `msync`, `mincore`, `mlock` and its relatives.

use super::limits;
use crate::program;
use crate::server;
use crate::state::{FILES, IDENTITY, LOCKING, LockFuture};
use crate::user;
use ferrix_abi::Error;
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP, USER_BASE};
use ferrix_abi::process::MemoryLimit;
use ferrix_abi::vm::{MapFlags, Prot, Region};
use ferrix_posix::mapping::{self, Advice};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::path;
use ferrix_rt::sys::memory;
use linux_raw_sys::general as linux;

/// Pages that `mincore` looks at together.
const RESIDENT_PIECE: usize = 256;
/// Flags of `mlockall`.
const ALL_FLAGS: u64 = (linux::MCL_CURRENT | linux::MCL_FUTURE | linux::MCL_ONFAULT) as u64;

fn has(region: &Region, flag: MapFlags) -> bool {
    region.flags & flag.bits() != 0
}

pub fn madvise(frame: &mut Frame) -> Result<u64> {
    let [address, length, advice, ..] = frame.args();
    let advice = mapping::advice(advice)?;
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let length = length
        .checked_next_multiple_of(PAGE_SIZE)
        .filter(|&length| address.checked_add(length).is_some())
        .ok_or(Errno::EINVAL)?;
    if length == 0 {
        return Ok(0);
    }
    mapping::range(address, length)?;
    program::each_region(address, length, |region| advise(region, advice)).map(|()| 0)
}

fn advise(region: &Region, advice: Advice) -> Result<()> {
    let length = region.end - region.start;
    match advice {
        Advice::Hint => Ok(()),
        Advice::Discard | Advice::Free if has(region, MapFlags::LOCKED) => Err(Errno::EINVAL),
        Advice::Free if region.object != 0 || !has(region, MapFlags::PRIVATE) => Err(Errno::EINVAL),
        Advice::Discard | Advice::Free => program::discard(region.start, length),
        Advice::PopulateRead => populate(region, Prot::READ),
        Advice::PopulateWrite => populate(region, Prot::WRITE),
        Advice::Inherit(what) => Ok(memory::inherit(region.start, length, what)?),
    }
}

/// Touches every page.
fn populate(region: &Region, access: Prot) -> Result<()> {
    if !Prot::from_bits_truncate(region.prot).contains(access) {
        return Err(Errno::EINVAL);
    }
    for page in (region.start..region.end).step_by(PAGE_SIZE as usize) {
        let word = user::read::<u32>(page)?;
        if access == Prot::WRITE {
            // Stores what is there, if it still is: a write that changes nothing.
            user::exchange(page, word, word)?;
        }
    }
    Ok(())
}

/// With `MS_SYNC` whoever holds the file writes back what mappings changed; otherwise that happens by itself after
/// a while. (All mappings of a file see each other's changes at once: nothing is ever invalid.)
pub fn msync(frame: &mut Frame) -> Result<u64> {
    let [address, length, flags, ..] = frame.args();
    let flags = mapping::sync_flags(flags)?;
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let length = mapping::range(address, length)?;
    program::each_region(address, length, |region| {
        if flags & linux::MS_INVALIDATE != 0 && has(region, MapFlags::LOCKED) {
            return Err(Errno::EBUSY);
        }
        if flags & linux::MS_SYNC != 0 && region.object != 0 && !has(region, MapFlags::PRIVATE) {
            let root = FILES.lock().root;
            server::ask(root, path::SYNC_OBJECT, [region.object, 0, 0])?;
        }
        Ok(())
    })
    .map(|()| 0)
}

pub fn mincore(frame: &mut Frame) -> Result<u64> {
    let [address, length, vector, ..] = frame.args();
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let pages = mapping::range(address, length)? / PAGE_SIZE;
    user::check(vector, pages)?;
    let mut bytes = [0; RESIDENT_PIECE];
    let mut done = 0;
    while done < pages {
        let part = &mut bytes[..RESIDENT_PIECE.min((pages - done) as usize)];
        memory::resident(address + done * PAGE_SIZE, part)?;
        user::write_bytes(vector + done, part)?;
        done += part.len() as u64;
    }
    Ok(0)
}

/// Whether anything may be locked: by `RLIMIT_MEMLOCK`, which does not bind user 0. The kernel counts.
///
/// # Errors
/// `EPERM`: nothing may.
pub fn check_may_lock() -> Result<()> {
    let bound = IDENTITY.lock().euid != 0;
    if bound && limits::current().soft(linux::RLIMIT_MEMLOCK) == 0 {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// Whether so many bytes more may be locked.
///
/// # Errors
/// `EAGAIN`, as `mmap` has it.
pub fn check_lock_room(bytes: u64) -> Result<()> {
    let info = memory::info(0)?;
    let (used, most) = (
        info.used[MemoryLimit::Locked as usize],
        info.limits[MemoryLimit::Locked as usize],
    );
    if used.saturating_add(bytes / PAGE_SIZE) > most {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

fn lock(address: u64, length: u64) -> Result<u64> {
    let (start, length) = mapping::pages(address, length)?;
    check_may_lock()?;
    if length > 0 {
        memory::lock(start, length).map_err(|error| match error {
            // Mapped, but there is no page.
            Error::Fault => Errno::ENOMEM,
            error => error.into(),
        })?;
    }
    Ok(0)
}

pub fn mlock(frame: &mut Frame) -> Result<u64> {
    let [address, length, ..] = frame.args();
    lock(address, length)
}

/// With `MLOCK_ONFAULT` the pages need not be there yet; that they are is no harm.
pub fn mlock2(frame: &mut Frame) -> Result<u64> {
    let [address, length, flags, ..] = frame.args();
    if flags & !u64::from(linux::MLOCK_ONFAULT) != 0 {
        return Err(Errno::EINVAL);
    }
    lock(address, length)
}

pub fn munlock(frame: &mut Frame) -> Result<u64> {
    let [address, length, ..] = frame.args();
    let (start, length) = mapping::pages(address, length)?;
    if length > 0 {
        memory::unlock(start, length)?;
    }
    Ok(0)
}

pub fn mlockall(frame: &mut Frame) -> Result<u64> {
    let flags = frame.rdi;
    let what = u64::from(linux::MCL_CURRENT | linux::MCL_FUTURE);
    if flags & !ALL_FLAGS != 0 || flags & what == 0 {
        return Err(Errno::EINVAL);
    }
    check_may_lock()?;
    if flags & u64::from(linux::MCL_CURRENT) != 0 {
        for region in program::regions(USER_BASE, STACK_TOP - USER_BASE) {
            // Pages that nobody may touch need not be there.
            if region.prot != 0 {
                memory::lock(region.start, region.end - region.start)?;
            }
        }
    }
    *LOCKING.lock() = match flags & u64::from(linux::MCL_FUTURE) {
        0 => LockFuture::No,
        _ => LockFuture::Yes,
    };
    Ok(0)
}

pub fn munlockall(_: &mut Frame) -> Result<u64> {
    *LOCKING.lock() = LockFuture::No;
    for region in program::regions(USER_BASE, STACK_TOP - USER_BASE) {
        if has(&region, MapFlags::LOCKED) {
            memory::unlock(region.start, region.end - region.start)?;
        }
    }
    Ok(0)
}
