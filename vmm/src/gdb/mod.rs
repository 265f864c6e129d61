//! The debugger's server: gdb's remote protocol in the event loop.
//!
//! All-stop: vCPUs are threads; while gdb thinks, all are parked at the [`Gate`](crate::vcpu::Gate).
//! [`server`] drives gdbstub's state machine, [`target`] answers for the guest, [`arch`] says what
//! registers there are, [`breakpoints`] keeps the bytes under breakpoint instructions, [`points`] what is
//! watched, [`abilities`] finds out what this KVM can do.

mod abilities;
mod arch;
mod breakpoints;
mod points;
mod registers;
mod server;
mod target;
mod xsave;

pub use abilities::Abilities;
pub use breakpoints::Breakpoints;
pub use points::Points;
pub use server::{GdbServer, listen};
pub use target::{GdbTarget, Shared};

use vmm_sys_util::eventfd::EventFd;

use crate::kvm::{KvmError, event_fd};
use crate::sync::Mutex;
use crate::vcpu::DebugStop;

/// Stops on their way from vCPU threads to the server.
#[derive(Debug)]
pub struct Stops {
    waiting: Mutex<Vec<DebugStop>>,
    event: EventFd,
}

impl Stops {
    /// None yet.
    pub fn new() -> Result<Self, KvmError> {
        Ok(Self {
            waiting: Mutex::new(Vec::new()),
            event: event_fd()?,
        })
    }

    /// A vCPU has stopped.
    pub fn push(&self, stop: DebugStop) {
        self.waiting.lock().push(stop);
        // A full counter is readable as well.
        let _ = self.event.write(1);
    }

    /// The first stop since the last call. Of several at once, gdb is told of one; the others
    /// stand on their breakpoints and stop again when they are continued.
    fn take_first(&self) -> Option<DebugStop> {
        // `WouldBlock` if there was none.
        let _ = self.event.read();
        let mut waiting = self.waiting.lock();
        let first = waiting.first().copied();
        waiting.clear();
        first
    }
}
