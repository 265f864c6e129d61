//! The instructions that paging needs.

use core::arch::asm;

use crate::mm::phys::PhysAddr;

/// Forgets the translation of one page, on this CPU.
#[inline]
pub fn invalidate_page(address: u64) {
    // SAFETY: dropping a cached translation changes no memory; the tables stay the truth.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
}

/// The root table in use on this CPU.
#[inline]
pub fn current_root() -> PhysAddr {
    let root: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) }
    PhysAddr(root & 0x000f_ffff_ffff_f000)
}

/// Makes `root` the root table of this CPU; forgets all translations that are not global.
///
/// # Safety
/// `root` is a root table that contains the kernel's entries and stays alive while it is loaded.
#[inline]
pub unsafe fn load_root(root: PhysAddr) {
    // SAFETY: by the caller's promise kernel code, stack and data stay mapped as they are.
    unsafe { asm!("mov cr3, {}", in(reg) root.0, options(nostack, preserves_flags)) }
}
