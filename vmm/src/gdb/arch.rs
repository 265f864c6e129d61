//! What gdb is told of the processor: a target description of our own.
//!
//! The order of registers is the order in [`super::registers::Registers`]: general, segments,
//! x87, SSE, segment bases, control registers.

use std::num::NonZeroUsize;

use gdbstub::arch::{Arch, RegId};

use super::registers::Registers;

/// x86-64 with control registers.
pub enum X86_64 {}

/// Registers are transferred all at once.
#[derive(Debug)]
pub enum NoSingleRegister {}

impl RegId for NoSingleRegister {
    fn from_raw_id(_: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        None
    }
}

impl Arch for X86_64 {
    type Usize = u64;
    type Registers = Registers;
    type RegId = NoSingleRegister;
    type BreakpointKind = usize;

    fn target_description_xml() -> Option<&'static str> {
        Some(include_str!("target.xml"))
    }
}
