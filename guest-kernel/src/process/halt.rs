//! When a process that is being stopped has stopped.
//!
//! Its parent hears of it when no thread runs any more: until then one on another CPU may still write to memory that the
//! parent shares. Those that wait count as stopped: their wait ends, but they do not go beyond.

/// A stop that has begun and is not reported yet, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halt {
    signal: u32,
    running: u32,
}

impl Halt {
    /// No stop, or one that is reported already.
    pub const NONE: Halt = Halt {
        signal: 0,
        running: 0,
    };

    /// `signal` stops a process; so many of its threads run, or are ready to.
    pub const fn new(signal: u32, running: u32) -> Halt {
        Halt { signal, running }
    }

    /// The signal to report, once, if nobody runs.
    pub fn report(&mut self) -> Option<u32> {
        let done = self.signal != 0 && self.running == 0;
        done.then(|| core::mem::take(self).signal)
    }

    /// One of those that ran does not any more. The signal to report, if it was the last one.
    pub fn one_less(&mut self) -> Option<u32> {
        self.running = self.running.saturating_sub(1);
        self.report()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STOP: u32 = 19;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum State {
        Runs,
        Waits,
        Stopped,
        Gone,
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Stop,
        Continue,
        /// Thread so-and-so comes to the end of its system call, begins to wait, stops waiting, or ends.
        Returns(usize),
        Waits(usize),
        Wakes(usize),
        Ends(usize),
    }

    const THREADS: usize = 4;

    fn event() -> impl Strategy<Value = Event> {
        let thread = 0..THREADS;
        prop_oneof![
            2 => Just(Event::Stop),
            1 => Just(Event::Continue),
            4 => thread.clone().prop_map(Event::Returns),
            3 => thread.clone().prop_map(Event::Waits),
            3 => thread.clone().prop_map(Event::Wakes),
            1 => thread.prop_map(Event::Ends),
        ]
    }

    /// A process as `stop` handles it: a mark at each thread that the report waits for.
    struct Model {
        states: [State; THREADS],
        marks: [bool; THREADS],
        stopped: bool,
        halt: Halt,
        reports: u32,
    }

    impl Model {
        fn leaves(&mut self, thread: usize, to: State) {
            self.states[thread] = to;
            if core::mem::take(&mut self.marks[thread]) {
                self.reports += u32::from(self.halt.one_less() == Some(STOP));
            }
        }

        fn step(&mut self, event: Event) {
            let state = |thread: usize| self.states[thread];
            match event {
                Event::Stop if !self.stopped => {
                    self.stopped = true;
                    self.marks = self.states.map(|state| state == State::Runs);
                    let running = self.marks.iter().filter(|mark| **mark).count();
                    self.halt = Halt::new(STOP, running as u32);
                    self.reports += u32::from(self.halt.report() == Some(STOP));
                }
                Event::Continue if self.stopped => {
                    (self.stopped, self.halt) = (false, Halt::NONE);
                    self.marks = [false; THREADS];
                    for state in &mut self.states {
                        if *state == State::Stopped {
                            *state = State::Runs;
                        }
                    }
                }
                Event::Returns(thread) if self.stopped && state(thread) == State::Runs => {
                    self.leaves(thread, State::Stopped);
                }
                Event::Waits(thread) if state(thread) == State::Runs => {
                    self.leaves(thread, State::Waits);
                }
                Event::Wakes(thread) if state(thread) == State::Waits => {
                    let to = if self.stopped {
                        State::Stopped
                    } else {
                        State::Runs
                    };
                    self.states[thread] = to;
                }
                Event::Ends(thread) if state(thread) == State::Runs => {
                    self.leaves(thread, State::Gone);
                }
                _ => {}
            }
        }
    }

    proptest! {
        #[test]
        fn a_stop_is_reported_once_when_nobody_runs(events in prop::collection::vec(event(), 0..60)) {
            let mut model = Model {
                states: [State::Runs; THREADS],
                marks: [false; THREADS],
                stopped: false,
                halt: Halt::NONE,
                reports: 0,
            };
            let mut stop_reported = false;
            for event in events {
                let before = model.reports;
                model.step(event);
                let has_stopped = model.stopped && !model.states.contains(&State::Runs);
                let due = has_stopped && !stop_reported;
                prop_assert_eq!(model.reports - before, u32::from(due), "{:?}", event);
                stop_reported = has_stopped;
            }
        }
    }
}
