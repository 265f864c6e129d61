//! What can end a machine from outside the guest: signals, the timeout. And the end itself.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::epoll::EventSet;

use crate::console::signals::Signals;
use crate::control::{Control, Outcome};
use crate::timer::Timer;

use super::tty::Tty;

/// The event loop's ear for endings.
pub struct Watch {
    control: Arc<Control>,
    signals: Signals,
    timeout: Option<Timer>,
    tty: Tty,
}

impl Watch {
    /// Starts the timeout, if there is one.
    pub fn new(
        control: Arc<Control>,
        signals: Signals,
        timeout: Option<Duration>,
        tty: Tty,
    ) -> io::Result<Self> {
        let start = |limit| Timer::new().and_then(|timer| timer.set(limit).map(|()| timer));
        Ok(Self {
            control,
            signals,
            timeout: timeout.map(start).transpose()?,
            tty,
        })
    }

    fn take_signals(&self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                libc::SIGWINCH => self.tty.resize(),
                _ => self.control.end(Outcome::Signal(signal as u8)),
            }
        }
    }
}

impl MutEventSubscriber for Watch {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let watched = [
            Events::new(&self.signals, EventSet::IN),
            Events::new(self.control.ended(), EventSet::IN),
        ];
        let timeout = self
            .timeout
            .iter()
            .map(|timer| Events::new(timer, EventSet::IN));
        for events in watched.into_iter().chain(timeout) {
            ops.add(events)
                .expect("event, signal and timer files can be polled");
        }
    }

    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        if events.fd() == self.signals.as_raw_fd() {
            self.take_signals();
        } else if self
            .timeout
            .as_ref()
            .is_some_and(|t| t.as_raw_fd() == events.fd())
        {
            self.control.end(Outcome::Timeout);
        }
    }
}
