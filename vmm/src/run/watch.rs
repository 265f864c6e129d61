//! What comes from outside the guest: signals, the timeout, questions at the prompt. And the end itself.

use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, Events, MutEventSubscriber};
use vmm_sys_util::epoll::EventSet;

use crate::console::escape;
use crate::console::signals::Signals;
use crate::control::{Control, Outcome};
use crate::inspect::Guest;
use crate::timer::Timer;

use super::tty::Tty;

/// What SIGUSR1 asks.
const SITUATION: [&str; 3] = ["stats", "report", "threads"];
/// The first and the last line of the answer.
const WHERE: &str = "vmm: where the guest is:";
const GOES_ON: &str = "vmm: the guest goes on";

/// The event loop's ear for endings.
pub struct Watch {
    control: Arc<Control>,
    signals: Signals,
    timeout: Option<Timer>,
    tty: Tty,
    guest: Guest,
}

impl Watch {
    /// Starts the timeout, if there is one.
    pub fn new(
        signals: Signals,
        timeout: Option<Duration>,
        tty: Tty,
        guest: Guest,
    ) -> io::Result<Self> {
        let start = |limit| Timer::new().and_then(|timer| timer.set(limit).map(|()| timer));
        Ok(Self {
            control: guest.context.control.clone(),
            signals,
            timeout: timeout.map(start).transpose()?,
            tty,
            guest,
        })
    }

    fn take_signals(&self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                libc::SIGWINCH => self.tty.resize(),
                libc::SIGUSR1 => self.say_where(),
                _ => self.control.end(Outcome::Signal(signal as u8)),
            }
        }
    }
}

impl Watch {
    /// Says on standard error where the guest is, and lets it go on.
    fn say_where(&self) {
        let answer = |question| self.guest.answer(question);
        let answers = self.guest.hold(|| SITUATION.map(answer));
        let text = format!("{WHERE}\n{}\n{GOES_ON}\n", answers.join("\n"));
        // A terminal is raw while the guest runs.
        match io::stderr().is_terminal() {
            true => eprint!("{}", text.replace('\n', "\r\n")),
            false => eprint!("{text}"),
        }
    }

    /// Answers what was typed at the prompt, on a raw terminal.
    fn answer(&self) {
        for line in self.control.take_questions() {
            let answer = self.guest.hold(|| self.guest.answer(&line));
            eprint!("\r\n{}\r\n{}", answer.replace('\n', "\r\n"), escape::PROMPT);
        }
    }
}

impl MutEventSubscriber for Watch {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let watched = [
            Events::new(&self.signals, EventSet::IN),
            Events::new(self.control.ended(), EventSet::IN),
            Events::new(self.control.asked(), EventSet::IN),
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
        } else if events.fd() == self.control.asked().as_raw_fd() {
            self.answer();
        } else if self
            .timeout
            .as_ref()
            .is_some_and(|t| t.as_raw_fd() == events.fd())
        {
            self.control.end(Outcome::Timeout);
        }
    }
}
