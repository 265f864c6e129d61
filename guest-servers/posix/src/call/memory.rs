//! The program's address space: `brk`, `mmap` and its relatives.

use crate::file_view::FileObject;
use crate::program;
use crate::state::{self, BREAK};
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_posix::heap_break::Step;
use ferrix_posix::mapping::{self, Backing};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::memory::{Mapping, SELF};
use linux_raw_sys::general as linux;

/// Moves the break; its place, moved or not.
pub fn brk(frame: &mut Frame) -> Result<u64> {
    let wanted = frame.rdi;
    let mut heap = BREAK.lock();
    let step = heap.plan(wanted);
    let done = match step {
        Step::Map { address, length } => program::map_fresh(address, length).map(drop),
        Step::Unmap { address, length } => program::unmap(address, length),
        Step::None => Ok(()),
        Step::Refuse => Err(Errno::EINVAL),
    };
    if done.is_ok() {
        heap.commit(wanted, step);
    }
    Ok(heap.end())
}

pub fn mmap(frame: &mut Frame) -> Result<u64> {
    let [address, length, prot, flags, fd, offset] = frame.args();
    if offset % PAGE_SIZE != 0 {
        return Err(Errno::EINVAL);
    }
    let request = mapping::translate(address, length, prot, flags)?;
    let object = match request.backing {
        Backing::Anonymous => None,
        Backing::File => Some(FileObject::of(Handle(state::descriptor(fd)?.handle))?),
    };
    program::map(&Mapping {
        process: SELF,
        address: request.address,
        length: request.length,
        prot: request.prot,
        flags: request.flags,
        object: object.as_ref().map_or(Handle::NONE, |object| object.handle),
        offset: if object.is_some() { offset } else { 0 },
    })
}

pub fn munmap(frame: &mut Frame) -> Result<u64> {
    let [address, length, ..] = frame.args();
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    // What lies outside the program's part is as good as nothing mapped, but nothing is unmapped there.
    let length = mapping::range(address, length).map_err(|_| Errno::EINVAL)?;
    program::unmap(address, length).map(|()| 0)
}

pub fn mprotect(frame: &mut Frame) -> Result<u64> {
    let [address, length, prot, ..] = frame.args();
    let prot = mapping::protection(prot)?;
    if length == 0 {
        return Ok(0);
    }
    let length = mapping::range(address, length)?;
    program::protect(address, length, prot).map(|()| 0)
}

pub fn mremap(frame: &mut Frame) -> Result<u64> {
    let [address, old, new, flags, ..] = frame.args();
    if flags & !u64::from(linux::MREMAP_MAYMOVE) != 0 || new == 0 || old == 0 {
        return Err(Errno::EINVAL);
    }
    let old = mapping::range(address, old).map_err(|_| Errno::EFAULT)?;
    let new = new
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    program::remap(address, old, new, flags != 0)
}

pub fn madvise(frame: &mut Frame) -> Result<u64> {
    let [address, length, advice, ..] = frame.args();
    if length == 0 {
        return Ok(0);
    }
    let length = mapping::range(address, length)?;
    match advice as u32 {
        linux::MADV_DONTNEED | linux::MADV_FREE => program::discard(address, length).map(|()| 0),
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_HUGEPAGE
        | linux::MADV_NOHUGEPAGE
        | linux::MADV_COLD
        | linux::MADV_PAGEOUT => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// There are no writable shared file mappings, so there is nothing to write back.
pub fn msync(frame: &mut Frame) -> Result<u64> {
    let [address, length, ..] = frame.args();
    mapping::range(address, length.max(1)).map(|_| 0)
}
