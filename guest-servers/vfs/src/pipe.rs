//! Pipes and FIFOs: a ring of bytes, readers and writers (POSIX XSH `pipe`, `read`, `write`).
//!
//! Pure: whoever must wait is kept as a value of type `W` and handed back when something changes.

use crate::errno::{EAGAIN, EPIPE, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes that a pipe holds (pipe(7)).
pub const CAPACITY: usize = 65536;
/// Writes up to this many bytes are never mixed with others.
pub const PIPE_BUF: usize = 4096;

/// What a read or write comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes (0 from a read: end of file).
    Done(usize),
    /// Not yet.
    Wait,
}

/// Whether the caller would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// Yes.
    Yes,
    /// No: `EAGAIN`.
    No,
}

/// A pipe.
#[derive(Debug)]
pub struct Pipe<W> {
    bytes: VecDeque<u8>,
    /// Bytes that it may hold.
    capacity: usize,
    /// Open read ends.
    pub readers: usize,
    /// Open write ends.
    pub writers: usize,
    /// Readers that wait, first come first.
    pub waiting_readers: VecDeque<W>,
    /// Writers that wait.
    pub waiting_writers: VecDeque<W>,
}

impl<W> Default for Pipe<W> {
    fn default() -> Self {
        Pipe {
            bytes: VecDeque::new(),
            capacity: CAPACITY,
            readers: 0,
            writers: 0,
            waiting_readers: VecDeque::new(),
            waiting_writers: VecDeque::new(),
        }
    }
}

impl<W> Pipe<W> {
    /// A pipe that holds no more than what is written in one piece: for who has many.
    pub fn small() -> Pipe<W> {
        Pipe {
            capacity: PIPE_BUF,
            ..Pipe::default()
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that fit.
    pub fn room(&self) -> usize {
        self.capacity - self.bytes.len()
    }

    /// How many bytes a read of `length` would take now.
    ///
    /// # Errors
    /// `EAGAIN` if it would wait and may not.
    pub fn readable(&self, length: usize, blocking: Blocking) -> Result<Progress> {
        if length == 0 || !self.bytes.is_empty() || self.writers == 0 {
            return Ok(Progress::Done(length.min(self.bytes.len())));
        }
        wait(blocking)
    }

    /// Takes bytes out; `take` sees them in one or two pieces and says whether it could use them all.
    /// If it could not, they stay.
    pub fn read(&mut self, length: usize, take: impl FnOnce(&[u8], &[u8]) -> bool) -> bool {
        let length = length.min(self.bytes.len());
        let (first, second) = self.bytes.as_slices();
        let head = length.min(first.len());
        let taken = take(&first[..head], &second[..length - head]);
        if taken {
            self.bytes.drain(..length);
        }
        taken
    }

    /// Puts bytes back in front (a reader vanished before they reached it).
    pub fn unread(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().rev() {
            self.bytes.push_front(byte);
        }
    }

    /// How many of `length` bytes a write may put in now. Small writes go in whole or not at all.
    ///
    /// # Errors
    /// `EPIPE` without readers; `EAGAIN` if it would wait and may not.
    pub fn writable(&self, length: usize, blocking: Blocking) -> Result<Progress> {
        if self.readers == 0 {
            return Err(EPIPE);
        }
        let room = self.room();
        if length <= room {
            return Ok(Progress::Done(length));
        }
        if length <= PIPE_BUF || room == 0 {
            return wait(blocking);
        }
        Ok(Progress::Done(room))
    }

    /// Puts bytes in; the caller has asked [`writable`](Self::writable).
    pub fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// All that wait, readers first, when the pipe goes.
    pub fn drain_waiting(&mut self) -> Vec<W> {
        self.waiting_readers
            .drain(..)
            .chain(self.waiting_writers.drain(..))
            .collect()
    }
}

fn wait(blocking: Blocking) -> Result<Progress> {
    if blocking == Blocking::Yes {
        Ok(Progress::Wait)
    } else {
        Err(EAGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open() -> Pipe<()> {
        Pipe {
            readers: 1,
            writers: 1,
            ..Pipe::default()
        }
    }

    #[test]
    fn ends_decide_what_an_empty_or_full_pipe_means() {
        let mut pipe = open();
        assert_eq!(pipe.readable(5, Blocking::Yes), Ok(Progress::Wait));
        assert_eq!(pipe.readable(5, Blocking::No), Err(EAGAIN));
        pipe.writers = 0;
        assert_eq!(pipe.readable(5, Blocking::No), Ok(Progress::Done(0)));
        pipe.readers = 0;
        assert_eq!(pipe.writable(1, Blocking::Yes), Err(EPIPE));
    }

    #[test]
    fn a_small_pipe_holds_one_piece() {
        let mut pipe: Pipe<()> = Pipe {
            readers: 1,
            writers: 1,
            ..Pipe::small()
        };
        assert_eq!(
            pipe.writable(PIPE_BUF + 1, Blocking::No),
            Ok(Progress::Done(PIPE_BUF))
        );
        pipe.write(&[1; PIPE_BUF]);
        assert_eq!(pipe.room(), 0);
        assert_eq!(pipe.writable(1, Blocking::No), Err(EAGAIN));
    }

    #[test]
    fn small_writes_are_atomic_and_large_ones_partial() {
        let mut pipe = open();
        pipe.write(&[0; CAPACITY - 100]);
        assert_eq!(pipe.writable(101, Blocking::No), Err(EAGAIN));
        assert_eq!(pipe.writable(100, Blocking::No), Ok(Progress::Done(100)));
        assert_eq!(
            pipe.writable(PIPE_BUF + 1, Blocking::No),
            Ok(Progress::Done(100))
        );
        assert_eq!(pipe.writable(PIPE_BUF, Blocking::Yes), Ok(Progress::Wait));
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order(steps in proptest::collection::vec((any::<bool>(), 0usize..9000), 1..60)) {
            let (mut pipe, mut sent, mut received) = (open(), 0u32, 0u32);
            for (is_write, size) in steps {
                if is_write {
                    if let Ok(Progress::Done(fits)) = pipe.writable(size, Blocking::No) {
                        let bytes: Vec<u8> = (0..fits).map(|i| (sent as usize + i) as u8).collect();
                        pipe.write(&bytes);
                        sent = sent.wrapping_add(fits as u32);
                    }
                } else {
                    let refuse = size % 7 == 0;
                    let before = pipe.len();
                    let taken = pipe.read(size, |first, second| {
                        for byte in first.iter().chain(second).take(if refuse { 0 } else { usize::MAX }) {
                            assert_eq!(*byte, received as u8);
                            received = received.wrapping_add(1);
                        }
                        !refuse
                    });
                    prop_assert_eq!(taken, !refuse);
                    prop_assert_eq!(pipe.len(), if refuse { before } else { before - size.min(before) });
                }
                prop_assert!(pipe.len() <= CAPACITY);
                prop_assert_eq!(sent.wrapping_sub(received) as usize, pipe.len());
            }
        }
    }
}
