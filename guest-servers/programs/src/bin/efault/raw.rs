//! System calls without a library between, and memory by address.

use std::arch::asm;

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// What a system call leaves in RAX: negative is an error's number.
///
/// # Safety
/// What the call does to this process's memory, Rust code must not mind.
pub unsafe fn call(number: i64, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps all registers but RAX, RCX and R11; the rest is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Fresh memory at a fixed place, with `prot`; `fd` -1: not a file's.
///
/// # Panics
/// If there is something already.
pub fn map_at(address: usize, length: usize, prot: i32, fd: i32) -> usize {
    let anonymous = if fd < 0 { libc::MAP_ANONYMOUS } else { 0 };
    let kind = if fd < 0 {
        libc::MAP_PRIVATE
    } else {
        libc::MAP_SHARED
    };
    let flags = kind | anonymous | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: nothing is replaced.
    let got = unsafe { libc::mmap(address as *mut _, length, prot, flags, fd, 0) };
    assert_eq!(got as usize, address, "{}", std::io::Error::last_os_error());
    address
}

/// Writes bytes.
///
/// # Safety
/// The place is mapped for writing, and no Rust object.
pub unsafe fn poke(address: usize, bytes: &[u8]) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy(bytes.as_ptr(), address as *mut u8, bytes.len()) };
}

/// The bytes of some words.
pub fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The bytes of some half words.
pub fn halves<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
