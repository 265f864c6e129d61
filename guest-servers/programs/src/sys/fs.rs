//! File systems: mounts, capacity, special files, times.

use std::ffi::OsStr;
use std::io;
use std::mem;
use std::ptr;

use super::{c_string, check};

/// Access to a mounted file system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing may be changed.
    ReadOnly,
    /// Anything may.
    ReadWrite,
}

/// Attaches the file system of type `kind` on `device` at `target`, with the type's own options.
pub fn mount(
    device: &OsStr,
    target: &OsStr,
    kind: &OsStr,
    access: Access,
    options: &str,
) -> io::Result<()> {
    let (device, target, kind) = (c_string(device)?, c_string(target)?, c_string(kind)?);
    let options = c_string(options)?;
    let flags = if access == Access::ReadOnly {
        libc::MS_RDONLY
    } else {
        0
    };
    // SAFETY: four strings that outlive the call.
    check(unsafe {
        libc::mount(
            device.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    })
    .map(drop)
}

/// Detaches what is mounted at `target`.
pub fn unmount(target: &OsStr) -> io::Result<()> {
    let target = c_string(target)?;
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::umount(target.as_ptr()) }).map(drop)
}

/// A file system's capacity, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// All of it.
    pub total: u64,
    /// Not in use.
    pub free: u64,
    /// Not in use and not reserved.
    pub available: u64,
}

/// The capacity of the file system that holds `path`.
pub fn capacity(path: &OsStr) -> io::Result<Capacity> {
    let path = c_string(path)?;
    // SAFETY: all-zero is a valid statfs.
    let mut stat: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: a string and a statfs that outlive the call.
    check(unsafe { libc::statfs(path.as_ptr(), &mut stat) })?;
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    let bytes = |blocks: u64| blocks.saturating_mul(block);
    Ok(Capacity {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
    })
}

/// Makes a named pipe with mode bits `mode`, less the umask.
pub fn make_fifo(path: &OsStr, mode: u32) -> io::Result<()> {
    let path = c_string(path)?;
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::mkfifo(path.as_ptr(), mode) }).map(drop)
}

/// Seconds and nanoseconds since 1970.
pub type Timestamp = (i64, i64);

/// Sets both times of the file at `path`, `None` for the present.
pub fn set_times(path: &OsStr, times: Option<(Timestamp, Timestamp)>) -> io::Result<()> {
    let path = c_string(path)?;
    let spec = |(seconds, nanoseconds): Timestamp| libc::timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = times.map(|(accessed, modified)| [spec(accessed), spec(modified)]);
    let pointer = times.as_ref().map_or(ptr::null(), |times| times.as_ptr());
    // SAFETY: a string that outlives the call; null or an array of two that does.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), pointer, 0) }).map(drop)
}

/// Writes everything that is buffered to the disks.
pub fn sync() {
    // SAFETY: sync has no precondition.
    unsafe { libc::sync() }
}

/// Makes device number `device` readable: major and minor.
pub fn device_parts(device: u64) -> (u32, u32) {
    (libc::major(device), libc::minor(device))
}
