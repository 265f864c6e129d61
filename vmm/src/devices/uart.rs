//! The 16550 at 0x3f8: the kernel's log. Transmit only; it goes to the monitor's log sink.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::EventFd;

/// An interrupt line as vm-superio wants it.
pub struct Line(pub EventFd);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// Where the bytes go; must never block.
pub type Sink = Box<dyn Write + Send>;

/// The UART, reachable from all vCPUs.
pub struct Uart(Mutex<Serial<Line, NoEvents, Sink>>);

impl Uart {
    /// A UART on this line and sink.
    pub fn new(line: EventFd, sink: Sink) -> Self {
        Self(Mutex::new(Serial::new(Line(line), sink)))
    }
}

impl super::Registers for Uart {
    fn write(&self, offset: u16, data: &[u8]) {
        let mut serial = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for &byte in data {
            if let Err(error) = serial.write(offset as u8, byte) {
                log::warn!("UART: {error:?}");
            }
        }
    }

    fn read(&self, offset: u16, data: &mut [u8]) {
        let mut serial = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        data.fill_with(|| serial.read(offset as u8));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Registers as _;
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_reach_the_sink_and_the_line_is_always_ready() {
        let (line, sink) = (EventFd::new(libc::EFD_NONBLOCK).unwrap(), Shared::default());
        let uart = Uart::new(line, Box::new(sink.clone()));
        uart.write(0, b"ok\n");
        assert_eq!(*sink.0.lock().unwrap(), b"ok\n");
        let mut status = [0];
        uart.read(5, &mut status);
        assert_eq!(status[0] & 0x60, 0x60, "transmitter empty");
    }
}
