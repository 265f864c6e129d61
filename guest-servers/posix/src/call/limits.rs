//! `getrlimit` and its relatives, and the limits that the personality enforces: descriptors and file sizes.
//!
//! The kernel has the limits, and tells in the UTCB when another process has changed them.

use crate::state::LIMITS;
use crate::sync::Guard;
use crate::user;
use ferrix_abi::limit::{INFINITY, Limit, LimitInfo, Resource};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::SIGXFSZ;
use ferrix_posix::limits::Limits;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::io;
use ferrix_rt::sys::signal::{self, Target};
use ferrix_rt::sys::{limit, utcb};
use linux_raw_sys::general as linux;

/// The limits, as they are now.
pub fn current() -> Guard<'static, Limits> {
    let mut limits = LIMITS.lock();
    let changed = utcb::take_limits_changed();
    if changed || !limits.are_known() {
        // The kernel refuses this to nobody; without it the defaults hold.
        if let Ok(info) = limit::info(0) {
            limits.learn(&info.limits);
        }
    }
    limits
}

/// A refusal for want of a descriptor is counted.
pub fn noting_descriptors<T>(result: Result<T>) -> Result<T> {
    result.inspect_err(|&errno| {
        if errno == Errno::EMFILE {
            limit::violated(Resource::Files);
        }
    })
}

/// What a request to write tells of how large its file may become.
pub fn write_flags() -> u64 {
    match current().soft(linux::RLIMIT_FSIZE) {
        INFINITY => 0,
        most => io::limited_to(most),
    }
}

/// Whether a file of `now()` bytes may get `wanted`.
///
/// # Errors
/// `EFBIG`, with SIGXFSZ; what `now` says.
pub fn check_file_size(wanted: u64, now: impl FnOnce() -> Result<u64>) -> Result<()> {
    let most = current().soft(linux::RLIMIT_FSIZE);
    if wanted <= most || wanted <= now()? {
        return Ok(());
    }
    Err(too_large(Errno::EFBIG))
}

/// After a write that failed: too large a file is a violation, with its signal.
pub fn too_large(errno: Errno) -> Errno {
    if errno == Errno::EFBIG && current().soft(linux::RLIMIT_FSIZE) != INFINITY {
        limit::violated(Resource::FileSize);
        let info = SignalInfo {
            signo: SIGXFSZ,
            ..SignalInfo::default()
        };
        // The thread exists: it is the caller.
        let _ = signal::send(Target::Thread, utcb::tid() as i32, &info);
    }
    errno
}

fn resource(number: u64) -> Result<Resource> {
    u8::try_from(number)
        .ok()
        .and_then(|number| Resource::try_from(number).ok())
        .ok_or(Errno::EINVAL)
}

pub fn getrlimit(frame: &mut Frame) -> Result<u64> {
    let [which, place, ..] = frame.args();
    let limit = limit::set(0, resource(which)?, None)?;
    user::write(place, &limit).map(|()| 0)
}

pub fn setrlimit(frame: &mut Frame) -> Result<u64> {
    let [which, place, ..] = frame.args();
    exchange(0, resource(which)?, Some(user::read(place)?)).map(|_| 0)
}

/// Sets a limit of a process; the old one.
fn exchange(pid: u32, which: Resource, new: Option<Limit>) -> Result<Limit> {
    let old = limit::set(pid, which, new.as_ref())?;
    if let Some(new) = new.filter(|_| pid == 0 || pid == utcb::pid()) {
        current().set(which as u32, new);
    }
    Ok(old)
}

pub fn prlimit64(frame: &mut Frame) -> Result<u64> {
    let [pid, which, new, old, ..] = frame.args();
    let which = resource(which)?;
    let new = user::read_optional::<Limit>(new)?;
    let pid = u32::try_from(pid as i32).map_err(|_| Errno::ESRCH)?;
    let before = exchange(pid, which, new)?;
    user::write_optional(old, &before).map(|()| 0)
}

/// Ferrix's own: limits, use and violations of a process.
pub fn check_memory_violation(frame: &mut Frame) -> Result<u64> {
    let [pid, place, ..] = frame.args();
    let pid = u32::try_from(pid as i32).map_err(|_| Errno::ESRCH)?;
    let info = limit::info(pid)?;
    user::write::<LimitInfo>(place, &info).map(|()| 0)
}
