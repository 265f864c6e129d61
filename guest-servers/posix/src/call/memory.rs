//! The program's address space: `brk`, `mmap` and its relatives.

use super::memory_advice::{check_lock_room, check_may_lock};
use super::shm;
use crate::file_view::FileObject;
use crate::program;
use crate::server;
use crate::state::{self, BREAK, LOCKING, LockFuture};
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::limit::INFINITY;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::heap_break::Step;
use ferrix_posix::mapping::{self, Backing, Request, Zone};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file;
use ferrix_rt::sys::memory::{Mapping, SELF};
use linux_raw_sys::general as linux;

/// The first two gigabytes, from where `MAP_32BIT` looks for room.
const LOW: core::ops::Range<u64> = 0x4000_0000..0x8000_0000;

/// Moves the break; its place, moved or not. (The kernel counts what is mapped: `RLIMIT_DATA`.)
pub fn brk(frame: &mut Frame) -> Result<u64> {
    let wanted = frame.rdi;
    let mut heap = BREAK.lock();
    let step = heap.plan(wanted, INFINITY);
    let done = match step {
        Step::Map { address, length } => {
            program::map_fresh(address, length, future_flags()).map(drop)
        }
        Step::Unmap { address, length } => program::unmap(address, length),
        Step::None => Ok(()),
        Step::Refuse => Err(Errno::EINVAL),
    };
    if done.is_ok() {
        heap.commit(wanted, step);
    }
    Ok(heap.end())
}

/// What `mlockall(MCL_FUTURE)` adds to a mapping.
fn future_flags() -> MapFlags {
    match *LOCKING.lock() {
        LockFuture::Yes => MapFlags::LOCKED,
        LockFuture::No => MapFlags::empty(),
    }
}

pub fn mmap(frame: &mut Frame) -> Result<u64> {
    let [address, length, prot, flags, fd, offset] = frame.args();
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let anonymous = flags & u64::from(linux::MAP_ANONYMOUS) != 0;
    let session = match anonymous {
        true => Handle::NONE,
        false => Handle(state::descriptor(fd)?.handle),
    };
    let mut request = mapping::translate(address, length, prot, flags, offset)?;
    request.flags |= future_flags();
    let object = match request.backing {
        Backing::Anonymous => None,
        _ => Some(file_object(session, &request)?),
    };
    if request.flags.contains(MapFlags::LOCKED) {
        check_may_lock()?;
        check_lock_room(request.length)?;
    }
    let mapping = Mapping {
        process: SELF,
        address: request.address,
        length: request.length,
        prot: request.prot,
        flags: request.flags,
        object: object.as_ref().map_or(Handle::NONE, |object| object.handle),
        offset: if anonymous { 0 } else { offset },
    };
    match request.zone {
        Zone::Any => map(&mapping),
        Zone::Low => map_low(mapping),
    }
}

/// Maps; segments that a fixed mapping replaces are no longer attached.
fn map(mapping: &Mapping) -> Result<u64> {
    let mapped = program::map(mapping)?;
    if mapping.flags.contains(MapFlags::FIXED) {
        shm::forget(mapped, mapping.length);
    }
    Ok(mapped)
}

/// Maps at the first gap below 2 GiB.
fn map_low(mut mapping: Mapping) -> Result<u64> {
    mapping.flags = (mapping.flags - MapFlags::HINT) | MapFlags::NO_REPLACE;
    let mut candidate = LOW.start;
    loop {
        let end = candidate + mapping.length;
        if end > LOW.end {
            return Err(Errno::ENOMEM);
        }
        let taken = program::regions(candidate, mapping.length).next();
        match taken {
            Some(region) => candidate = region.end,
            None => {
                mapping.address = candidate;
                match program::map(&mapping) {
                    // Another thread was faster.
                    Err(Errno::EEXIST) => {}
                    result => return result,
                }
            }
        }
    }
}

/// The object of a file to map.
fn file_object(session: Handle, request: &Request) -> Result<FileObject> {
    let writes = request.backing == Backing::SharedFile && request.prot.contains(Prot::WRITE);
    let purpose = match request.backing {
        Backing::SharedFile if writes => file::object::WRITE,
        Backing::SharedFile => file::object::SHARE,
        _ => file::object::READ,
    };
    let object = FileObject::of(session, purpose).map_err(|errno| match errno {
        // A session that knows nothing of objects is of no file.
        Errno::ENOSYS => Errno::ENODEV,
        errno => errno,
    })?;
    if writes && !object.is_live {
        let mode = server::ask(session, file::GET_FLAGS, [0; 3])?.words[0] as u32;
        let may_write = mode & linux::O_ACCMODE == linux::O_RDWR;
        return Err(if may_write {
            Errno::ENODEV
        } else {
            Errno::EACCES
        });
    }
    Ok(object)
}

pub fn munmap(frame: &mut Frame) -> Result<u64> {
    let [address, length, ..] = frame.args();
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    // What lies outside the program's part is as good as nothing mapped, but nothing is unmapped there.
    let length = mapping::range(address, length).map_err(|_| Errno::EINVAL)?;
    program::unmap(address, length)?;
    shm::forget(address, length);
    Ok(0)
}

pub fn mprotect(frame: &mut Frame) -> Result<u64> {
    let [mut address, length, prot, ..] = frame.args();
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let mut length = mapping::range(address, length)?;
    if prot & u64::from(linux::PROT_GROWSDOWN) != 0 {
        // The whole of a mapping that grows down, from where it begins now.
        let region = program::regions(address, PAGE_SIZE)
            .next()
            .ok_or(Errno::ENOMEM)?;
        let start = program::whole_region(region.start)?;
        if start.flags & MapFlags::GROWS_DOWN.bits() == 0 {
            return Err(Errno::EINVAL);
        }
        (address, length) = (start.start, address + length - start.start);
    }
    let prot = mapping::protection(prot)?;
    program::protect(address, length, prot).map(|()| 0)
}

pub fn mremap(frame: &mut Frame) -> Result<u64> {
    let [address, old, new, flags, target, _] = frame.args();
    let remap = mapping::translate_remap([address, old, new, flags, target])?;
    program::remap(&remap)
}
