//! What does not fit into a message: kept between two calls of a thread. It is either what the thread will send next, or
//! what it received and has not fetched; the latter goes back where it came from if the thread never fetches it.

use crate::budget::Charge;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A thread, and its process: numbers of threads are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thread {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
}

/// What is kept.
#[derive(Debug)]
pub struct Parcel<O> {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// How many of them its receiver gets.
    pub room: usize,
    /// Where a message came from.
    pub origin: Option<O>,
    /// What it counts for, if its sender's queue does not count it.
    pub charge: Option<Charge>,
}

/// All parcels, one for each thread at most.
#[derive(Debug)]
pub struct Parked<O>(BTreeMap<Thread, Parcel<O>>);

impl<O> Default for Parked<O> {
    fn default() -> Parked<O> {
        Parked(BTreeMap::new())
    }
}

impl<O> Parked<O> {
    /// Keeps a parcel; what was kept for the thread before comes back.
    pub fn put(&mut self, thread: Thread, parcel: Parcel<O>) -> Option<Parcel<O>> {
        self.0.insert(thread, parcel)
    }

    /// Takes what is kept for a thread.
    pub fn take(&mut self, thread: Thread) -> Option<Parcel<O>> {
        self.0.remove(&thread)
    }

    /// Takes everything of the processes that have ended.
    pub fn take_of(&mut self, ended: impl Fn(u32) -> bool) -> Vec<Parcel<O>> {
        let threads = self.0.keys().filter(|thread| ended(thread.pid));
        let threads: Vec<Thread> = threads.copied().collect();
        let all = threads.into_iter().filter_map(|thread| self.take(thread));
        all.collect()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const fn thread(pid: u32, tid: u32) -> Thread {
        Thread { pid, tid }
    }

    fn parcel(byte: u8, origin: Option<u8>) -> Parcel<u8> {
        Parcel {
            bytes: vec![byte],
            room: 1,
            origin,
            charge: None,
        }
    }

    #[test]
    fn what_was_not_fetched_comes_back_with_where_it_came_from() {
        let mut parked = Parked::default();
        assert!(parked.put(thread(1, 10), parcel(1, Some(7))).is_none());
        assert!(parked.put(thread(1, 11), parcel(2, None)).is_none());
        assert!(parked.put(thread(2, 20), parcel(3, Some(9))).is_none());
        let before = parked.put(thread(2, 20), parcel(4, Some(8))).unwrap();
        assert_eq!((before.bytes[0], before.origin), (3, Some(9)));
        let of_first = parked.take_of(|pid| pid == 1);
        let origins: Vec<_> = of_first.iter().map(|parcel| parcel.origin).collect();
        assert_eq!(origins, [Some(7), None]);
        assert_eq!(parked.len(), 1);
    }

    #[test]
    fn a_thread_with_a_number_used_again_gets_nothing_of_another() {
        let mut parked = Parked::default();
        parked.put(thread(1, 10), parcel(1, None));
        assert!(parked.take(thread(2, 10)).is_none());
        assert!(parked.take(thread(1, 10)).is_some());
        assert!(parked.is_empty());
    }
}
