//! The processor: the only modules of the checks with `unsafe`.
//!
//! [`start`] enters 64-bit mode, [`trap`] takes exceptions and interrupts, [`cpu`] wraps single
//! instructions, [`guarded`] runs instructions that may fault, [`smp`] runs code on other CPUs,
//! [`phys`] reaches physical memory.

pub mod cpu;
pub mod guarded;
pub mod phys;
pub mod smp;
pub mod start;
pub mod trap;
pub mod user;
