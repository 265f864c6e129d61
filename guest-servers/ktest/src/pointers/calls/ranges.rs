//! Ranges of pages, and where threads begin.

use ferrix_abi::Call;
use ferrix_abi::layout::{PAGE_SIZE, SERVER_BASE};
use ferrix_abi::vm::{MapFlags, Prot, RemapFlags};

use super::{Row, Use, row};

const RW: u64 = Prot::READ.union(Prot::WRITE).bits() as u64;
const FIXED: u64 = (MapFlags::FIXED.union(MapFlags::PRIVATE).bits() as u64) << 32;
const MAY_MOVE: u64 = RemapFlags::MAY_MOVE.bits() as u64;
const MOVE_TO: u64 = RemapFlags::MAY_MOVE.union(RemapFlags::FIXED).bits() as u64;

/// Their rows.
pub fn of_threads(call: Call) -> &'static [Row] {
    match call {
        Call::SetFsBase => const { &[row("base", Use::Code, |_, p| [p, 0, 0, 0, 0, 0])] },
        _ => {
            const {
                &[
                    row("entry", Use::Code, |g, p| [p, g.pages.address, 0, 0, 0, 0]),
                    row("stack", Use::Code, |_, p| [SERVER_BASE, p, 0, 0, 0, 0]),
                    row("FS base", Use::Code, |g, p| {
                        [SERVER_BASE, g.pages.address, 0, p, 0, 0]
                    }),
                ]
            }
        }
    }
}

/// Their ranges begin at a place, or go on from a good one for too long.
pub fn of_ranges(call: Call) -> &'static [Row] {
    match call {
        Call::VmMap => MAP,
        Call::VmUnmap => UNMAP,
        Call::VmProtect => PROTECT,
        Call::VmRemap => REMAP,
        Call::VmDiscard => DISCARD,
        Call::VmLock => LOCK,
        Call::VmResident => RESIDENT,
        _ => INHERIT,
    }
}

const ANYWHERE: u64 = RW | (MapFlags::PRIVATE.bits() as u64) << 32;

const MAP: &[Row] = &[
    row("address", Use::Range, |_, p| {
        [0, p, PAGE_SIZE, RW | FIXED, 0, 0]
    }),
    row("length", Use::Length, |g, p| {
        [0, g.pages.address, p, RW | FIXED, 0, 0]
    }),
    row("length, anywhere", Use::Length, |_, p| {
        [0, 0, p, ANYWHERE, 0, 0]
    }),
];
const UNMAP: &[Row] = &[
    row("address", Use::Range, |_, p| [0, p, PAGE_SIZE, 0, 0, 0]),
    row("length", Use::Length, |g, p| {
        [0, g.pages.address, p, 0, 0, 0]
    }),
];
const PROTECT: &[Row] = &[
    row("address", Use::Range, |_, p| [0, p, PAGE_SIZE, 1, 0, 0]),
    row("length", Use::Length, |g, p| {
        [0, g.pages.address, p, 1, 0, 0]
    }),
];
const REMAP: &[Row] = &[
    row("old address", Use::Range, |_, p| {
        [p, PAGE_SIZE, 2 * PAGE_SIZE, MAY_MOVE, 0, 0]
    }),
    row("old length", Use::Length, |g, p| {
        [g.pages.address, p, PAGE_SIZE, MAY_MOVE, 0, 0]
    }),
    row("new length", Use::Length, |g, p| {
        [g.pages.address, PAGE_SIZE, p, MAY_MOVE, 0, 0]
    }),
    row("new address", Use::Range, |g, p| {
        [g.pages.address, PAGE_SIZE, PAGE_SIZE, MOVE_TO, p, 0]
    }),
];
const DISCARD: &[Row] = &[
    row("address", Use::Range, |_, p| [p, PAGE_SIZE, 0, 0, 0, 0]),
    row("length", Use::Length, |g, p| {
        [g.pages.address, p, 0, 0, 0, 0]
    }),
];
const LOCK: &[Row] = &[
    row("address", Use::Range, |_, p| [p, PAGE_SIZE, 1, 0, 0, 0]),
    row("address to unlock", Use::Range, |_, p| {
        [p, PAGE_SIZE, 0, 0, 0, 0]
    }),
    row("length", Use::Length, |g, p| {
        [g.pages.address, p, 1, 0, 0, 0]
    }),
];
const RESIDENT: &[Row] = &[
    row("address", Use::Range, |g, p| {
        [p, PAGE_SIZE, g.pages.address, 0, 0, 0]
    }),
    row("vector", Use::Write(3), |g, p| {
        [g.pages.address, 3 * PAGE_SIZE, p, 0, 0, 0]
    }),
];
const INHERIT: &[Row] = &[
    row("address", Use::Range, |_, p| [p, PAGE_SIZE, 1, 0, 0, 0]),
    row("length", Use::Length, |g, p| {
        [g.pages.address, p, 1, 0, 0, 0]
    }),
];
