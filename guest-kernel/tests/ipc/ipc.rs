//! The kernel's.

pub use ferrix_kernel::ipc::endpoint;

#[path = "../../src/ipc/event.rs"]
mod event;
#[path = "../../src/ipc/fast.rs"]
mod fast;
#[path = "../../src/ipc/pager.rs"]
mod pager;
#[path = "../../src/ipc/poll.rs"]
mod poll;
#[path = "../../src/ipc/port.rs"]
mod port;
#[path = "../../src/ipc/port_timer.rs"]
mod port_timer;
#[path = "../../src/ipc/receive.rs"]
mod receive;
#[path = "../../src/ipc/reply.rs"]
mod reply;
#[path = "../../src/ipc/send.rs"]
mod send;
#[path = "../../src/ipc/session.rs"]
mod session;
#[path = "../../src/ipc/shortage.rs"]
pub mod shortage;
#[path = "../../src/ipc/transfer.rs"]
mod transfer;
#[path = "../../src/ipc/undo.rs"]
mod undo;

pub use event::{Event, Source, post};
pub use pager::{MadeBy, PageAnswer, PageWait, Pager, PagerLink, end_page_wait, page_timed_out};
pub use poll::{PollNode, end_poll, poll};
pub use port::{PORTS, Port};
pub use port_timer::{PortTimer, port_timer_expired, set_port_timer};
pub use receive::receive;
pub use reply::{reply, reply_receive};
pub use send::{call, send};
pub use session::{OwnedBy, SESSIONS, Session};
pub use undo::{ask_to_cancel, forget_call, server_died, thread_ended, withdraw};

/// As in the kernel.
pub type Endpoint = endpoint::Endpoint<crate::thread::Thread, Event>;
