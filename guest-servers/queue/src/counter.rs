//! A counter that can be waited for (eventfd(2)).

use crate::errno::{EINVAL, Result};
use crate::socket::Answer;
use ferrix_abi::ipc::ready;

/// How a read counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It takes everything.
    All,
    /// It takes one (`EFD_SEMAPHORE`).
    One,
}

/// The counter.
#[derive(Debug)]
pub struct Counter {
    value: u64,
    mode: Mode,
}

/// Greatest value.
const MOST: u64 = u64::MAX - 1;

impl Counter {
    /// Begins at a value.
    pub const fn new(value: u64, mode: Mode) -> Counter {
        Counter { value, mode }
    }

    /// Takes what a read takes.
    pub fn read(&mut self) -> Answer<u64> {
        let taken = match self.mode {
            _ if self.value == 0 => return Answer::Wait(ready::READABLE),
            Mode::All => self.value,
            Mode::One => 1,
        };
        self.value -= taken;
        Answer::Done(taken)
    }

    /// Adds.
    ///
    /// # Errors
    /// `EINVAL` for what can never be added.
    pub fn write(&mut self, more: u64) -> Result<Answer<()>> {
        if more == u64::MAX {
            return Err(EINVAL);
        }
        if more > MOST - self.value {
            return Ok(Answer::Wait(ready::WRITABLE));
        }
        self.value += more;
        Ok(Answer::Done(()))
    }

    /// What `poll` should see.
    pub const fn readiness(&self) -> u32 {
        let mut bits = 0;
        if self.value > 0 {
            bits |= ready::READABLE;
        }
        if self.value < MOST {
            bits |= ready::WRITABLE;
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_take_all_or_one() {
        let mut all = Counter::new(3, Mode::All);
        assert_eq!(all.read(), Answer::Done(3));
        assert_eq!(all.read(), Answer::Wait(ready::READABLE));
        let mut one = Counter::new(2, Mode::One);
        assert_eq!([one.read(), one.read()], [Answer::Done(1), Answer::Done(1)]);
        assert_eq!(one.readiness(), ready::WRITABLE);
    }

    #[test]
    fn it_does_not_overflow() {
        let mut counter = Counter::new(1, Mode::All);
        assert_eq!(counter.write(u64::MAX), Err(EINVAL));
        assert_eq!(
            counter.write(u64::MAX - 1),
            Ok(Answer::Wait(ready::WRITABLE))
        );
        assert_eq!(counter.write(u64::MAX - 2), Ok(Answer::Done(())));
        assert_eq!(counter.readiness(), ready::READABLE);
        assert_eq!(counter.read(), Answer::Done(u64::MAX - 1));
    }
}
