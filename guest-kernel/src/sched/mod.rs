//! Scheduling: 128 priorities, a run queue per CPU, time sharing with ageing.
//!
//! | module | what |
//! |---|---|
//! | [`queue`] | the run queue |
//! | [`entity`] | a thread's parameters, and the priority that follows from them |
//! | [`inherit`] | who waits lends its priority to whom it waits for |
//! | `loans` | for what threads wait so |
//! | [`turn`] | the end of a slice, and how long others wait for it |
//! | [`averages`] | the load averages |
//! | `cpu` | a CPU's state, and the CPUs' loads |
//! | `wake` | making threads ready, and where |
//! | `switch` | who runs next |
//! | `entries` | what interrupts and the return to user mode call; the idle loop |
//!
//! A thread is queued if and only if it is ready and does not run. Everything here is under the core lock.
//!
//! *Priority* = base, raised by sleeping and lowered by using up slices (at most
//! [`BOOST_MAX`](entity::BOOST_MAX) either way, within the range of its policy), or what a caller lends if that
//! is more. While it waits, one more for each slice ([`queue::RunQueue::age`]).
//!
//! *Slices* are timed only while another thread waits for this one's turn; a CPU whose queue is empty
//! takes no tick. With no thread to run it halts.

pub mod averages;
pub mod entity;
pub mod inherit;
pub mod queue;
pub mod turn;

#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod entries;
#[cfg(target_os = "none")]
mod loans;
#[cfg(target_os = "none")]
mod switch;
#[cfg(target_os = "none")]
mod wake;

pub use entity::{Entity, Parameters};

#[cfg(target_os = "none")]
pub use cpu::{
    CpuSched, cpu_info, idle_nanoseconds, load_averages, local, refresh_hint, sample_load, switches,
};
#[cfg(target_os = "none")]
pub use entries::{
    Work, defer, defer_always, idle_loop, preempt, reschedule_ipi, user_return_work,
};
#[cfg(target_os = "none")]
pub use loans::{init_inheritance, lend, return_loans};
#[cfg(target_os = "none")]
pub use switch::{
    Next, block, block_inside, hand_over, is_timed, next, only_next, resume, running_on,
    slice_expired, slice_expired_below_top, yield_current,
};
#[cfg(target_os = "none")]
pub use wake::{change_parameters, dequeue, notify_running, place, requeue, wake, wake_all};
