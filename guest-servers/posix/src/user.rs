//! The program's memory. Every access is by a routine whose faults come back as `EFAULT`, and only below
//! `SYSTEM_BASE`: a program cannot make the personality read or overwrite itself.

use core::arch::naked_asm;
use core::mem::MaybeUninit;
use ferrix_abi::layout::{PAGE_SIZE, SYSTEM_BASE};
use ferrix_abi::limit::{Limit, LimitInfo};
use ferrix_abi::signal::SignalSet;
use ferrix_posix::actions::Action;
use ferrix_posix::signal_frame::{AltStack, SignalFrame};
use ferrix_posix::{Errno, Result};
use ferrix_posix::{mq, shm, socket, sysv};
use linux_raw_sys::{general as linux, system};

/// Copies `length` bytes; 0, or 1 after a fault (`fault_entry` returns for it).
///
/// # Safety
/// One side is a valid Rust object or mapping of `length` bytes; the other lies in the program's part of the
/// address space, where writing cannot break anything of the personality.
#[unsafe(naked)]
#[unsafe(link_section = ".text.guarded")]
unsafe extern "C" fn guarded_copy(to: u64, from: u64, length: u64) -> u64 {
    naked_asm!("mov rcx, rdx", "rep movsb", "xor eax, eax", "ret")
}

/// Looks for a NUL among `limit` bytes (at least 1): its offset in `*found`, or `limit`. 0, or 1 after a fault.
///
/// # Safety
/// `found` is a valid word; `from` may be any address.
#[unsafe(naked)]
#[unsafe(link_section = ".text.guarded")]
unsafe extern "C" fn guarded_length(from: u64, limit: u64, found: *mut u64) -> u64 {
    naked_asm!(
        "xor ecx, ecx",
        "2: cmp byte ptr [rdi + rcx], 0",
        "je 3f",
        "inc rcx",
        "cmp rcx, rsi",
        "jb 2b",
        "3: mov [rdx], rcx",
        "xor eax, eax",
        "ret",
    )
}

/// Replaces `expected` by `new` in a word; what was there before goes to `*before`. 0, or 1 after a fault.
///
/// # Safety
/// `word` lies in the program's part; `before` is a valid word.
#[unsafe(naked)]
#[unsafe(link_section = ".text.guarded")]
unsafe extern "C" fn guarded_exchange(word: u64, expected: u32, new: u32, before: *mut u32) -> u64 {
    naked_asm!(
        "mov eax, esi",
        "mov r8, rcx",
        "lock cmpxchg dword ptr [rdi], edx",
        "mov dword ptr [r8], eax",
        "xor eax, eax",
        "ret",
    )
}

/// Writes to a byte what is there already. 0, or 1 after a fault.
///
/// # Safety
/// The byte lies in the program's part.
#[unsafe(naked)]
#[unsafe(link_section = ".text.guarded")]
unsafe extern "C" fn guarded_touch(byte: u64) -> u64 {
    naked_asm!("lock or byte ptr [rdi], 0", "xor eax, eax", "ret")
}

/// What a routine returns after a fault for which there was no memory.
const NO_MEMORY: u64 = 2;

fn outcome(fault: u64) -> Result<()> {
    match fault {
        0 => Ok(()),
        NO_MEMORY => Err(Errno::ENOMEM),
        _ => Err(Errno::EFAULT),
    }
}

/// Whether the range lies in the program's part.
pub fn check(address: u64, length: u64) -> Result<()> {
    match address.checked_add(length) {
        Some(end) if end <= SYSTEM_BASE => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies from the program.
pub fn read_bytes(address: u64, into: &mut [u8]) -> Result<()> {
    check(address, into.len() as u64)?;
    // SAFETY: the destination is a Rust slice of that length, the source is checked.
    outcome(unsafe { guarded_copy(into.as_mut_ptr() as u64, address, into.len() as u64) })
}

/// Copies to the program.
pub fn write_bytes(address: u64, from: &[u8]) -> Result<()> {
    check(address, from.len() as u64)?;
    // SAFETY: the source is a Rust slice of that length, the destination is checked.
    outcome(unsafe { guarded_copy(address, from.as_ptr() as u64, from.len() as u64) })
}

/// Copies inside the program.
pub fn copy(to: u64, from: u64, length: u64) -> Result<()> {
    check(to, length)?;
    check(from, length)?;
    // SAFETY: both ranges lie in the program's part.
    outcome(unsafe { guarded_copy(to, from, length) })
}

/// Copies between the program and memory of the personality that is no Rust object (a window).
///
/// # Safety
/// `outside` is a mapped range of `length` bytes that no Rust reference covers.
pub unsafe fn read_raw(address: u64, outside: u64, length: u64) -> Result<()> {
    check(address, length)?;
    // SAFETY: the caller's condition, and the check.
    outcome(unsafe { guarded_copy(outside, address, length) })
}

/// The other way.
///
/// # Safety
/// As [`read_raw`].
pub unsafe fn write_raw(address: u64, outside: u64, length: u64) -> Result<()> {
    check(address, length)?;
    // SAFETY: the caller's condition, and the check.
    outcome(unsafe { guarded_copy(address, outside, length) })
}

/// Atomically replaces a word if it is `expected`; what it was.
pub fn exchange(address: u64, expected: u32, new: u32) -> Result<u32> {
    check(address, 4)?;
    let mut before = 0;
    // SAFETY: the word lies in the program's part, `before` is a local.
    outcome(unsafe { guarded_exchange(address, expected, new, &raw mut before) })?;
    Ok(before)
}

fn is_writable(address: u64) -> bool {
    // SAFETY: the byte is the program's, and does not change.
    check(address, 1).is_ok() && unsafe { guarded_touch(address) } == 0
}

/// How many bytes from an address on can be written, at most `length`; for who must know before it takes what cannot
/// be given back. Of memory whose first and last byte are there, what lies between is believed: to touch it all would
/// make pages that nobody needs.
pub fn writable(address: u64, length: u64) -> u64 {
    if check(address, length).is_ok()
        && length > 0
        && is_writable(address)
        && is_writable(address + length - 1)
    {
        return length;
    }
    let mut fits = 0;
    while fits < length && is_writable(address.wrapping_add(fits)) {
        fits += PAGE_SIZE - (address + fits) % PAGE_SIZE;
    }
    fits.min(length)
}

/// Length of a NUL-terminated string, not above `most`.
///
/// # Errors
/// `EFAULT`, or `ENAMETOOLONG` when no NUL comes.
pub fn string_length(address: u64, most: u64) -> Result<u64> {
    let mut length = 0;
    while length <= most {
        let start = address.checked_add(length).ok_or(Errno::EFAULT)?;
        // Page by page, so that bytes beyond the string's last page are never touched.
        let limit = PAGE_SIZE - start % PAGE_SIZE;
        check(start, limit)?;
        let mut found = 0;
        // SAFETY: `found` is a local; the range is only read.
        outcome(unsafe { guarded_length(start, limit, &raw mut found) })?;
        length += found;
        if found < limit {
            return if length <= most {
                Ok(length)
            } else {
                Err(Errno::ENAMETOOLONG)
            };
        }
    }
    Err(Errno::ENAMETOOLONG)
}

/// Types that any bytes are a value of.
///
/// # Safety
/// Integers, arrays of them, and `repr(C)` structures of them only.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: integers (and raw pointers) in a `repr(C)` structure.
        unsafe impl Plain for $type {}
    )*};
}
plain! {
    u8, [u8; 2], u32, i32, u64, [u32; 2], [i32; 2], [u64; 2], [u64; 3], [u64; 16], SignalFrame, Action, AltStack, Limit, LimitInfo,
    linux::stat, linux::statx, linux::statfs, linux::iovec, linux::pollfd, linux::rusage,
    linux::__kernel_timespec, linux::__kernel_old_timeval, linux::__kernel_old_itimerval, linux::robust_list_head,
    linux::flock, shm::Status, shm::Limits, shm::Usage, system::new_utsname, SystemInfo, Mask, [linux::__kernel_timespec; 2],
    [linux::__kernel_old_timeval; 2], [u8; 16], mq::Attributes, mq::Notification,
    sysv::MessageStatus, sysv::SetStatus, [u32; 8], [u32; 10], socket::MessageHead, socket::ManyHead, socket::ControlHead,
}

/// `struct sysinfo` without its open end, which linux-raw-sys makes uncopyable.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SystemInfo {
    /// Seconds since boot.
    pub uptime: u64,
    /// Load averages.
    pub loads: [u64; 3],
    /// Bytes of memory: total, free, shared, buffers; swap: total, free.
    pub memory: [u64; 6],
    /// Processes.
    pub processes: u16,
    /// Keeps the layout.
    pub padding: [u16; 3],
    /// High memory: total, free.
    pub high: [u64; 2],
    /// Bytes of the unit.
    pub unit: u32,
    /// Keeps the size.
    pub end: u32,
}

const _: () = assert!(size_of::<SystemInfo>() == 112);

/// `sigset_t` with the size that Linux demands.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Mask(pub SignalSet);

/// A value with all bytes zero.
pub fn zeroed<T: Plain>() -> T {
    // SAFETY: any bytes are a value of a plain type.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// A structure of the program.
pub fn read<T: Plain>(address: u64) -> Result<T> {
    check(address, size_of::<T>() as u64)?;
    let mut value = zeroed::<T>();
    // SAFETY: the destination is a value of that size, and any bytes are valid for it.
    outcome(unsafe { guarded_copy(&raw mut value as u64, address, size_of::<T>() as u64) })?;
    Ok(value)
}

/// Stores a structure in the program.
pub fn write<T: Plain>(address: u64, value: &T) -> Result<()> {
    check(address, size_of::<T>() as u64)?;
    // SAFETY: the source is a value of that size. (Padding tells the program nothing: all this memory is its own.)
    outcome(unsafe { guarded_copy(address, &raw const *value as u64, size_of::<T>() as u64) })
}

/// A structure, if the address is not null.
pub fn read_optional<T: Plain>(address: u64) -> Result<Option<T>> {
    if address == 0 {
        Ok(None)
    } else {
        read(address).map(Some)
    }
}

/// Stores a structure, if the address is not null.
pub fn write_optional<T: Plain>(address: u64, value: &T) -> Result<()> {
    if address == 0 {
        Ok(())
    } else {
        write(address, value)
    }
}
