//! Message passing as the kernel has it, on a machine of the test's own, driven by a random walk against a reference.
//!
//! The files of the kernel that pass messages, make threads wait, and run them are compiled here once more as they are:
//! what they name (`crate::arch`, `crate::mm`, `crate::process` and so on) are small stand-ins. So every line of the ways of a
//! message runs, the fast one included, with several CPUs and at any point a kill, a signal, a deadline or a closed handle.
//!
//! | module | what |
//! |---|---|
//! | `ipc`, `object`, `sched`, `syscall`, `thread`, `timer` | the kernel's, by their paths |
//! | `arch`, `boot`, `futex`, `irq`, `mm`, `ports`, `process`, `signal`, `time`, `trace` | stand-ins |
//! | `machine` | runs system calls on the CPUs |
//! | `reference` | what message passing should do, on numbers and queues |
//! | `walk` | the random walk, and what must hold after each step |

#![expect(
    dead_code,
    reason = "not all of what the kernel's files offer is used here"
)]

extern crate alloc;

mod arch;
mod boot;
mod futex;
mod ipc;
mod irq;
mod machine;
mod mm;
mod object;
mod ports;
mod process;
mod reference;
mod sched;
mod signal;
mod sync;
mod syscall;
mod thread;
mod time;
mod timer;
mod trace;
mod walk;
