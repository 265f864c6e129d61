//! The `console` server: the virtio-console driver and the terminal on it.
//!
//! | file | what |
//! |---|---|
//! | library | line discipline, output processing, termios: pure |
//! | `server/mod.rs` | state, dispatch, what an interrupt sets going |
//! | `server/transfer.rs` | reading and writing, and who waits for them |
//! | `server/control.rs` | `ioctl`: attributes, window size, foreground group |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod server;

use ferrix_abi::handle::Handle;
use ferrix_rt::driver::{announced, bind_interrupt, device_memory};
use ferrix_rt::log;
use ferrix_rt::proto::startup::{Startup, name};
use ferrix_virtio::console::Console;
use ferrix_virtio::spec;

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
    for device in announced(startup) {
        let kernel = |error| alloc::format!("device at {device}: {error:?}");
        let Some(transport) = device
            .transport(spec::device::CONSOLE, resource)
            .map_err(kernel)?
        else {
            continue;
        };
        let memory = device_memory(Console::MEMORY_BYTES, resource).map_err(kernel)?;
        let console =
            Console::start(transport, memory).map_err(|error| alloc::format!("{error}"))?;
        let irq = bind_interrupt(&device, port, server::IRQ, resource).map_err(kernel)?;
        let mut server = server::Server::new(port, console, irq);
        return ferrix_rt::service::run(port, &mut server)
            .map_err(|error| alloc::format!("{error:?}"));
    }
    Err("the machine announces no virtio-console device".into())
}
