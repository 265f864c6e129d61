//! Pending signals: a set, and what is known of each in the order of arrival.
//!
//! Signals below SIGRTMIN are pending once; real-time signals queue, up to a limit.

use alloc::vec::Vec;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::signal::number::{SIGBUS, SIGFPE, SIGILL, SIGRTMIN, SIGSEGV, SIGTRAP};
use ferrix_abi::signal::{SignalInfo, SignalSet};

/// Most signals that one queue holds.
pub const QUEUE_MAX: usize = 256;

/// The set with one signal.
#[inline(always)]
pub const fn bit(signal: u32) -> SignalSet {
    1 << (signal - 1)
}

/// Signals that a program's own instruction causes: taken first.
pub const SYNCHRONOUS: SignalSet =
    bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGFPE);

/// Pending signals.
#[derive(Debug)]
pub struct SignalQueue {
    set: SignalSet,
    infos: Vec<SignalInfo>,
}

impl SignalQueue {
    /// None.
    pub const fn new() -> SignalQueue {
        SignalQueue {
            set: 0,
            infos: Vec::new(),
        }
    }

    /// The pending set.
    #[inline(always)]
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds a signal. One below SIGRTMIN that is pending already stays as it is.
    pub fn push(&mut self, info: SignalInfo) -> Result<()> {
        if info.signo < SIGRTMIN && self.set & bit(info.signo) != 0 {
            return Ok(());
        }
        if self.infos.len() >= QUEUE_MAX {
            return Err(Error::WouldBlock);
        }
        self.infos.try_reserve(1).map_err(|_| Error::WouldBlock)?;
        self.infos.push(info);
        self.set |= bit(info.signo);
        Ok(())
    }

    /// The signal of a set that is to be taken next.
    #[inline]
    pub fn next(&self, allowed: SignalSet) -> Option<u32> {
        let candidates = self.set & allowed;
        let first = if candidates & SYNCHRONOUS != 0 {
            candidates & SYNCHRONOUS
        } else {
            candidates
        };
        (first != 0).then(|| first.trailing_zeros() + 1)
    }

    /// Takes the next signal of a set out: the lowest number, the oldest of that number.
    pub fn take(&mut self, allowed: SignalSet) -> Option<SignalInfo> {
        let signal = self.next(allowed)?;
        let index = self.infos.iter().position(|info| info.signo == signal)?;
        let info = self.infos.remove(index);
        if !self.infos.iter().any(|info| info.signo == signal) {
            self.set &= !bit(signal);
        }
        Some(info)
    }

    /// Forgets the signals of a set.
    pub fn discard(&mut self, signals: SignalSet) {
        if self.set & signals != 0 {
            self.infos.retain(|info| signals & bit(info.signo) == 0);
            self.set &= !signals;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = SignalQueue::new();
    }
}

impl Default for SignalQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn info(signo: u32, value: u64) -> SignalInfo {
        SignalInfo {
            signo,
            value,
            ..SignalInfo::default()
        }
    }

    proptest! {
        #[test]
        fn takes_lowest_and_oldest(
            steps in prop::collection::vec((0u8..3, 1u32..65, any::<u64>()), 0..200),
        ) {
            let mut queue = SignalQueue::new();
            let mut model: Vec<SignalInfo> = Vec::new();
            for (number, (step, signal, set)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        queue.push(info(signal, number as u64)).unwrap();
                        let pending = model.iter().any(|info| info.signo == signal);
                        if signal >= 32 || !pending {
                            model.push(info(signal, number as u64));
                        }
                    }
                    1 => {
                        let order = |info: &&SignalInfo| {
                            (SYNCHRONOUS & bit(info.signo) == 0, info.signo)
                        };
                        let allowed = |info: &&SignalInfo| set & bit(info.signo) != 0;
                        let expected = model.iter().filter(allowed).min_by_key(order).copied();
                        prop_assert_eq!(queue.take(set), expected);
                        if let Some(expected) = expected {
                            model.retain(|info| *info != expected);
                        }
                    }
                    _ => {
                        queue.discard(bit(signal));
                        model.retain(|info| info.signo != signal);
                    }
                }
                let set = model.iter().fold(0, |set, info| set | bit(info.signo));
                prop_assert_eq!(queue.set(), set);
            }
        }
    }

    #[test]
    fn the_limit_is_an_error() {
        let mut queue = SignalQueue::new();
        for value in 0..QUEUE_MAX {
            queue.push(info(40, value as u64)).unwrap();
        }
        assert_eq!(queue.push(info(41, 0)), Err(Error::WouldBlock));
        assert_eq!(queue.take(u64::MAX), Some(info(40, 0)));
        assert_eq!(queue.push(info(41, 0)), Ok(()));
    }
}
