//! Processors that run no instructions: a switch to another thread unwinds the system call that made it.

#[expect(
    clippy::allow_attributes,
    reason = "what follows is about the kernel's file"
)]
#[allow(
    unfulfilled_lint_expectations,
    reason = "nothing is public here, so no documentation is missing"
)]
#[path = "../../src/arch/x86_64/frame.rs"]
mod frame;

pub use frame::TrapFrame;

pub mod cpu {
    use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

    use super::thread::ArchThread;
    use crate::sched::CpuSched;

    pub const CPUS: usize = 3;
    pub const WORK_RESCHEDULE: u32 = 1 << 0;
    pub const WORK_SIGNAL: u32 = 1 << 1;

    pub struct PerCpu {
        pub sched: CpuSched,
        pub(super) current: AtomicPtr<ArchThread>,
        work: AtomicU32,
    }

    static ALL: [PerCpu; CPUS] = [const {
        PerCpu {
            sched: CpuSched::new(),
            current: AtomicPtr::new(core::ptr::null_mut()),
            work: AtomicU32::new(0),
        }
    }; CPUS];
    static HERE: AtomicUsize = AtomicUsize::new(0);

    /// Goes on on another CPU.
    pub fn go_to(id: usize) {
        HERE.store(id, Relaxed);
    }

    impl PerCpu {
        pub fn id(&self) -> usize {
            cpu_id()
        }

        pub fn current(&self) -> *mut ArchThread {
            self.current.load(Relaxed)
        }

        pub fn set_work(&self, bits: u32) {
            self.work.fetch_or(bits, Relaxed);
        }

        pub fn clear_work(&self, bits: u32) {
            self.work.fetch_and(!bits, Relaxed);
        }

        pub fn work(&self) -> u32 {
            self.work.load(Relaxed)
        }

        pub fn set_need_resched(&self) {
            self.set_work(WORK_RESCHEDULE);
        }

        pub fn clear_need_resched(&self) {
            self.clear_work(WORK_RESCHEDULE);
        }

        pub fn need_resched(&self) -> bool {
            self.work() & WORK_RESCHEDULE != 0
        }

        pub fn preempt_disabled(&self) -> bool {
            false
        }
    }

    pub fn cpu(id: usize) -> &'static PerCpu {
        &ALL[id]
    }

    pub fn this_cpu() -> &'static PerCpu {
        cpu(cpu_id())
    }

    pub fn cpu_id() -> usize {
        HERE.load(Relaxed)
    }

    pub fn cpu_count() -> usize {
        CPUS
    }

    pub fn current() -> *mut ArchThread {
        this_cpu().current()
    }

    pub fn enable_interrupts() {}
    pub fn disable_interrupts() {}
    pub fn halt_until_interrupt() {}

    #[derive(Clone, Copy)]
    pub struct IrqState;

    pub fn interrupts_save_and_disable() -> IrqState {
        IrqState
    }

    pub fn interrupts_restore(_: IrqState) {}
}

pub mod thread {
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::panic::resume_unwind;

    use alloc::boxed::Box;
    use ferrix_abi::error::Result;
    use ferrix_abi::process::Personality;

    use super::TrapFrame;
    use super::cpu::this_cpu;
    use crate::mm::KernelStack;
    use crate::object::core_lock::lock;

    /// Registers.
    pub struct ArchThread {
        frame: TrapFrame,
    }

    /// Nothing to free: the kernel's has a stack.
    impl Drop for ArchThread {
        fn drop(&mut self) {}
    }

    /// What a switch unwinds with.
    pub struct Switched;

    impl ArchThread {
        pub fn new(frame: &TrapFrame, _: u64, _: u64, _: KernelStack) -> ArchThread {
            ArchThread { frame: *frame }
        }

        pub fn idle(_: u64) -> ArchThread {
            ArchThread {
                frame: TrapFrame::default(),
            }
        }

        pub fn frame(&mut self) -> &mut TrapFrame {
            &mut self.frame
        }

        pub fn set_personality(&mut self, _: &Personality) {}

        pub fn inherit_current(&mut self) -> Result<()> {
            Ok(())
        }
    }

    /// This CPU's first thread.
    pub fn adopt(thread: *mut ArchThread) {
        this_cpu().current.store(thread, Relaxed);
    }

    /// Goes on with another thread, and gives the core lock back, which the kernel has left locked.
    #[expect(unsafe_code, reason = "as the kernel's")]
    pub unsafe fn resume(_: *mut ArchThread, next: *mut ArchThread) -> ! {
        this_cpu().current.store(next, Relaxed);
        // SAFETY of the lock: whoever calls holds it.
        release();
        resume_unwind(Box::new(Switched))
    }

    /// The same: nobody waits in the middle of the kernel but idle threads.
    #[expect(unsafe_code, reason = "as the kernel's")]
    pub unsafe fn switch(_: *mut ArchThread, next: *mut ArchThread, lock: &'static AtomicBool) {
        this_cpu().current.store(next, Relaxed);
        lock.store(false, Relaxed);
        resume_unwind(Box::new(Switched))
    }

    static LOCKED: std::sync::OnceLock<&'static AtomicBool> = std::sync::OnceLock::new();

    /// Learns where the core lock is, while nobody else uses it.
    pub fn find_lock() {
        let locked = LOCKED.get_or_init(|| lock().leave());
        locked.store(false, Relaxed);
    }

    fn release() {
        if let Some(locked) = LOCKED.get() {
            locked.store(false, Relaxed);
        }
    }
}

pub mod apic {
    use super::cpu::{WORK_RESCHEDULE, WORK_SIGNAL, cpu};

    pub fn set_timer(_: u64) {}
    pub fn eoi() {}

    /// It comes before that CPU's next return to user mode.
    pub fn send_ipi(id: usize, _: u8) {
        cpu(id).set_work(WORK_RESCHEDULE | WORK_SIGNAL);
    }
}

pub mod vector {
    pub const RESCHEDULE: u8 = 0;
}

pub mod trace_point {
    use super::cpu;
    use crate::object::Core;
    use crate::thread::Thread;

    pub fn trace_point(tell: impl FnOnce()) {
        tell();
    }
    pub fn count_interrupt(_: u32) {}

    pub fn count_switch(core: &Core, _: &'static Thread) {
        let switches = &cpu::this_cpu().sched.switches;
        switches.set(core, switches.get(core) + 1);
    }
}
