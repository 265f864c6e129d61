//! The event loop's end of the UART.

use std::os::fd::AsRawFd;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::epoll::EventSet;

use super::Serial;

/// The event loop's end.
pub struct SerialBack(Serial);

impl SerialBack {
    /// The end of this UART.
    pub fn new(serial: Serial) -> Self {
        Self(serial)
    }
}

impl MutEventSubscriber for SerialBack {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        ops.add(Events::new(&self.0.0.attention, EventSet::IN))
            .expect("event files can be polled");
        self.0.0.state.lock().input.watch(ops);
    }

    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let mut state = self.0.0.state.lock();
        if events.fd() == state.input.as_raw_fd() {
            state.input.fill();
        }
        // `WouldBlock` if there was nothing.
        let _ = self.0.0.attention.read();
        state.receive();
        state.input.watch(ops);
        let was_full = state.is_full();
        state.out.drain();
        state.room |= was_full && !state.is_full();
        state.update();
        if let Err(error) = state.out.watch(ops) {
            log::error!("cannot watch standard output: {error}");
        }
    }
}
