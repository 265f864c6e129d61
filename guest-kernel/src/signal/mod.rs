//! Signals: whether, and to whom. How a handler runs is the personality's part
//! ([`SignalSlot`](ferrix_abi::signal::SignalSlot)).
//!
//! | module | what |
//! |---|---|
//! | [`queue`] | pending signals |
//! | [`action`] | default actions, dispositions, the choice of a thread |
//! | `process` | a process's signal state |
//! | `send` | sending, and acting on what is not caught |
//! | `take` | `SigTake`, `SigWait`, delivery on the return to user mode |
//! | `fault` | exceptions of the running thread |
//! | `child` | SIGCHLD and the alarm |
//!
//! A thread's [`work::SIGNAL`](crate::thread) is set while a caught signal may be deliverable to it: it makes the
//! return to user mode look, and interruptible waits fail at once.

pub mod action;
pub mod queue;

#[cfg(target_os = "none")]
mod child;
#[cfg(target_os = "none")]
mod fault;
#[cfg(target_os = "none")]
mod process;
#[cfg(target_os = "none")]
mod send;
#[cfg(target_os = "none")]
mod take;

#[cfg(target_os = "none")]
pub use child::{SI_KERNEL, alarm_expired, child_changed};
#[cfg(target_os = "none")]
pub use fault::force;
#[cfg(target_os = "none")]
pub use process::ProcessSignals;
#[cfg(target_os = "none")]
pub use send::{interrupts, send_to_process, send_to_thread, settle, settle_process};
#[cfg(target_os = "none")]
pub use take::{deliver, take_awaited, take_caught};
