//! The `blk` server: the virtio-blk driver. Clients put data into a window that this server makes, the
//! device reads and writes it there, and nobody copies.
//!
//! | file | what |
//! |---|---|
//! | `disks.rs` | finding devices and bringing them up |
//! | `service.rs` | sessions, dispatch, completions |
//! | `windows.rs` | memory that a client and a device share |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod disks;
mod service;
#[expect(unsafe_code, reason = "declares memory to be for device access")]
mod windows;

use ferrix_abi::handle::Handle;
use ferrix_rt::log;
use ferrix_rt::proto::startup::{Startup, name};

ferrix_rt::server!(main);

fn main(startup: &'static Startup) {
    let handle = |name| startup.handle(name).map(Handle).unwrap_or_default();
    let (port, resource) = (handle(name::SELF), handle(name::RESOURCE));
    let disks = disks::find(startup, port, resource);
    let mut server = service::Server::new(port, resource, disks);
    if let Err(error) = ferrix_rt::service::run(port, &mut server) {
        log!("blk", "cannot receive on its port: {error:?}");
    }
}
