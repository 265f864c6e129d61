//! Kernel objects, what names them, and the lock that protects them.
//!
//! | module | what |
//! |---|---|
//! | [`core_lock`] | the core lock, and cells that only its holder can open |
//! | [`list`] | intrusive lists |
//! | [`pool`] | type-stable memory for objects |
//! | [`ids`] | process and thread ids |
//! | [`table`] | handle tables |
//! | [`kinds`] | the objects a handle can name |
//!
//! # The lock protocol
//!
//! **One lock, the core lock, protects all of the core**: threads, processes, handle tables, ports,
//! sessions, signals, run queues, timers. It is held for a few dozen instructions at a time, with
//! interrupts off, and never across a copy of more than a message. Memory (faults, mappings, `fork`'s copy,
//! teardown) has finer locks of its own and runs without it, preemptibly.
//!
//! Why one: a message touches two threads, a port, two handle tables and a run queue. A lock for each
//! would cost more instructions than the work between them, and kernel instructions are what
//! Ferrix is short of (`docs/decisions/0020-one-core-lock.md`). The order is: core lock, then address space, object,
//! slabs, frames. Interrupt handlers take the core lock only when they interrupted code that
//! holds no lock (`sched::defer`); otherwise they leave a note for the moment it does not.

#[expect(
    unsafe_code,
    reason = "cells that the holder of the core lock may open"
)]
pub mod core_lock;
pub mod ids;
#[cfg(target_os = "none")]
pub mod kinds;
pub mod list;
pub mod pool;
pub mod table;

pub use core_lock::{Core, CoreCell, CoreGuard, CoreRef};
#[cfg(target_os = "none")]
pub use kinds::Object;
