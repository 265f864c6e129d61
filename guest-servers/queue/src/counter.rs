//! A counter that can be waited for (eventfd(2)).

use crate::errno::{EINVAL, Result};
use crate::socket::Answer;
use crate::waits::Token;
use alloc::collections::VecDeque;
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
    /// Who waits to add how much.
    writers: VecDeque<(Token, u64)>,
}

/// Greatest value.
const MOST: u64 = u64::MAX - 1;

impl Counter {
    /// Begins at a value.
    pub const fn new(value: u64, mode: Mode) -> Counter {
        Counter {
            value,
            mode,
            writers: VecDeque::new(),
        }
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

    /// A writer waits until what it adds has room. `poll` does not show that: less may have room already.
    pub fn wait_to_write(&mut self, writer: Token, more: u64) {
        self.writers.push_back((writer, more));
    }

    /// A writer waits no longer.
    pub fn forget(&mut self, writer: Token) {
        self.writers.retain(|(other, _)| *other != writer);
    }

    /// The first writer whose number has room: it waits no longer.
    pub fn next_writer(&mut self) -> Option<(Token, u64)> {
        let room = MOST - self.value;
        let at = self.writers.iter().position(|(_, more)| *more <= room)?;
        self.writers.remove(at)
    }

    /// All that wait.
    pub fn into_writers(self) -> impl Iterator<Item = Token> {
        self.writers.into_iter().map(|(writer, _)| writer)
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

    #[test]
    fn writers_wait_for_the_room_that_they_need() {
        let mut counter = Counter::new(5, Mode::One);
        for (writer, more) in [(1, MOST), (2, MOST - 4), (3, MOST - 4)] {
            assert_eq!(counter.write(more), Ok(Answer::Wait(ready::WRITABLE)));
            counter.wait_to_write(writer, more);
        }
        assert_eq!(counter.readiness(), ready::READABLE | ready::WRITABLE);
        assert_eq!(counter.next_writer(), None);
        counter.forget(2);
        assert_eq!(counter.read(), Answer::Done(1));
        assert_eq!(counter.next_writer(), Some((3, MOST - 4)));
        assert_eq!(counter.write(MOST - 4), Ok(Answer::Done(())));
        assert_eq!(counter.next_writer(), None);
        assert_eq!(counter.into_writers().collect::<std::vec::Vec<_>>(), [1]);
    }
}
