//! What standard input and output are connected to: virtio-console or the UART.

use std::sync::{Arc, Mutex};

use super::Subscriber;
use crate::console::input::Input;
use crate::console::out::{Buffered, Patience};
use crate::console::target::Target;
use crate::control::Control;
use crate::devices::serial::{Serial, SerialBack};
use crate::error::VmmError;
use crate::sync::lock;
use crate::virtio::console::{ConsoleBack, ConsoleSnapshot};

/// The guest's terminal.
#[derive(Clone)]
pub enum Tty {
    /// On virtio-console.
    Virtio(Arc<Mutex<ConsoleBack>>),
    /// On the UART.
    Serial(Serial),
}

/// The console's ends.
pub fn streams(target: &Target, control: &Arc<Control>) -> Result<(Input, Buffered), VmmError> {
    target.open(control).map_err(|source| VmmError::Console {
        target: target.to_string(),
        source,
    })
}

impl Tty {
    /// Its end in the event loop.
    pub fn subscriber(&self) -> Subscriber {
        match self {
            Self::Virtio(back) => back.clone(),
            Self::Serial(serial) => Arc::new(Mutex::new(SerialBack::new(serial.clone()))),
        }
    }

    /// The user has changed the window's size.
    pub fn resize(&self) {
        if let Self::Virtio(back) = self {
            lock(back).look_at_window();
        }
    }

    /// Moves output as far as standard output takes it.
    pub fn transmit(&self) {
        if let Self::Virtio(back) = self {
            lock(back).transmit();
        }
    }

    /// Puts out everything as long as patience lasts. For the end.
    pub fn flush(&self, patience: Patience) {
        match self {
            Self::Virtio(back) => lock(back).flush(patience),
            Self::Serial(serial) => serial.flush(patience),
        }
    }

    /// The counters now.
    pub fn counters(&self) -> ConsoleSnapshot {
        match self {
            Self::Virtio(back) => lock(back).counters(),
            Self::Serial(serial) => serial.counters(),
        }
    }
}
