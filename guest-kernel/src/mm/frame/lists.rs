//! Single frames on hand: stacks, chains and runs.

use super::page;
use crate::mm::phys::Frame;

/// Frames linked through their descriptors.
#[derive(Debug)]
pub(super) struct Stack {
    head: u32,
    pub(super) len: u32,
}

impl Stack {
    pub(super) const EMPTY: Stack = Stack { head: 0, len: 0 };

    #[inline]
    pub(super) fn push(&mut self, frame: Frame) {
        page(frame).set_links(self.head, 0);
        self.head = frame.0;
        self.len += 1;
    }

    pub(super) fn splice(&mut self, chain: Chain) {
        if chain.len != 0 {
            page(Frame(chain.tail)).set_links(self.head, 0);
            self.head = chain.head;
            self.len += chain.len;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Frame> {
        if self.head == 0 {
            return None;
        }
        let frame = Frame(self.head);
        self.head = page(frame).links().0;
        self.len -= 1;
        Some(frame)
    }
}

/// Frames to give back together, linked through their descriptors.
#[derive(Debug, Default)]
pub struct Chain {
    head: u32,
    tail: u32,
    len: u32,
}

impl Chain {
    /// Adds a frame, which nobody uses any more.
    #[inline]
    pub fn push(&mut self, frame: Frame) {
        page(frame).set_links(self.head, 0);
        if self.head == 0 {
            self.tail = frame.0;
        }
        self.head = frame.0;
        self.len += 1;
    }

    /// Frames in the chain.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Frames `next..end`: never used, known to be zero.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) next: u32,
    pub(super) end: u32,
}

impl Run {
    pub(super) const EMPTY: Run = Run { next: 0, end: 0 };

    /// Takes up to `count`; returns the first and how many.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> (Frame, u32) {
        let (first, taken) = (self.next, count.min(self.end - self.next));
        self.next += taken;
        (Frame(first), taken)
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Frame> {
        match self.take(1) {
            (frame, 1) => Some(frame),
            _ => None,
        }
    }
}
