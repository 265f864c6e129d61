//! Floating-point state: FXSAVE, or XSAVE where CPUID offers it, and XSAVEOPT, which passes over what did not change.
//!
//! Threads that compute in floating point (Linux programs) have an area; it is saved whenever such
//! a thread is switched out, and restored unless the registers still hold it. Other threads
//! (servers) run with CR0.TS set, so they neither see nor change what is in the registers.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use alloc::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use core::ptr::NonNull;

use ferrix_abi::error::{Error, Result};

use super::features::{self, Features, features};
use super::instructions::{read_cr4, write_cr4};

/// x87, SSE: what FXSAVE has.
const LEGACY: u64 = 3;
const AVX: u64 = 1 << 2;
/// Opmask, upper halves, upper registers: all or none.
const AVX_512: u64 = 7 << 5;
const CR4_OSXSAVE: u64 = 1 << 18;
/// CR0 in the running kernel: PG, AM, WP, NE, ET, MP, PE.
pub const CR0: u64 = 0x8005_0033;
const CR0_TS: u64 = 1 << 3;

/// Bytes of an area; 512 means FXSAVE.
static SIZE: AtomicUsize = AtomicUsize::new(512);
/// Whether XSAVEOPT is used.
static OPTIMISED: AtomicBool = AtomicBool::new(false);

/// A thread's floating-point registers while they are not in the processor.
#[derive(Debug)]
pub struct FpuArea(NonNull<u8>);

// SAFETY: the area is plain memory with one owner.
unsafe impl Send for FpuArea {}
// SAFETY: it is accessed only by the CPU that switches its thread.
unsafe impl Sync for FpuArea {}

fn layout() -> Layout {
    let size = SIZE.load(Relaxed);
    // SAFETY: a power of two, and far from overflowing.
    unsafe { Layout::from_size_align_unchecked(size, 64) }
}

impl FpuArea {
    /// The state in which a program begins.
    pub fn new() -> Result<FpuArea> {
        // SAFETY: the layout is not empty.
        let area = NonNull::new(unsafe { alloc_zeroed(layout()) }).ok_or(Error::NoMemory)?;
        // SAFETY: both fields are in the legacy area: FCW (all exceptions masked), MXCSR.
        unsafe {
            area.cast::<u16>().write(0x37f);
            area.add(24).cast::<u32>().write(0x1f80);
        }
        Ok(FpuArea(area))
    }

    /// An area to [`save`](Self::save) into before anything else.
    pub fn to_save() -> Result<FpuArea> {
        // FXSAVE writes all that FXRSTOR reads; XSAVE expects zeroes in its header.
        // SAFETY: the layout is not empty.
        let area = unsafe {
            if SIZE.load(Relaxed) == 512 {
                alloc(layout())
            } else {
                alloc_zeroed(layout())
            }
        };
        NonNull::new(area).map(FpuArea).ok_or(Error::NoMemory)
    }

    /// Puts the registers of this CPU into the area.
    ///
    /// # Safety
    /// CR0.TS is clear.
    #[inline]
    pub unsafe fn save(&self) {
        let area = self.0.as_ptr();
        if SIZE.load(Relaxed) == 512 {
            // SAFETY: the area is large enough and aligned.
            unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)) }
        } else if OPTIMISED.load(Relaxed) {
            // SAFETY: as below. What it passes over is in the area already: an area is written by this
            // instruction only, and read back before its thread runs elsewhere.
            unsafe {
                asm!("xsaveopt64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
                    options(nostack, preserves_flags));
            }
        } else {
            // SAFETY: the area was sized for all states by CPUID, and is aligned to 64.
            unsafe {
                asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
                    options(nostack, preserves_flags));
            }
        }
    }

    /// Puts the area into the registers of this CPU.
    ///
    /// # Safety
    /// CR0.TS is clear.
    #[inline]
    pub unsafe fn restore(&self) {
        let area = self.0.as_ptr();
        if SIZE.load(Relaxed) == 512 {
            // SAFETY: only `save` and `new` write the area, so it is a valid image.
            unsafe { asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags)) }
        } else {
            // SAFETY: as above.
            unsafe {
                asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX,
                    options(nostack, preserves_flags));
            }
        }
    }
}

impl Drop for FpuArea {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it by the same layout: the size never changes after boot.
        unsafe { dealloc(self.0.as_ptr(), layout()) }
    }
}

/// Lets the registers be used.
#[inline]
pub fn unlock() {
    // SAFETY: clears only CR0.TS.
    unsafe { asm!("clts", options(nomem, nostack, preserves_flags)) }
}

/// Makes every use of the registers trap.
#[inline]
pub fn lock() {
    // SAFETY: CR0 as it is, with TS.
    unsafe { asm!("mov cr0, {}", in(reg) CR0 | CR0_TS, options(nomem, nostack, preserves_flags)) }
}

/// Enables the extended states on this CPU, and sizes the areas.
pub(super) fn init() {
    if features().contains(Features::XSAVE) && !enable_states() {
        log!("XSAVE is not used: the hypervisor does not keep XCR0");
        features::lose_xcr0();
        // SAFETY: nothing has used XSAVE.
        unsafe { write_cr4(read_cr4() & !CR4_OSXSAVE) }
    }
    lock();
}

/// Enables XSAVE and what a context has on this CPU; false if it is gone after an exit to the hypervisor (QEMU's
/// SVM, without KVM, lets a guest's XSETBV pass, and KVM in it puts back what it knows).
fn enable_states() -> bool {
    let offered = __cpuid_count(0xd, 0);
    let states = enabled_states(offered.eax as u64);
    // SAFETY: CPUID offers XSAVE and these states.
    unsafe {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        asm!("xsetbv", in("ecx") 0, in("eax") states as u32, in("edx") (states >> 32) as u32,
            options(nomem, nostack, preserves_flags));
    }
    // EBX: what the enabled states need, FXSAVE's area and the header included. CPUID always exits.
    let size = __cpuid_count(0xd, 0).ebx as usize;
    let (low, high): (u32, u32);
    // SAFETY: XSAVE is enabled.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    let kept = states == (low as u64 | (high as u64) << 32);
    if kept {
        SIZE.store(size, Relaxed);
        OPTIMISED.store(features().contains(Features::XSAVEOPT), Relaxed);
    }
    kept
}

/// What a context has of the states that the processor offers. Not AMX, whose use a program must ask for; nor
/// protection keys, which the kernel does not offer.
fn enabled_states(offered: u64) -> u64 {
    let mut states = LEGACY;
    if offered & AVX != 0 {
        states |= AVX;
        if offered & AVX_512 == AVX_512 {
            states |= AVX_512;
        }
    }
    states
}
