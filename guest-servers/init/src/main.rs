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
//! | `servers.rs` | ports and server processes |
//! | `program.rs` | the first Linux program |
//! | `supervise.rs` | who died, and what then |
//! | `control.rs` | what others may ask of init |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod control;
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

use ferrix_init::manifest;
use ferrix_machine::milestone;
use ferrix_rt::log;
use ferrix_rt::sys::system;

/// The first instruction of user space: no start-up page, the boot information is at a fixed address.
#[expect(unsafe_code, reason = "the entry point's name is fixed")]
mod entry {
    #[unsafe(no_mangle)]
    #[unsafe(link_section = ".text._start")]
    extern "C" fn _start() -> ! {
        if let Err(error) = super::run() {
            ferrix_rt::log!("init", "{error}");
        }
        ferrix_rt::sys::process::exit(1 << 8)
    }
}

/// Starts everything, then serves for ever.
fn run() -> Result<(), startup::Failure> {
    let modules = modules::Modules::find()?;
    let manifest = manifest::parse(modules.text("manifest")?).map_err(|error| {
        log!("init", "{error}");
        startup::Failure::new("manifest", "cannot be understood")
    })?;
    let mut servers = servers::Servers::create_ports(&manifest, &modules)?;
    servers.start_all(&modules)?;
    system::milestone(milestone::SERVERS_READY);
    let first = program::start(&manifest.program, &servers, &modules)?;
    let control = control::Control::new(&servers, &modules)?;
    supervise::start(servers, modules, first)?;
    control.serve()
}
