//! What the host offers in place of a machine, for tests: nothing is ever preempted.

/// The CPU, as tests see it.
pub mod cpu {
    /// As in the kernel.
    pub const MAX_CPUS: usize = 32;

    /// The interrupt flag, saved.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct IrqState;

    /// Nothing to disable.
    pub fn interrupts_save_and_disable() -> IrqState {
        IrqState
    }

    /// Nothing to restore.
    pub fn interrupts_restore(_: IrqState) {}

    /// Interrupts "are" enabled.
    pub fn interrupts_enabled() -> bool {
        true
    }

    /// There is no preemption.
    pub fn preempt_disable() {}

    /// There is no preemption.
    pub fn preempt_enable() {}

    /// Lets another test thread run.
    pub fn answer_while_spinning() {
        std::thread::yield_now();
    }

    /// There is one CPU.
    pub fn cpu_id() -> usize {
        0
    }

    /// There is one CPU.
    pub fn cpu_count() -> usize {
        1
    }
}
