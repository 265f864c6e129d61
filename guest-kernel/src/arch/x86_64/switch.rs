//! Switching between threads.
//!
//! Instructions are counted here: a message between two servers is two switches, and little else.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

use super::cpu::{self, this_cpu};
use super::frame::FRAME_SIZE;
use super::instructions::{rdfsbase, wrfsbase, wrmsr};
use super::thread::{ArchThread, BASES_BY_MSR, PORTS};
use super::{entry, fpu, msr, ports, upcalls};
use crate::mm::{PhysAddr, paging, tlb};

/// Loads a root table, and publishes that this CPU uses it.
#[inline]
pub(super) fn load_root(root: PhysAddr) {
    cpu::set_active(root);
    // SAFETY: every thread's root contains the kernel, and lives as long as the thread.
    unsafe { paging::load_root(root) }
}

/// Makes address space, stack of entries and current thread those of `next`.
#[inline(always)]
fn change_owner(old: &ArchThread, new: &mut ArchThread) {
    if old.root != new.root {
        load_root(new.root);
    }
    cpu::set_entry_stack(new.rsp0);
    cpu::set_current(new);
}

/// Bases and floating point of threads that compute in floating point, or where bases are set by
/// MSR.
///
/// # Safety
/// As [`switch`].
#[inline(never)]
unsafe fn change_rarer_registers(old: &mut ArchThread, new: &mut ArchThread) {
    let next = &raw mut *new;
    // SAFETY: the instructions exist where the bases are not set by MSR; TS is clear while `old`
    // has floating point.
    unsafe {
        // One test for both.
        if old.traits & (BASES_BY_MSR | PORTS) != 0 {
            change_rarest(old, new);
        } else {
            change_bases(old, new);
        }
        match (&old.fpu, &new.fpu) {
            (None, None) => {}
            (Some(area), None) => {
                area.save();
                fpu::lock();
            }
            (from, Some(area)) => {
                match from {
                    Some(from) => from.save(),
                    None => fpu::unlock(),
                }
                let cpu = this_cpu();
                if cpu.fpu_owner.load(Relaxed) != next || new.fpu_cpu != cpu.id() as u32 {
                    area.restore();
                    cpu.fpu_owner.store(next, Relaxed);
                    new.fpu_cpu = cpu.id() as u32;
                }
            }
        }
    }
}

/// What few machines and few threads need.
///
/// # Safety
/// As [`change_rarer_registers`].
#[inline(never)]
unsafe fn change_rarest(old: &mut ArchThread, new: &mut ArchThread) {
    if old.traits & PORTS != 0 {
        ports::close(old);
    }
    // SAFETY: the caller's promises are those that are needed.
    unsafe {
        if old.traits & BASES_BY_MSR != 0 {
            change_bases_by_msr(new);
        } else {
            change_bases(old, new);
        }
    }
}

/// FS and GS base, where instructions change them.
///
/// # Safety
/// Interrupts are off, and the processor has the instructions.
#[inline(always)]
unsafe fn change_bases(old: &mut ArchThread, new: &ArchThread) {
    // SAFETY: by the caller's promise.
    unsafe {
        set_user_gs(new.gs_base);
        if old.fpu.is_some() {
            old.fs_base = rdfsbase();
        }
        if new.fpu.is_some() {
            wrfsbase(new.fs_base);
        }
    }
}

/// Sets GS base of user mode. Programs may change it themselves, so it is set always.
///
/// # Safety
/// Interrupts are off, and the processor has WRGSBASE.
#[inline(always)]
unsafe fn set_user_gs(base: u64) {
    // SAFETY: SWAPGS twice leaves the kernel's GS; in between nothing uses it (NMI and debug
    // entries bring their own).
    unsafe {
        asm!("swapgs", "wrgsbase {}", "swapgs", in(reg) base, options(nostack, preserves_flags));
    }
}

/// FS and user GS base, where there is no instruction for them. A program can change the bases all the same, by
/// loading a selector, so they are written always.
///
/// # Safety
/// Interrupts are off.
unsafe fn change_bases_by_msr(new: &ArchThread) {
    // SAFETY: every x86-64 has these registers.
    unsafe {
        if new.fpu.is_some() {
            wrmsr(msr::FS_BASE, new.fs_base);
        }
        wrmsr(msr::KERNEL_GS_BASE, new.gs_base);
    }
}

/// Runs `next` on this CPU; returns when `prev`, the current thread, is run again.
///
/// # Safety
/// 1. Interrupts are off (they are still off on return), and of locks only `lock` is held: it is
///    released when the stack of `prev` is left,
/// 2. `prev` is this CPU's current thread, and not `next`,
/// 3. nobody else is about to run `next` (a CPU that is still leaving it is waited for),
/// 4. both stay valid until each runs again.
#[inline]
pub unsafe fn switch(prev: *mut ArchThread, next: *mut ArchThread, lock: &AtomicBool) {
    // SAFETY: both are valid, and with interrupts off nobody else uses these fields. Without traits the processor has
    // WRGSBASE. For the rest the caller's promises are those that are needed.
    unsafe {
        let (old, new) = (&mut *prev, &mut *next);
        change_owner(old, new);
        if old.traits | new.traits != 0 {
            change_rarer_registers(old, new);
        } else {
            set_user_gs(new.gs_base);
        }
        switch_stack(prev, next, lock);
        // From now on it is parked whenever it enters the kernel anew.
        (*prev).rsp = (*prev).rsp0.wrapping_sub(FRAME_SIZE as u64);
        (*prev).resume = entry::parked_exit();
    }
}

/// Continues `next` and forgets what is on the kernel stack of `prev`, which stays parked.
///
/// # Safety
/// As [`switch`], with the core lock as the lock; and nothing that lives on the stack of `prev` needs to be dropped.
#[inline(always)]
pub unsafe fn resume(prev: *mut ArchThread, next: *mut ArchThread) -> ! {
    // SAFETY: as in `switch`.
    unsafe {
        let (old, new) = (&mut *prev, &mut *next);
        change_owner(old, new);
        if old.traits | new.traits != 0 {
            resume_rarer(old, new);
        }
        set_user_gs(new.gs_base);
        jump(next)
    }
}

/// The rest of [`resume`] where there are traits. A way without return, so that the usual one saves no register
/// for it.
///
/// # Safety
/// As [`resume`].
#[inline(never)]
unsafe fn resume_rarer(old: &mut ArchThread, new: &mut ArchThread) -> ! {
    // SAFETY: the caller's promises are those that are needed.
    unsafe {
        change_rarer_registers(old, new);
        jump(new)
    }
}

/// Goes to the stack of `next` and gives the core lock back.
///
/// # Safety
/// As [`resume`]; all other registers are those of `next`.
#[inline(always)]
unsafe fn jump(next: *mut ArchThread) -> ! {
    // SAFETY: by the caller's promise.
    unsafe {
        asm!(
            "mov rsp, [{next} + {rsp}]",
            "mov byte ptr [rip + {lock}], 0",
            "jmp [{next} + {resume}]",
            next = in(reg) next,
            lock = sym upcalls::CORE_LOCK,
            rsp = const offset_of!(ArchThread, rsp),
            resume = const offset_of!(ArchThread, resume),
            options(noreturn),
        );
    }
}

/// Makes `thread` the one that this CPU, which has none yet, is running.
pub fn adopt(thread: *mut ArchThread) {
    cpu::set_current(thread);
    cpu::set_active(tlb::kernel_root());
}

/// Saves what Rust expects to be kept, changes stacks, and returns on the other.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch_stack(
    prev: *mut ArchThread,
    next: *mut ArchThread,
    lock: &AtomicBool,
) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {rsp}], rsp",
        "lea rax, [rip + 2f]",
        "mov [rdi + {resume}], rax",
        "mov rsp, [rsi + {rsp}]",
        "mov byte ptr [rdx], 0",
        "jmp [rsi + {resume}]",
        "2:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        rsp = const offset_of!(ArchThread, rsp),
        resume = const offset_of!(ArchThread, resume),
    )
}
