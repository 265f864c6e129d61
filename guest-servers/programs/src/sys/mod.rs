//! The system: thin safe wrappers around the C library for what `std` does not offer.
//!
//! Each function takes and returns plain values; no pointer leaves this module. Neighbours:
//! every program that needs more than `std`.

pub mod fault;
pub mod fd;
pub mod fs;
pub mod limit;
pub mod lock;
pub mod memory;
pub mod mq;
pub mod process;
pub mod realtime;
pub mod robust;
pub mod sched;
pub mod semaphore;
pub mod signal;
pub mod socket;
pub mod system;
pub mod sysv;
pub mod term;

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// A C result: -1 is the error in `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same for a call that returns a size.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A string for C; a NUL inside is `EINVAL`.
fn c_string(text: impl AsRef<OsStr>) -> io::Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
