//! Interrupt vectors.

/// Divide error.
pub const DIVIDE: u8 = 0;
/// Debug: single step.
pub const DEBUG: u8 = 1;
/// Non-maskable interrupt: another CPU panicked, or the monitor asks.
pub const NMI: u8 = 2;
/// Breakpoint.
pub const BREAKPOINT: u8 = 3;
/// INTO.
pub const OVERFLOW: u8 = 4;
/// Device not available: floating point in a thread that has none.
pub const NO_FPU: u8 = 7;
/// Double fault.
pub const DOUBLE_FAULT: u8 = 8;
/// General protection.
pub const PROTECTION: u8 = 13;
/// Page fault.
pub const PAGE_FAULT: u8 = 14;
/// Machine check.
pub const MACHINE_CHECK: u8 = 18;
/// Exceptions are below.
pub const EXCEPTIONS: u8 = 32;

/// Global system interrupt n arrives at `FIRST_GSI + n`, and messages at the vectors of the numbers that
/// no line has.
pub const FIRST_GSI: u8 = 0x30;
/// Most global system interrupts that have vectors.
pub const GSIS: u8 = 64;

/// The local APIC's timer.
pub const TIMER: u8 = 0xe0;
/// From another CPU: look at the run queue.
pub const RESCHEDULE: u8 = 0xe1;
/// From another CPU: look at the TLB shoot-down.
pub const TLB: u8 = 0xe2;
/// Spurious interrupts of the local APIC; needs no acknowledgement.
pub const SPURIOUS: u8 = 0xff;

/// In [`TrapFrame::vector`](super::TrapFrame): the frame is a system call's.
pub const SYSCALL: u64 = 0x100;
