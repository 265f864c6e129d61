//! Input on its way from the device to the line discipline.
//!
//! The discipline takes no more than its readers leave room for; the rest is held here and, beyond
//! one look at the device, in the device, whose other end then waits. Whoever makes room calls
//! [`Server::pump`].

use super::Server;
use ferrix_console::discipline::Event;
use ferrix_console::uart::Input;
use ferrix_rt::log;

impl Server {
    /// The device has interrupted.
    pub(super) fn interrupt(&mut self) {
        if self.device.acknowledge() {
            self.window_changed();
        }
        self.input = Input::More;
        self.take_input();
        if let Err(error) = self.device.served() {
            log!("console", "interrupt: {error:?}");
        }
        self.pump();
    }

    /// Whether there is input that the discipline had no room for.
    pub(super) fn input_waits(&self) -> bool {
        !self.held.is_empty() || self.input == Input::More
    }

    /// Takes input for as long as there is some and there is room; whether there was any.
    pub(super) fn take_input(&mut self) -> bool {
        let mut progress = false;
        loop {
            progress |= self.feed();
            if self.ended && self.held.is_empty() {
                self.ended = false;
                self.terminal.end_input();
                progress = true;
            }
            if !self.held.is_empty() || self.input == Input::Drained {
                return progress;
            }
            let (held, ended) = (&mut self.held, &mut self.ended);
            let received = self.device.receive(&mut |bytes| {
                held.extend(bytes);
                *ended |= bytes.is_empty();
            });
            self.input = received.unwrap_or_else(|fault| {
                log!("console", "input: {fault}");
                Input::Drained
            });
        }
    }

    /// Gives the discipline what is held; whether it took any.
    fn feed(&mut self) -> bool {
        let mut progress = false;
        while self.terminal.takes_input()
            && let Some(byte) = self.held.pop_front()
        {
            progress = true;
            for Event::Signal(signo) in self.terminal.input(&[byte]) {
                self.signal(signo);
            }
        }
        progress
    }

    /// Drops unread input.
    pub(super) fn flush_input(&mut self) {
        self.held.clear();
        self.terminal.flush_input();
    }
}
