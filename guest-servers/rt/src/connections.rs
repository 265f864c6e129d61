//! The windows that clients have handed to a server, by process.

use crate::sys::ipc;
use crate::window::Window;
use alloc::collections::BTreeMap;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Handle;

/// Badges from here on are connection sessions; a server numbers its own below.
pub const FIRST_BADGE: u32 = 0x8000_0000;

struct Connection {
    badge: u32,
    window: Window,
}

/// All connections of one server.
pub struct Connections {
    port: Handle,
    next_badge: u32,
    by_pid: BTreeMap<u32, Connection>,
}

impl Connections {
    /// None yet.
    pub const fn new(port: Handle) -> Connections {
        Connections {
            port,
            next_badge: FIRST_BADGE,
            by_pid: BTreeMap::new(),
        }
    }

    /// Maps the window of `pid` and makes the session whose closing ends the connection. An older
    /// connection of the same process is replaced.
    ///
    /// # Errors
    /// What mapping or `SessionCreate` say; the object's handle is closed in any case.
    pub fn connect(&mut self, pid: u32, object: Handle) -> Result<Handle> {
        let window = Window::from_object(object)?;
        let badge = self.next_badge;
        let session = ipc::session_create(self.port, badge, 0)?;
        self.next_badge = badge.checked_add(1).unwrap_or(FIRST_BADGE);
        self.by_pid.insert(pid, Connection { badge, window });
        Ok(session)
    }

    /// A connection session was closed: true if the badge is one.
    pub fn closed(&mut self, badge: u32) -> bool {
        if badge >= FIRST_BADGE {
            self.by_pid
                .retain(|_, connection| connection.badge != badge);
        }
        badge >= FIRST_BADGE
    }

    /// The window of a process.
    ///
    /// # Errors
    /// `Invalid` if it has not connected.
    pub fn window(&self, pid: u32) -> Result<&Window> {
        self.by_pid
            .get(&pid)
            .map(|connection| &connection.window)
            .ok_or(Error::Invalid)
    }
}
