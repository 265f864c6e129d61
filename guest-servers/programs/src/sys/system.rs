//! The machine: its names, memory, processors, and its end.

use std::ffi::CStr;
use std::io;
use std::mem;

use super::check;

/// The five names of the running system.
pub struct Names {
    /// Operating system.
    pub system: String,
    /// This machine.
    pub node: String,
    /// Version of the kernel's interface.
    pub release: String,
    /// Build of the kernel.
    pub version: String,
    /// Processor architecture.
    pub machine: String,
}

/// What uname(2) says.
pub fn names() -> io::Result<Names> {
    // SAFETY: all-zero is a valid utsname.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: the pointer is a live utsname's.
    check(unsafe { libc::uname(&mut names) })?;
    let text = |field: &[libc::c_char]| {
        // SAFETY: the kernel ends every field with a NUL, and the structure was zeroed.
        unsafe { CStr::from_ptr(field.as_ptr()) }
            .to_string_lossy()
            .into_owned()
    };
    Ok(Names {
        system: text(&names.sysname),
        node: text(&names.nodename),
        release: text(&names.release),
        version: text(&names.version),
        machine: text(&names.machine),
    })
}

/// User id and group id, real ones.
pub fn ids() -> (u32, u32) {
    // SAFETY: getuid and getgid have no precondition.
    unsafe { (libc::getuid(), libc::getgid()) }
}

/// Effective user id.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid has no precondition.
    unsafe { libc::geteuid() }
}

/// Memory in bytes: total and free.
pub fn memory() -> io::Result<(u64, u64)> {
    // SAFETY: all-zero is a valid sysinfo.
    let mut info: libc::sysinfo = unsafe { mem::zeroed() };
    // SAFETY: the pointer is a live sysinfo's.
    check(unsafe { libc::sysinfo(&mut info) })?;
    let unit = u64::from(info.mem_unit.max(1));
    Ok((info.totalram * unit, info.freeram * unit))
}

/// Processors that this process may run on.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor that this thread runs on.
pub fn current_processor() -> io::Result<u32> {
    let mut cpu: libc::c_uint = 0;
    // SAFETY: getcpu fills the first pointer; the others may be null. By number, because the
    // C library would ask the vDSO, which a system need not have.
    let result = unsafe {
        libc::syscall(
            libc::SYS_getcpu,
            &mut cpu,
            std::ptr::null_mut::<u32>(),
            0usize,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(cpu)
    }
}

/// Ends the machine with `status`. `reboot(2)` takes a fourth argument that Linux ignores
/// for `LINUX_REBOOT_CMD_POWER_OFF`; Ferrix takes it as the status that its monitor exits
/// with. Returns only on failure.
pub fn power_off(status: u8) -> io::Error {
    end(libc::LINUX_REBOOT_CMD_POWER_OFF, status)
}

/// Resets the machine. Returns only on failure.
pub fn restart() -> io::Error {
    end(libc::LINUX_REBOOT_CMD_RESTART, 0)
}

fn end(command: libc::c_int, status: u8) -> io::Error {
    // SAFETY: reboot(2) takes numbers; for these commands the argument is no pointer.
    unsafe {
        libc::syscall(
            libc::SYS_reboot,
            libc::LINUX_REBOOT_MAGIC1,
            libc::LINUX_REBOOT_MAGIC2,
            command,
            libc::c_long::from(status),
        )
    };
    io::Error::last_os_error()
}

/// Makes system call `number` with six zeros and returns its result, or the error.
pub fn raw_call(number: i64) -> io::Result<i64> {
    // SAFETY: every pointer is null, so the call cannot touch memory of ours; one that ends
    // or changes this process is what the user asked for.
    let result = unsafe { libc::syscall(number, 0usize, 0usize, 0usize, 0usize, 0usize, 0usize) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
