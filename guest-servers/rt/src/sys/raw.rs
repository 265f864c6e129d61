//! The instruction itself.

use core::arch::asm;
use ferrix_abi::{Call, error::Result, error::decode};

/// Makes a system call with up to six arguments; RAX decoded.
///
/// # Safety
/// 1. Pointers among the arguments are valid for what the call does with them.
/// 2. The call does not take memory away that Rust code still uses (unmapping, protection).
#[inline(always)]
pub unsafe fn call6(call: Call, args: [u64; 6]) -> Result<u64> {
    // SAFETY: the caller's conditions.
    unsafe { call6_pair(call, args) }.map(|(rax, _)| rax)
}

/// The same, with RDX as second result.
///
/// # Safety
/// As [`call6`].
#[inline(always)]
pub unsafe fn call6_pair(call: Call, args: [u64; 6]) -> Result<(u64, u64)> {
    let rax: u64;
    let rdx: u64;
    // SAFETY: the kernel keeps every register but RAX, RCX and R11 (RDX where it is a result); the
    // caller vouches for the memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") u64::from(call as u8) => rax,
            in("rdi") args[0],
            in("rsi") args[1],
            inlateout("rdx") args[2] => rdx,
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    decode(rax).map(|value| (value, rdx))
}

/// Makes a system call whose arguments are numbers only: safe for any value.
#[inline(always)]
pub(super) fn plain<const N: usize>(call: Call, args: [u64; N]) -> Result<u64> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: no argument is a pointer and the calls passed here do not change memory.
    unsafe { call6(call, all) }
}

/// The seven registers of a message, in and out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    /// Number and tag in; error, or kind and tag out.
    pub rax: u64,
    /// Destination or port in; pid and badge out.
    pub rdi: u64,
    /// RSI, RDX, R10, R8: the words.
    pub words: [u64; 4],
    /// Reply token.
    pub r9: u64,
}

/// A message call: all seven registers both ways.
#[inline(always)]
pub fn message(registers: &mut Registers) {
    let Registers {
        rax,
        rdi,
        words: [rsi, rdx, r10, r8],
        r9,
    } = registers;
    // SAFETY: message calls touch no memory but the thread's UTCB, whose Rust view is only used
    // between calls; ranges moved by MAP items are the business of `ipc`'s callers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") *rax,
            inlateout("rdi") *rdi,
            inlateout("rsi") *rsi,
            inlateout("rdx") *rdx,
            inlateout("r10") *r10,
            inlateout("r8") *r8,
            inlateout("r9") *r9,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
}
