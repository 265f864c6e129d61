//! The 16550 at 0x3f8: the kernel's log. Transmit only; it goes to the monitor's log sink.

use std::io::{self, Write};

use ferrix_machine::uart::{FIFO_ENABLE, FIFOS_ON, IDENTIFICATION};
use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::EventFd;

use crate::sync::Mutex;

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
pub struct Uart(Mutex<State>);

struct State {
    serial: Serial<Line, NoEvents, Sink>,
    /// FCR bit 0, which vm-superio takes for always set.
    fifos: bool,
}

impl Uart {
    /// A UART on this line and sink.
    pub fn new(line: EventFd, sink: Sink) -> Self {
        Self(Mutex::new(State {
            serial: Serial::new(Line(line), sink),
            fifos: false,
        }))
    }
}

impl super::Registers for Uart {
    fn write(&self, offset: u16, data: &[u8]) {
        let mut state = self.0.lock();
        for &byte in data {
            if offset == IDENTIFICATION {
                state.fifos = byte & FIFO_ENABLE != 0;
            }
            if let Err(error) = state.serial.write(offset as u8, byte) {
                log::warn!("UART: {error:?}");
            }
        }
    }

    fn read(&self, offset: u16, data: &mut [u8]) {
        let mut state = self.0.lock();
        data.fill_with(|| state.serial.read(offset as u8));
        if offset == IDENTIFICATION && !state.fifos {
            data.iter_mut().for_each(|byte| *byte &= !FIFOS_ON);
        }
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
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn fifos_are_as_the_driver_set_them() {
        let line = EventFd::new(libc::EFD_NONBLOCK).unwrap();
        let uart = Uart::new(line, Box::new(Shared::default()));
        let fifos = |uart: &Uart| {
            let mut iir = [0];
            uart.read(IDENTIFICATION, &mut iir);
            iir[0] & FIFOS_ON
        };
        assert_eq!(fifos(&uart), 0);
        uart.write(IDENTIFICATION, &[0x07]);
        assert_eq!(fifos(&uart), FIFOS_ON);
        uart.write(IDENTIFICATION, &[0]);
        assert_eq!(fifos(&uart), 0);
    }

    #[test]
    fn bytes_reach_the_sink_and_the_line_is_always_ready() {
        let (line, sink) = (EventFd::new(libc::EFD_NONBLOCK).unwrap(), Shared::default());
        let uart = Uart::new(line, Box::new(sink.clone()));
        uart.write(0, b"ok\n");
        assert_eq!(*sink.0.lock(), b"ok\n");
        let mut status = [0];
        uart.read(5, &mut status);
        assert_eq!(status[0] & 0x60, 0x60, "transmitter empty");
    }
}
