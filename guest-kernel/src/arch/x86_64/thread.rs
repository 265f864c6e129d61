//! Threads as the processor sees them: a kernel stack, an address space, bases, floating point.
//!
//! The top of a kernel stack, from the highest address down:
//!
//! | | |
//! |---|---|
//! | [`Anchor`] | what the entries need before they have a register: the personality's text |
//! | [`TrapFrame`] | the registers of user mode; RSP0 is its end |
//! | | the kernel's frames |
//!
//! A thread is *parked* when its stack holds nothing but its user frame: it continues by returning
//! to user mode. That is the resting state of `rsp` and `resume`, so a thread that blocks in a system
//! call as a whole needs nothing saved. Only [`switch`] leaves others, and takes them back.

use core::mem::offset_of;
use core::sync::atomic::Ordering::Relaxed;

use ferrix_abi::error::Result;
use ferrix_abi::layout::USER_TOP;
use ferrix_abi::process::Personality;

use super::cpu::{self, this_cpu};
use super::fpu::{self, FpuArea};
use super::frame::{FRAME_SIZE, TrapFrame};
use super::instructions::{rdmsr, wrmsr};
use super::switch::load_root;
use super::{entry, msr};
use crate::mm::PhysAddr;
use crate::mm::kstack::KernelStack;

pub use super::switch::{adopt, resume, switch};

/// What the entries find above the user frame.
#[derive(Debug)]
#[repr(C)]
pub struct Anchor {
    /// A SYSCALL from below is foreign.
    pub text_begin: u64,
    /// A SYSCALL from here or above is foreign.
    pub text_end: u64,
    /// Where a foreign SYSCALL continues.
    pub syscall_entry: u64,
    /// Keeps the frame aligned.
    reserved: u64,
}

const NO_CPU: u32 = u32::MAX;
const ANCHOR_SIZE: u64 = size_of::<Anchor>() as u64;

/// The architecture's part of a thread.
#[derive(Debug)]
#[repr(C)]
pub struct ArchThread {
    /// Its stack pointer when it continues.
    pub(super) rsp: u64,
    /// The address at which it continues.
    pub(super) resume: u64,
    /// The CPU that last had its floating-point state in its registers.
    pub(super) fpu_cpu: u32,
    /// The end of the user frame: RSP0.
    pub(super) rsp0: u64,
    pub(super) root: PhysAddr,
    pub(super) fs_base: u64,
    /// GS base in user mode: the address of its UTCB.
    pub(super) gs_base: u64,
    /// What a switch to or from it takes beyond the minimum: [`COMPUTES`], [`BASES_BY_MSR`],
    /// [`PORTS`].
    pub(super) traits: u32,
    /// Its floating-point state. Only such a thread has an FS base of its own.
    pub(super) fpu: Option<FpuArea>,
    stack: Option<KernelStack>,
}

/// The thread computes in floating point.
pub(super) const COMPUTES: u32 = 1 << 0;
/// The processor has no instructions for FS and GS base.
pub(super) const BASES_BY_MSR: u32 = 1 << 1;
/// The thread has opened this CPU's port permission map (see [`ports`](super::ports)).
pub(super) const PORTS: u32 = 1 << 2;

impl ArchThread {
    /// For debuggers; [`Thread`](crate::thread::Thread) begins with this.
    pub const LAYOUT: [(&'static str, usize); 6] = [
        ("thread.rsp", offset_of!(ArchThread, rsp)),
        ("thread.resume", offset_of!(ArchThread, resume)),
        ("thread.rsp0", offset_of!(ArchThread, rsp0)),
        ("thread.root", offset_of!(ArchThread, root)),
        ("thread.fs_base", offset_of!(ArchThread, fs_base)),
        ("frame.size", FRAME_SIZE),
    ];

    /// A thread that begins in user mode with `frame`, on the tables at `root`.
    pub fn new(frame: &TrapFrame, root: PhysAddr, utcb: u64, stack: KernelStack) -> ArchThread {
        let rsp0 = stack.top() - ANCHOR_SIZE;
        let anchor = Anchor {
            text_begin: 0,
            text_end: USER_TOP,
            syscall_entry: 0,
            reserved: 0,
        };
        // SAFETY: the stack is new, mapped, and larger than both.
        unsafe {
            (rsp0 as *mut Anchor).write(anchor);
            (rsp0 as *mut TrapFrame).sub(1).write(*frame);
        }
        let rsp = rsp0 - FRAME_SIZE as u64;
        ArchThread {
            rsp,
            rsp0,
            gs_base: utcb,
            stack: Some(stack),
            ..ArchThread::idle(root)
        }
    }

    /// The thread that a CPU has been running since it started: its idle thread. Its `rsp` is set
    /// when it is first switched out.
    pub fn idle(root: PhysAddr) -> ArchThread {
        ArchThread {
            rsp: 0,
            resume: entry::parked_exit(),
            fpu_cpu: NO_CPU,
            rsp0: 0,
            root,
            fs_base: 0,
            gs_base: 0,
            traits: if entry::bases_by_instruction() {
                0
            } else {
                BASES_BY_MSR
            },
            fpu: None,
            stack: None,
        }
    }

    /// The registers of user mode.
    ///
    /// # Safety
    /// 1. It is not an idle thread,
    /// 2. the thread is the current one or does not run, and nothing else holds its frame.
    #[inline]
    #[expect(
        clippy::mut_from_ref,
        reason = "the frame is on the stack, not in the structure"
    )]
    pub unsafe fn frame(&self) -> &mut TrapFrame {
        // SAFETY: the frame's place is fixed; nobody else uses it, by the caller's promise.
        unsafe { &mut *(self.rsp0 as *mut TrapFrame).sub(1) }
    }

    /// Gives the thread the personality's text and entry: SYSCALLs from elsewhere bounce.
    ///
    /// The caller has checked that the addresses are user addresses.
    pub fn set_personality(&mut self, personality: &Personality) {
        assert!(personality.text_end <= USER_TOP && personality.syscall_entry < USER_TOP);
        let anchor = self.rsp0 as *mut Anchor;
        // SAFETY: the anchor is on this thread's stack; the entries of its CPU read it one word at
        // a time, and any mixture of old and new leads to user addresses only.
        unsafe {
            (&raw mut (*anchor).syscall_entry).write_volatile(personality.syscall_entry);
            (&raw mut (*anchor).text_begin).write_volatile(personality.text_begin);
            (&raw mut (*anchor).text_end).write_volatile(personality.text_end);
        }
    }

    /// Lets the thread compute in floating point, in the initial state. The current thread's
    /// registers are set up at once.
    pub fn enable_fpu(&mut self) -> Result<()> {
        if self.fpu.is_some() {
            return Ok(());
        }
        let area = FpuArea::new()?;
        if core::ptr::eq(cpu::current(), self) {
            let flags = cpu::interrupts_save_and_disable();
            fpu::unlock();
            // SAFETY: just unlocked.
            unsafe { area.restore() };
            this_cpu().fpu_owner.store(self, Relaxed);
            self.fpu_cpu = this_cpu().id() as u32;
            cpu::interrupts_restore(flags);
        }
        self.fpu = Some(area);
        self.traits |= COMPUTES;
        Ok(())
    }

    /// Copies floating-point state and FS base of the current thread, for `fork` and new threads.
    pub fn inherit_current(&mut self) -> Result<()> {
        // SAFETY: the current thread exists and nobody else changes its fields.
        let current = unsafe { &mut *cpu::current() };
        self.fs_base = current.read_fs_base();
        if current.fpu.is_none() {
            return Ok(());
        }
        let area = FpuArea::to_save()?;
        let flags = cpu::interrupts_save_and_disable();
        // SAFETY: the current thread has floating point, so TS is clear and the registers are its.
        unsafe { area.save() };
        cpu::interrupts_restore(flags);
        self.fpu = Some(area);
        self.traits |= COMPUTES;
        Ok(())
    }

    /// Sets FS base; `current`: of the thread that runs here.
    pub fn set_fs_base(&mut self, base: u64) {
        self.fs_base = base;
        if core::ptr::eq(cpu::current(), self) {
            // SAFETY: every x86-64 has this register; where it points is user mode's affair.
            unsafe { wrmsr(msr::FS_BASE, base) }
        }
    }

    /// FS base.
    pub fn fs_base(&self) -> u64 {
        if core::ptr::eq(cpu::current(), self) {
            self.read_fs_base()
        } else {
            self.fs_base
        }
    }

    fn read_fs_base(&self) -> u64 {
        // SAFETY: every x86-64 has this register.
        unsafe { rdmsr(msr::FS_BASE) }
    }

    /// Changes the address space. For the current thread it is loaded at once.
    pub fn set_root(&mut self, root: PhysAddr) {
        self.root = root;
        if core::ptr::eq(cpu::current(), self) {
            load_root(root);
        }
    }

    /// The address space's root table.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// Address of the UTCB.
    pub fn utcb(&self) -> u64 {
        self.gs_base
    }
}
