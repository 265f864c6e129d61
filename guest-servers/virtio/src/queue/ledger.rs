//! The private book of a queue: which descriptors are free, and what each chain in flight is.
//!
//! It never looks into the shared memory, so nothing that a device writes can confuse it.

use super::QueueSize;
use alloc::vec::Vec;

/// A chain that was added and not given back.
#[derive(Debug)]
pub(super) struct Outstanding<T> {
    /// The driver's token.
    pub token: T,
    /// Descriptors that it takes in the main table.
    pub descriptors: u16,
    /// Bytes that the device may write.
    pub writable: u32,
    /// Its position in the available ring.
    pub position: u16,
}

#[derive(Debug)]
struct Entry<T> {
    /// The next descriptor of the chain, or of the free list.
    next: u16,
    /// Set for the head of a chain.
    chain: Option<Outstanding<T>>,
}

#[derive(Debug)]
pub(super) struct Ledger<T> {
    entries: Vec<Entry<T>>,
    first_free: u16,
    free: u16,
    outstanding: u16,
}

impl<T> Ledger<T> {
    pub fn new(size: QueueSize) -> Ledger<T> {
        let entry = |index: u16| Entry {
            next: index.wrapping_add(1),
            chain: None,
        };
        Ledger {
            entries: (0..size.get()).map(entry).collect(),
            first_free: 0,
            free: size.get(),
            outstanding: 0,
        }
    }

    pub fn free(&self) -> u16 {
        self.free
    }

    pub fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// The descriptor behind `index` in its chain.
    pub fn next(&self, index: u16) -> u16 {
        self.entries[usize::from(index)].next
    }

    /// The chain that starts at `head`.
    pub fn get(&self, head: u16) -> Option<&Outstanding<T>> {
        self.entries.get(usize::from(head))?.chain.as_ref()
    }

    /// Takes as many descriptors as the chain says; returns the head. `None` if too few are free.
    pub fn take(&mut self, chain: Outstanding<T>) -> Option<u16> {
        self.free = self.free.checked_sub(chain.descriptors)?;
        let head = self.first_free;
        let last = self.last_of(head, chain.descriptors);
        self.first_free = self.next(last);
        self.entries[usize::from(head)].chain = Some(chain);
        self.outstanding += 1;
        Some(head)
    }

    /// Ends the chain that starts at `head` and frees its descriptors.
    pub fn give_back(&mut self, head: u16) -> Option<T> {
        let chain = self.entries.get_mut(usize::from(head))?.chain.take()?;
        let last = self.last_of(head, chain.descriptors);
        self.entries[usize::from(last)].next = self.first_free;
        self.first_free = head;
        self.free += chain.descriptors;
        self.outstanding -= 1;
        Some(chain.token)
    }

    /// Ends all chains, the oldest first; `next` is the position behind the newest.
    pub fn drain(&mut self, next: u16) -> Vec<T> {
        let heads = 0..self.entries.len() as u16;
        let mut heads: Vec<(u16, u16)> = heads
            .filter_map(|head| Some((next.wrapping_sub(self.get(head)?.position), head)))
            .collect();
        heads.sort_unstable_by(|left, right| right.cmp(left));
        heads
            .into_iter()
            .filter_map(|(_, head)| self.give_back(head))
            .collect()
    }

    fn last_of(&self, head: u16, descriptors: u16) -> u16 {
        (1..descriptors).fold(head, |at, _| self.next(at))
    }
}
