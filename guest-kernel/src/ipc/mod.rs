//! Message passing.
//!
//! | module | what |
//! |---|---|
//! | [`endpoint`] | where senders, receivers and events meet |
//! | `event` | notifications, closed sessions, requests to cancel |
//! | `port`, `session`, `port_timer` | the objects |
//! | `pager` | requests for pages, and waiting for them |
//! | `shortage` | notices that pages are few |
//! | `poll` | readiness, and waiting for it |
//! | `transfer` | LONG bytes, handles, page ranges |
//! | `send`, `receive`, `reply` | the system calls |
//! | `fast` | the short way for the most frequent exchange |
//! | `undo` | the end of waits, of threads and of servers |
//!
//! A message goes straight from the sender's registers to the receiver's saved ones, when both are
//! there; whoever comes first waits in the endpoint. Nothing is buffered.

pub mod endpoint;

#[cfg(target_os = "none")]
mod event;
#[cfg(target_os = "none")]
mod fast;
#[cfg(target_os = "none")]
mod pager;
#[cfg(target_os = "none")]
mod poll;
#[cfg(target_os = "none")]
mod port;
#[cfg(target_os = "none")]
mod port_timer;
#[cfg(target_os = "none")]
mod receive;
#[cfg(target_os = "none")]
mod reply;
#[cfg(target_os = "none")]
mod send;
#[cfg(target_os = "none")]
mod session;
#[cfg(target_os = "none")]
pub mod shortage;
#[cfg(target_os = "none")]
mod transfer;
#[cfg(target_os = "none")]
mod undo;

#[cfg(target_os = "none")]
pub use event::{Event, Source, post};
#[cfg(target_os = "none")]
pub use pager::{
    MadeBy, PageAnswer, PageWait, Pager, PagerLink, end_page_wait, page_timed_out, settle,
    wait_for_page,
};
#[cfg(target_os = "none")]
pub use poll::{PollNode, end_poll, poll};
#[cfg(target_os = "none")]
pub use port::{PORTS, Port};
#[cfg(target_os = "none")]
pub use port_timer::{PortTimer, port_timer_expired, set_port_timer};
#[cfg(target_os = "none")]
pub use receive::receive;
#[cfg(target_os = "none")]
pub use reply::{caller_of, reply, reply_receive};
#[cfg(target_os = "none")]
pub use send::{call, send};
#[cfg(target_os = "none")]
pub use session::{OwnedBy, SESSIONS, Session};
#[cfg(target_os = "none")]
pub use undo::{ask_to_cancel, forget_call, server_died, thread_ended, withdraw};

/// Where threads meet: of a port, or a thread's own.
#[cfg(target_os = "none")]
pub type Endpoint = endpoint::Endpoint<crate::thread::Thread, Event>;
