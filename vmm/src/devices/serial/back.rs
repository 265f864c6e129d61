//! The event loop's end of the UART.

use std::os::fd::AsRawFd;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::epoll::EventSet;

use super::Serial;

/// The event loop's end.
pub struct SerialBack {
    serial: Serial,
    waits_for_room: bool,
}

impl SerialBack {
    /// The end of this UART.
    pub fn new(serial: Serial) -> Self {
        Self {
            serial,
            waits_for_room: false,
        }
    }

    /// Watches standard output while the transmitter is held up.
    fn watch_output(&mut self, wait: bool, ops: &mut EventOps<'_>) {
        if wait == self.waits_for_room {
            return;
        }
        let room = Events::new(&self.serial.0.state.lock().out, EventSet::OUT);
        let changed = if wait {
            ops.add(room)
        } else {
            ops.remove(room)
        };
        match changed {
            Ok(()) => self.waits_for_room = wait,
            Err(error) => log::error!("cannot watch standard output: {error}"),
        }
    }
}

impl MutEventSubscriber for SerialBack {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        ops.add(Events::new(&self.serial.0.attention, EventSet::IN))
            .expect("event files can be polled");
        self.serial.0.state.lock().input.watch(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let mut state = self.serial.0.state.lock();
        if events.fd() == state.input.as_raw_fd() {
            state.input.fill();
        }
        // `WouldBlock` if there was nothing.
        let _ = self.serial.0.attention.read();
        state.receive();
        state.input.watch(ops);
        let was_full = state.is_full();
        let drained = state.out.drain();
        state.room |= was_full && !state.is_full();
        state.update();
        drop(state);
        self.watch_output(!drained, ops);
    }
}
