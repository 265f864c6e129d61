//! What may be asked of init: to end the machine.

use crate::modules::Modules;
use crate::servers::Ports;
use crate::startup::Failure;
use core::convert::Infallible;
use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_proto::startup::name;
use ferrix_proto::{control, path, tty};
use ferrix_rt::client::Request;
use ferrix_rt::connections::Connections;
use ferrix_rt::service::{self, Outcome, Service};
use ferrix_rt::sys::{process, system, utcb};
use ferrix_rt::{clock, log};

/// How long the console may take to put out what was written.
const DRAIN_NS: u64 = 5_000_000_000;
/// How long the file systems may take to write everything back.
const SYNC_NS: u64 = 20_000_000_000;

/// The service on init's port.
pub struct Control {
    port: Handle,
    vfs: Handle,
    console: Handle,
    resource: Handle,
    connections: Connections,
}

impl Control {
    /// Takes what it needs of the servers.
    pub fn new(ports: &Ports, modules: &Modules) -> Result<Control, Failure> {
        let port = ports.get(name::INIT)?;
        let (vfs, resource) = (ports.get(name::VFS)?, modules.resource());
        let console = ports.get(name::CONSOLE).unwrap_or_default();
        Ok(Control {
            port,
            vfs,
            console,
            resource,
            connections: Connections::new(port),
        })
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// When its port fails.
    pub fn serve(mut self) -> Result<Infallible, Failure> {
        match service::run(self.port, &mut self) {
            Err(error) => Err(Failure::kernel(name::INIT, error)),
            Ok(()) => Err(Failure::new(name::INIT, "its port was closed")),
        }
    }
}

impl Service for Control {
    fn request(&mut self, request: &service::Request) -> Outcome {
        match request.head.operation() {
            control::POWER_OFF => {
                let asker = process::identity(request.caller.pid)?;
                if asker.euid != 0 {
                    return Err(Error::NotPermitted.into());
                }
                end(
                    [self.vfs, self.console],
                    self.resource,
                    request.words[0] as u32,
                )
            }
            _ => Err(Error::NoSystemCall.into()),
        }
    }

    fn closed(&mut self, _badge: u32) {}

    fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }
}

/// Writes everything back and ends the machine.
pub fn shut_down(ports: &Ports, modules: &Modules, status: u32) -> ! {
    let vfs = ports.get(name::VFS).unwrap_or_default();
    let console = ports.get(name::CONSOLE).unwrap_or_default();
    end([vfs, console], modules.resource(), status)
}

fn end([vfs, console]: [Handle; 2], resource: Handle, status: u32) -> ! {
    let mut unmount = Request::new(path::UNMOUNT, [u64::MAX, 0, 0]);
    unmount.payload = b"/";
    for request in [Request::new(path::SYNC_ALL, [0; 3]), unmount] {
        utcb::set_deadline(clock::monotonic_ns() + SYNC_NS);
        let bounded = Request {
            modifiers: Tag::TIMEOUT,
            ..request
        };
        if let Err(errno) = bounded.send(vfs) {
            log!("init", "writing the file systems back: errno {errno}");
        }
    }
    // A console that takes no more output ends the wait.
    utcb::set_deadline(clock::monotonic_ns() + DRAIN_NS);
    let drain = Request {
        modifiers: Tag::TIMEOUT,
        ..Request::new(tty::DRAIN, [0; 3])
    };
    let _ = drain.send(console);
    let _ = system::power_off(status, resource);
    process::exit(status << 8)
}
