//! I/O ports for drivers.

use crate::sys::{ipc, system};
use core::arch::asm;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;

/// Ports that this process may use.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    count: u16,
    grant: Handle,
}

impl Ports {
    /// Asks the kernel for `count` ports from `first` on. With the log's UART among them the log is
    /// this process's to put out (see `ferrix_abi::Call::PortsGrant`).
    ///
    /// # Errors
    /// `NotPermitted` without the resource's right, `Busy` when somebody has one of them, `Invalid` for
    /// ports that are never granted.
    pub fn claim(first: u16, count: u16, resource: Handle) -> Result<Ports> {
        let grant = system::ports_grant(first, count, resource)?;
        Ok(Ports {
            first,
            count,
            grant,
        })
    }

    fn port(&self, index: u16) -> u16 {
        assert!(index < self.count, "a port that was not granted");
        self.first + index
    }

    /// Reads a byte from port `index` of the range.
    ///
    /// # Panics
    /// Beyond the range.
    pub fn read8(&self, index: u16) -> u8 {
        let port = self.port(index);
        let value: u8;
        // SAFETY: the port was granted, and the device behind it does not touch memory.
        unsafe {
            asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags));
        }
        value
    }

    /// Writes a byte to port `index` of the range.
    ///
    /// # Panics
    /// Beyond the range.
    pub fn write8(&self, index: u16, value: u8) {
        let port = self.port(index);
        // SAFETY: as in `read8`.
        unsafe {
            asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags));
        }
    }
}

impl Drop for Ports {
    /// Gives the ports back.
    fn drop(&mut self) {
        // A handle of this process's own that nobody else closes.
        let _ = ipc::close(self.grant);
    }
}
