//! The `queue` server: message queues, and what else passes from process to process without a file.
//!
//! | file | what |
//! |---|---|
//! | `server/mod.rs` | state, dispatch, the ends of waits |
//! | `server/sessions.rs` | sessions and what they stand for |
//! | `server/open.rs` | opening and removing queues, mailboxes, topics |
//! | `server/transfer.rs` | sending and receiving |
//! | `server/notify.rs` | telling a process that a message is there |
//! | `server/parcels.rs` | what does not fit into a message, and messages that did not arrive |
//! | `server/files.rs` | queues as open files |
//! | `server/sockets.rs`, `server/socket_transfer.rs`, `server/options.rs` | sockets |
//! | `server/passing.rs` | open files in messages |
//! | `server/counters.rs` | `eventfd` |
//! | `server/sysv.rs`, `server/semaphores.rs` | System V message queues and semaphores |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod server;

use ferrix_rt::log;
use ferrix_rt::proto::startup::{Startup, name};
use ferrix_rt::sys::ipc;

ferrix_rt::server!(main);

fn main(startup: &'static Startup) {
    let Some(port) = startup.handle(name::SELF).map(ferrix_abi::handle::Handle) else {
        log!("queue", "ends: the start-up page names no port");
        return;
    };
    let mut server = server::Server::new(port);
    if let Err(error) = ferrix_rt::service::run(port, &mut server) {
        log!("queue", "ends: {error:?}");
    }
    // Nobody is left to be told.
    let _ = ipc::close(port);
}
