//! Default actions, dispositions, and the choice of the thread that takes a signal.

use ferrix_abi::signal::number::*;
use ferrix_abi::signal::{Disposition, SignalSet};

use super::queue::bit;

/// Signals that nobody can block, catch or ignore.
pub const UNBLOCKABLE: SignalSet = bit(SIGKILL) | bit(SIGSTOP);
/// Signals that stop a process by default.
pub const STOPS: SignalSet = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);
/// Signals that are ignored by default.
pub const IGNORED: SignalSet = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH);

/// What a signal that is not caught does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends the process.
    Terminate,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// The process's signal entry is told.
    Catch,
}

/// The default action of a signal. (SIGCONT has continued the process when it was sent.)
pub const fn default_action(signal: u32) -> Action {
    if STOPS & bit(signal) != 0 {
        Action::Stop
    } else if IGNORED & bit(signal) != 0 {
        Action::Ignore
    } else {
        Action::Terminate
    }
}

/// What a process does with each signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dispositions {
    caught: SignalSet,
    ignored: SignalSet,
    no_child_wait: bool,
}

impl Dispositions {
    /// All default.
    pub const fn new() -> Dispositions {
        Dispositions {
            caught: 0,
            ignored: 0,
            no_child_wait: false,
        }
    }

    /// The disposition of a signal.
    pub fn get(&self, signal: u32) -> Disposition {
        if self.caught & bit(signal) != 0 {
            Disposition::Catch
        } else if self.ignored & bit(signal) != 0 {
            Disposition::Ignore
        } else if signal == SIGCHLD && self.no_child_wait {
            Disposition::NoChildWait
        } else {
            Disposition::Default
        }
    }

    /// Changes it.
    pub fn set(&mut self, signal: u32, disposition: Disposition) {
        let mask = bit(signal);
        self.caught &= !mask;
        self.ignored &= !mask;
        match disposition {
            Disposition::Catch => self.caught |= mask,
            Disposition::Ignore => self.ignored |= mask,
            Disposition::Default | Disposition::NoChildWait => {}
        }
        if signal == SIGCHLD {
            self.no_child_wait = disposition == Disposition::NoChildWait;
        }
    }

    /// The caught signals.
    #[inline(always)]
    pub fn caught(&self) -> SignalSet {
        self.caught
    }

    /// What `exec` leaves: caught signals become default.
    pub fn reset_caught(&mut self) {
        self.caught = 0;
        self.no_child_wait = false;
    }

    /// Whether children that end leave no zombie.
    pub fn leaves_no_zombies(&self) -> bool {
        self.no_child_wait || self.ignored & bit(SIGCHLD) != 0
    }

    /// What a signal does.
    pub fn action(&self, signal: u32) -> Action {
        match self.get(signal) {
            Disposition::Catch => Action::Catch,
            Disposition::Ignore => Action::Ignore,
            Disposition::Default | Disposition::NoChildWait => default_action(signal),
        }
    }
}

/// What the choice of a thread asks of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<T> {
    /// The thread.
    pub thread: T,
    /// Signals that it blocks.
    pub mask: SignalSet,
    /// Signals that it waits for in `SigWait`.
    pub awaited: SignalSet,
}

/// Who takes a signal that is sent to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker<T> {
    /// A thread that waits for it.
    Waiter(T),
    /// The first thread that does not block it.
    Thread(T),
    /// Nobody: it stays pending.
    Nobody,
}

/// Chooses a thread for a signal: one that waits for it, else the first that does not block it.
pub fn choose<T: Copy>(candidates: impl Iterator<Item = Candidate<T>>, signal: u32) -> Taker<T> {
    let mut taker = Taker::Nobody;
    for candidate in candidates {
        if candidate.awaited & bit(signal) != 0 {
            return Taker::Waiter(candidate.thread);
        }
        if matches!(taker, Taker::Nobody) && candidate.mask & bit(signal) == 0 {
            taker = Taker::Thread(candidate.thread);
        }
    }
    taker
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_posix_s() {
        assert_eq!(default_action(SIGTERM), Action::Terminate);
        assert_eq!(default_action(SIGCHLD), Action::Ignore);
        assert_eq!(default_action(SIGTSTP), Action::Stop);
        assert_eq!(default_action(SIGRTMAX), Action::Terminate);
    }

    #[test]
    fn a_disposition_is_kept_until_the_next() {
        let mut table = Dispositions::new();
        for disposition in [
            Disposition::Catch,
            Disposition::Ignore,
            Disposition::NoChildWait,
            Disposition::Default,
        ] {
            table.set(SIGCHLD, disposition);
            assert_eq!(table.get(SIGCHLD), disposition);
        }
        table.set(SIGCHLD, Disposition::NoChildWait);
        assert!(table.leaves_no_zombies());
        table.set(SIGINT, Disposition::Catch);
        table.reset_caught();
        assert_eq!(table, Dispositions::new());
    }

    proptest! {
        #[test]
        fn a_waiter_comes_first(
            threads in prop::collection::vec((any::<u64>(), any::<u64>()), 0..6),
            signal in 1u32..65,
        ) {
            let list = threads.iter().enumerate();
            let candidates =
                list.map(|(thread, &(mask, awaited))| Candidate { thread, mask, awaited });
            let waiter = threads.iter().position(|&(_, awaited)| awaited >> (signal - 1) & 1 == 1);
            let open = threads.iter().position(|&(mask, _)| mask >> (signal - 1) & 1 == 0);
            let expected = match (waiter, open) {
                (Some(waiter), _) => Taker::Waiter(waiter),
                (None, Some(open)) => Taker::Thread(open),
                (None, None) => Taker::Nobody,
            };
            prop_assert_eq!(choose(candidates, signal), expected);
        }
    }
}
