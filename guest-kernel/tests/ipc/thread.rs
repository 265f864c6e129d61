//! The kernel's.

pub use ferrix_kernel::thread::State;

#[path = "../../src/thread/context.rs"]
mod context;
#[path = "../../src/thread/create.rs"]
mod create;
#[path = "../../src/thread/end.rs"]
mod end;
#[path = "../../src/thread/kind.rs"]
mod kind;
#[path = "../../src/thread/utcb.rs"]
mod utcb;
#[path = "../../src/thread/wait.rs"]
mod wait;

pub use context::{current, current_process, flow};
pub use create::{ANY_CPU, Start, create, idle, new_stack};
pub use end::{dismiss, end_current, kill, reap};
pub use kind::{InProcess, THREADS, TIDS, Thread, by_tid, work};
pub use wait::{
    Outcome, bound, expired, finish, interrupt, is_interrupted, may_wait, settle_stop, unblock,
    wait,
};
