//! Threads.
//!
//! A thread is in one [`State`] at a time. One that waits in a system call as a whole has no kernel
//! context: its registers lie in its frame, whoever ends the wait writes the result there, and it continues by
//! returning to user mode. Calls whose result goes to user memory ([`State::repeats`]) are
//! repeated when the wait ends: the frame's RIP points to the `SYSCALL` again.

use ferrix_abi::thread::Activity;

#[cfg(target_os = "none")]
#[expect(
    unsafe_code,
    reason = "registers of threads that do not run; the running thread by its address"
)]
mod context;
#[cfg(target_os = "none")]
mod create;
#[cfg(target_os = "none")]
mod end;
#[cfg(target_os = "none")]
mod kind;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "memory shared with user space")]
mod utcb;
#[cfg(target_os = "none")]
mod wait;

#[cfg(target_os = "none")]
pub use context::{current, current_process, flow};
#[cfg(target_os = "none")]
pub use create::{ANY_CPU, Start, create, fork_current, idle, new_stack};
#[cfg(target_os = "none")]
pub use end::{dismiss, end_current, is_killed, kill, live, reap};
#[cfg(target_os = "none")]
pub use kind::{InProcess, THREADS, TIDS, Thread, by_tid, work};
#[cfg(target_os = "none")]
pub use wait::{
    Outcome, bound, expired, finish, interrupt, is_interrupted, may_wait, settle_stop, unblock,
    wait,
};

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum State {
    /// Nothing: the object is not in use.
    #[default]
    Free,
    /// Runs, on the CPU that it notes.
    Running,
    /// Waits in that CPU's run queue.
    Ready,
    /// Could run, but its process is stopped.
    Stopped,
    /// Sends, in the queue of an endpoint.
    Send,
    /// Receives, in the queue of an endpoint.
    Receive,
    /// Its call has been received: waits for the reply.
    Reply,
    /// In a futex queue.
    Futex,
    /// In a queue for a futex that inherits priorities, or to be moved to one.
    FutexPi,
    /// Until a deadline.
    Sleep,
    /// For readiness of sessions.
    Poll,
    /// For a child.
    Child,
    /// For a caught signal.
    Suspend,
    /// For a signal of a set.
    SigWait,
    /// For a page, in the middle of the kernel's work.
    Page,
    /// For memory, in the middle of the kernel's work.
    Memory,
    /// For the end of its process's other threads, in the middle of `exec`.
    Alone,
    /// Has ended; its stack may still be in use by the switch away from it.
    Dead,
}

impl State {
    /// As others see it.
    pub const fn activity(self) -> Activity {
        match self {
            State::Running => Activity::Running,
            State::Ready => Activity::Ready,
            State::Stopped => Activity::Stopped,
            State::Send => Activity::Send,
            State::Receive => Activity::Receive,
            State::Reply => Activity::Reply,
            State::Futex => Activity::Futex,
            State::FutexPi => Activity::FutexPi,
            State::Sleep => Activity::Sleep,
            State::Poll => Activity::Poll,
            State::Child | State::Alone => Activity::Child,
            State::Suspend => Activity::Suspend,
            State::SigWait => Activity::SigWait,
            State::Page => Activity::Page,
            State::Memory => Activity::Memory,
            State::Free | State::Dead => Activity::Dead,
        }
    }

    /// Whether it waits for something.
    pub fn is_blocked(self) -> bool {
        self as u8 >= State::Send as u8 && self != State::Dead
    }

    /// Whether the call is made again when the wait ends, because its result goes to user memory.
    pub fn repeats(self) -> bool {
        matches!(
            self,
            State::Poll | State::Child | State::SigWait | State::FutexPi
        )
    }
}
