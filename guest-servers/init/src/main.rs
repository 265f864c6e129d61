//! `init`: the first process. Starts the servers of its manifest, gives each the handles that the
//! manifest names and no more, restarts those that die, runs the first program, and ends the machine
//! with its status.
//!
//! | file | what |
//! |---|---|
//! | `manifest.rs` (library) | the manifest's text |
//! | `modules.rs` | boot modules |
//! | `loader.rs` | an ELF module becomes a process |
//! | `startup.rs` | the start-up page |
//! | `devices.rs`, `ecam.rs` | virtio devices, and PCI configuration space where some are found |
//! | `servers.rs` | ports and server processes |
//! | `program.rs` | the first Linux program |
//! | `supervise.rs` | who died, and what then |
//! | `control.rs` | what others may ask of init |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod control;
mod devices;
#[expect(unsafe_code, reason = "reads and writes PCI configuration space")]
mod ecam;
#[expect(
    unsafe_code,
    reason = "maps pages of another process's image into its own view"
)]
mod loader;
#[expect(
    unsafe_code,
    reason = "reads the boot information page and module bytes"
)]
mod modules;
mod program;
mod servers;
#[expect(unsafe_code, reason = "writes a page before it is handed over")]
mod startup;
#[expect(unsafe_code, reason = "starts the supervisor's thread")]
mod supervise;

use core::convert::Infallible;
use ferrix_init::manifest;
use ferrix_machine::{exit, milestone};
use ferrix_rt::log;
use ferrix_rt::sys::system;
use startup::Failure;

/// The first instruction of user space: no start-up page, the boot information is at a fixed address.
#[expect(unsafe_code, reason = "the entry point's name is fixed")]
mod entry {
    #[unsafe(no_mangle)]
    #[unsafe(link_section = ".text._start")]
    extern "C" fn _start() -> ! {
        let Err(failure) = super::run();
        ferrix_rt::log!("init", "{failure}");
        super::give_up()
    }
}

/// Starts everything, then serves for ever.
fn run() -> Result<Infallible, Failure> {
    let modules = modules::Modules::find()?;
    let manifest = manifest::parse(modules.text("manifest")?).map_err(|error| {
        log!("init", "{error}");
        Failure::new("manifest", "cannot be understood")
    })?;
    let mut servers = servers::Servers::create_ports(&manifest, devices::find(&modules))?;
    servers.start_all(&modules)?;
    let ports = servers.ports.clone();
    supervise::start(servers, modules)?;
    system::milestone(milestone::SERVERS_READY);
    program::start(&manifest.program, &ports, &modules)?;
    control::Control::new(&ports, &modules)?.serve()
}

/// Nothing can run: the machine ends, with the status that says so.
fn give_up() -> ! {
    if let Ok(modules) = modules::Modules::find() {
        let _ = system::power_off(exit::BOOT_FAILED, modules.resource());
    }
    ferrix_rt::sys::process::exit(exit::BOOT_FAILED << 8)
}
