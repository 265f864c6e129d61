//! Address space, data, stack.

use super::super::memcheck::{Check, Wrong, fails, same};
use super::apart;
use crate::sys::limit::{self, Limit, resource};
use crate::sys::memory::{self, PAGE, in_child, protect, set_break, unmap};
use crate::sys::process::Change;
use libc::{
    ENOMEM, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, SIGSEGV,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("memory.space", space),
    ("memory.space_and_stack", space_and_stack),
    ("memory.data", data),
    ("memory.break", heap_break),
    ("memory.stack", stack),
];

const MIB: usize = 1 << 20;
const BOTH: i32 = PROT_READ | PROT_WRITE;
const PRIVATE: i32 = MAP_PRIVATE | MAP_ANONYMOUS;
const SHARED: i32 = MAP_SHARED | MAP_ANONYMOUS;

fn new(length: usize, prot: i32, flags: i32) -> std::io::Result<usize> {
    memory::map(0, length, (prot, flags), -1, 0)
}

fn space() -> Result<(), Wrong> {
    apart(|| {
        limit::set_soft(resource::AS, 64 * MIB as u64)?;
        fails("private", new(65 * MIB, BOTH, PRIVATE), ENOMEM)?;
        fails("no access", new(65 * MIB, 0, PRIVATE), ENOMEM)?;
        fails("shared", new(65 * MIB, BOTH, SHARED), ENOMEM)?;
        let at = new(40 * MIB, PROT_READ, PRIVATE)?;
        fails("more", new(40 * MIB, BOTH, PRIVATE), ENOMEM)?;
        let how = (BOTH, PRIVATE | MAP_FIXED);
        same("in its place", memory::map(at, 40 * MIB, how, -1, 0)?, at)?;
        let grown = memory::remap(at, 40 * MIB, 70 * MIB, libc::MREMAP_MAYMOVE as usize, 0);
        fails("growth", grown, ENOMEM)?;
        unmap(at, 40 * MIB)?;
        new(40 * MIB, BOTH, PRIVATE)?;
        // Up to the hard limit again.
        limit::set_soft(resource::AS, limit::INFINITY)?;
        new(65 * MIB, BOTH, PRIVATE).map(drop)?;
        Ok(())
    })
}

/// Recursion that needs so many bytes of stack.
#[inline(never)]
fn deep(bytes: usize) -> usize {
    let frame = std::hint::black_box([1u8; 2 * PAGE]);
    match bytes.checked_sub(frame.len()) {
        Some(rest) => deep(rest) + usize::from(frame[rest % frame.len()]),
        None => 0,
    }
}

fn with_stack(bytes: usize) -> std::io::Result<Change> {
    in_child(|| i32::from(deep(bytes) == 0))
}

/// What a stack overflow ends with: Rust's handler of the main thread's guard page may make it an abort.
fn overflowed(ended: Change) -> bool {
    matches!(ended, Change::Killed(SIGSEGV | libc::SIGABRT))
}

fn space_and_stack() -> Result<(), Wrong> {
    apart(|| {
        limit::set_soft(resource::AS, 1)?;
        same(
            "a stack does not grow",
            overflowed(with_stack(4 * MIB)?),
            true,
        )
    })
}

fn data() -> Result<(), Wrong> {
    apart(|| {
        limit::set_soft(resource::DATA, 16 * MIB as u64)?;
        fails("private", new(17 * MIB, BOTH, PRIVATE), ENOMEM)?;
        let read = new(17 * MIB, PROT_READ, PRIVATE)?;
        new(17 * MIB, BOTH, SHARED)?;
        fails(
            "made writable",
            protect(read, 17 * MIB, BOTH as usize),
            ENOMEM,
        )?;
        let at = new(10 * MIB, BOTH, PRIVATE)?;
        fails("more", new(10 * MIB, BOTH, PRIVATE), ENOMEM)?;
        protect(at, 10 * MIB, PROT_READ as usize)?;
        new(10 * MIB, BOTH, PRIVATE)?;
        Ok(())
    })
}

fn heap_break() -> Result<(), Wrong> {
    apart(|| {
        let now = set_break(0)?;
        limit::set_soft(resource::DATA, 16 * MIB as u64)?;
        same("too far", set_break(now + 20 * MIB)?, now)?;
        same("near", set_break(now + MIB)?, now + MIB)?;
        same("back", set_break(now)?, now)
    })
}

fn stack() -> Result<(), Wrong> {
    let before = limit::get(resource::STACK)?;
    same(
        "most of the default",
        with_stack(6 * MIB)?,
        Change::Exited(0),
    )?;
    same("beyond it", overflowed(with_stack(9 * MIB)?), true)?;
    apart(|| {
        limit::set_soft(resource::STACK, MIB as u64)?;
        same("a smaller one", overflowed(with_stack(2 * MIB)?), true)?;
        let Limit { hard, .. } = before;
        if hard >= 64 * MIB as u64 {
            limit::set_soft(resource::STACK, 64 * MIB as u64)?;
            same("a larger one", with_stack(20 * MIB)?, Change::Exited(0))?;
        }
        Ok(())
    })
}
