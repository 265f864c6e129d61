//! The `console` server: a terminal, and the driver of what it is on: virtio-console, or the UART.
//!
//! | file | what |
//! |---|---|
//! | library | line discipline, output processing, termios, the UART's driver: pure |
//! | `server/mod.rs` | state, dispatch, output |
//! | `server/device.rs` | which device, and what is asked of it |
//! | `server/input.rs` | what an interrupt sets going |
//! | `server/transfer.rs` | reading and writing, and who waits for them |
//! | `server/control.rs` | `ioctl`: attributes, window size, foreground group |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod server;

use ferrix_abi::handle::Handle;
use ferrix_rt::driver::announced;
use ferrix_rt::log;
use ferrix_rt::proto::startup::{Startup, name};
use server::{Device, Server};

ferrix_rt::server!(main);

fn main(startup: &'static Startup) {
    if let Err(why) = start(startup) {
        log!("console", "{why}");
    }
}

/// Finds the device, brings it up and serves.
fn start(startup: &Startup) -> Result<(), alloc::string::String> {
    let handle = |name| startup.handle(name).map(Handle).unwrap_or_default();
    let (port, resource) = (handle(name::SELF), handle(name::RESOURCE));
    let device = Device::find(announced(startup), port, resource)?;
    let mut server = Server::new(port, resource, device);
    ferrix_rt::service::run(port, &mut server).map_err(|error| alloc::format!("{error:?}"))
}
