//! Lists of descriptors to wait for (epoll(7)).
//!
//! A list belongs to the process and its children get copies; it is known by the handle of its descriptor. An entry is known by a
//! descriptor's number and the handle behind it, and goes when the process closes the last descriptor with that handle.

use crate::errno::{Errno, Result};
use linux_raw_sys::general as linux;

/// Entries of all lists.
pub const ENTRIES: usize = 1024;
/// Lists.
pub const LISTS: usize = 64;
/// Lists inside lists.
pub const DEPTH: usize = 5;

/// `EPOLLET`, `EPOLLONESHOT`.
const EDGE: u32 = 1 << 31;
const ONE_SHOT: u32 = 1 << 30;
/// Bits that are no events.
const MODES: u32 = EDGE | ONE_SHOT | 1 << 29 | 1 << 28;

/// A descriptor that is waited for; all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Handle of the list.
    pub list: u32,
    /// Number of the descriptor.
    pub fd: u32,
    /// Handle behind it.
    pub handle: u32,
    /// `EPOLL*`; 0 events after a one-shot.
    pub events: u32,
    /// What the program gets.
    pub data: u64,
    /// The handle's events so far, once it was reported.
    pub seen: u32,
    /// What has become of it.
    pub state: State,
}

/// What has become of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It was never reported: whatever is ready counts.
    #[default]
    Fresh,
    /// It was reported: with `EPOLLET` only what comes later counts.
    Seen,
    /// It was reported with `EPOLLONESHOT`.
    Spent,
}

impl Entry {
    /// Whether it is to be reported once for each event.
    pub const fn is_edge(&self) -> bool {
        self.events & EDGE != 0
    }

    /// Whether it waits for events after those it has seen.
    pub fn waits_for_events(&self) -> bool {
        self.is_edge() && self.state == State::Seen
    }

    /// The events that are asked for.
    pub const fn wanted(&self) -> u32 {
        self.events & !MODES
    }
}

/// What is waited for at a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct List {
    handle: u32,
    /// Threads that wait at it.
    waiters: u32,
    /// Events of its own session that have been seen.
    seen: u32,
}

/// All lists. What is used most comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Pollers {
    /// No entry from here on is in use.
    end: usize,
    lists: [List; LISTS],
    entries: [Entry; ENTRIES],
}

impl Pollers {
    /// No lists; all bytes are zero.
    pub const fn new() -> Pollers {
        const FREE: Entry = Entry {
            list: 0,
            fd: 0,
            handle: 0,
            events: 0,
            data: 0,
            seen: 0,
            state: State::Fresh,
        };
        const NONE: List = List {
            handle: 0,
            waiters: 0,
            seen: 0,
        };
        Pollers {
            end: 0,
            lists: [NONE; LISTS],
            entries: [FREE; ENTRIES],
        }
    }

    /// A new list.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn create(&mut self, handle: u32) -> Result<()> {
        let free = self.lists.iter_mut().find(|list| list.handle == 0);
        *free.ok_or(Errno::EMFILE)? = List {
            handle,
            ..List::default()
        };
        Ok(())
    }

    /// Whether the handle is a list's.
    pub fn is_list(&self, handle: u32) -> bool {
        handle != 0 && self.lists.iter().any(|list| list.handle == handle)
    }

    fn list(&mut self, handle: u32) -> Option<&mut List> {
        self.lists.iter_mut().find(|list| list.handle == handle)
    }

    /// A thread begins to wait at a list: the events of the list's session that have been seen.
    pub fn begin_wait(&mut self, handle: u32) -> u32 {
        self.list(handle).map_or(0, |list| {
            list.waiters += 1;
            list.seen
        })
    }

    /// It waits no longer, and has seen so many events of the list's session.
    pub fn end_wait(&mut self, handle: u32, seen: u32) {
        if let Some(list) = self.list(handle) {
            list.waiters -= 1;
            list.seen = seen;
        }
    }

    /// In a forked child only the caller is left, and waits for nothing.
    pub fn only_caller(&mut self) {
        for list in &mut self.lists {
            list.waiters = 0;
        }
    }

    /// Whether somebody waits at a list, directly or inside another one.
    pub fn has_waiters(&self) -> bool {
        self.lists.iter().any(|list| list.waiters > 0)
    }

    fn position(&self, list: u32, fd: u32, handle: u32) -> Option<usize> {
        self.entries[..self.end].iter().position(|entry| {
            entry.list == list && entry.fd == fd && entry.handle == handle && list != 0
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`; `ELOOP` for a list that would be inside itself, or too deep.
    pub fn add(&mut self, new: Entry) -> Result<()> {
        if self.position(new.list, new.fd, new.handle).is_some() {
            return Err(Errno::EEXIST);
        }
        if self.is_list(new.handle) {
            let below = self
                .depth(new.handle, new.list, DEPTH)
                .ok_or(Errno::ELOOP)?;
            if below + self.height(new.list, DEPTH) > DEPTH {
                return Err(Errno::ELOOP);
            }
        }
        let used = self.entries[..self.end].iter();
        let free = used.clone().position(|entry| entry.list == 0);
        let at = free.unwrap_or(self.end);
        *self.entries.get_mut(at).ok_or(Errno::ENOSPC)? = new;
        self.end = self.end.max(at + 1);
        Ok(())
    }

    /// Lists below a list, itself included; nothing if `top` is among them or they are too many.
    fn depth(&self, list: u32, top: u32, left: usize) -> Option<usize> {
        if list == top || left == 0 {
            return None;
        }
        let mut most = 0;
        for entry in self.of(list).filter(|entry| self.is_list(entry.handle)) {
            most = most.max(self.depth(entry.handle, top, left - 1)?);
        }
        Some(most + 1)
    }

    /// Lists above a list.
    fn height(&self, list: u32, left: usize) -> usize {
        let above = self.entries[..self.end]
            .iter()
            .filter(|entry| entry.handle == list && entry.list != 0);
        match left {
            0 => 0,
            _ => above
                .map(|entry| 1 + self.height(entry.list, left - 1))
                .max()
                .unwrap_or(0),
        }
    }

    /// Changes an entry.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn modify(&mut self, new: Entry) -> Result<()> {
        let at = self.position(new.list, new.fd, new.handle);
        self.entries[at.ok_or(Errno::ENOENT)?] = new;
        Ok(())
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn remove(&mut self, list: u32, fd: u32, handle: u32) -> Result<()> {
        let at = self.position(list, fd, handle).ok_or(Errno::ENOENT)?;
        self.entries[at] = Entry::default();
        self.shrink();
        Ok(())
    }

    fn shrink(&mut self) {
        while self.end > 0 && self.entries[self.end - 1].list == 0 {
            self.end -= 1;
        }
    }

    /// A handle is closed: what waited for it, and what it waited for if it was a list's.
    pub fn closed(&mut self, handle: u32) {
        if self.end == 0 && !self.is_list(handle) {
            return;
        }
        for entry in &mut self.entries[..self.end] {
            if entry.handle == handle || entry.list == handle {
                *entry = Entry::default();
            }
        }
        self.shrink();
        if let Some(list) = self.list(handle) {
            *list = List::default();
        }
    }

    /// The entries of a list that can still be reported.
    pub fn of(&self, list: u32) -> impl Iterator<Item = &Entry> + Clone {
        self.entries[..self.end]
            .iter()
            .filter(move |entry| entry.list == list && list != 0 && entry.state != State::Spent)
    }

    /// The first such entry at a position or behind it, and the next position.
    pub fn next(&self, list: u32, from: usize) -> Option<(usize, Entry)> {
        let mut all = self.entries[..self.end].iter().enumerate().skip(from);
        all.find(|(_, entry)| entry.list == list && list != 0 && entry.state != State::Spent)
            .map(|(at, entry)| (at + 1, *entry))
    }

    /// An entry has been reported, with the events of its handle so far.
    pub fn reported(&mut self, entry: &Entry, seen: u32) {
        if let Some(at) = self.position(entry.list, entry.fd, entry.handle) {
            let entry = &mut self.entries[at];
            entry.seen = seen;
            entry.state = match entry.events & ONE_SHOT {
                0 => State::Seen,
                _ => State::Spent,
            };
        }
    }
}

impl Default for Pollers {
    fn default() -> Pollers {
        Pollers::new()
    }
}

/// What a program sees of readiness bits.
pub const fn report(entry: &Entry, ready: u32) -> u32 {
    let mut bits = ready & (entry.wanted() | linux::POLLERR | linux::POLLHUP);
    if ready & linux::POLLIN != 0 {
        bits |= entry.wanted() & linux::POLLRDNORM;
    }
    if ready & linux::POLLOUT != 0 {
        bits |= entry.wanted() & linux::POLLWRNORM;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(list: u32, fd: u32, handle: u32, events: u32) -> Entry {
        Entry {
            list,
            fd,
            handle,
            events,
            ..Entry::default()
        }
    }

    #[test]
    fn entries_are_by_number_and_handle() {
        let mut all = Pollers::new();
        all.create(9).unwrap();
        all.add(entry(9, 3, 30, 1)).unwrap();
        assert_eq!(all.add(entry(9, 3, 30, 4)), Err(Errno::EEXIST));
        all.add(entry(9, 4, 30, 1)).unwrap();
        assert_eq!(all.modify(entry(9, 5, 30, 1)), Err(Errno::ENOENT));
        assert_eq!(all.remove(9, 3, 31), Err(Errno::ENOENT));
        assert_eq!(all.of(9).count(), 2);
        all.closed(30);
        assert_eq!(all.of(9).count(), 0);
    }

    #[test]
    fn a_one_shot_is_spent_until_it_is_changed() {
        let mut all = Pollers::new();
        all.create(9).unwrap();
        let one = entry(9, 3, 30, 1 | ONE_SHOT);
        all.add(one).unwrap();
        all.reported(&one, 5);
        assert_eq!(all.of(9).count(), 0);
        all.modify(one).unwrap();
        assert_eq!(all.of(9).count(), 1);
    }

    #[test]
    fn an_edge_is_waited_for_once_it_was_reported() {
        let mut all = Pollers::new();
        let edge = entry(9, 3, 30, 1 | EDGE);
        all.add(edge).unwrap();
        assert!(!edge.waits_for_events());
        all.reported(&edge, 5);
        let now = *all.of(9).next().unwrap();
        assert!(now.waits_for_events());
        assert_eq!((now.seen, now.wanted()), (5, 1));
    }

    #[test]
    fn lists_are_not_inside_themselves_nor_too_deep() {
        let mut all = Pollers::new();
        for list in 1..=7 {
            all.create(list).unwrap();
        }
        assert_eq!(all.add(entry(1, 0, 1, 1)), Err(Errno::ELOOP));
        all.add(entry(1, 0, 2, 1)).unwrap();
        assert_eq!(all.add(entry(2, 0, 1, 1)), Err(Errno::ELOOP));
        for list in 2..5 {
            all.add(entry(list, 0, list + 1, 1)).unwrap();
        }
        let deep = (5..7).map(|list| all.add(entry(list, 0, list + 1, 1)));
        assert!(
            deep.collect::<std::vec::Vec<_>>()
                .contains(&Err(Errno::ELOOP))
        );
    }

    #[test]
    fn reports_hold_what_was_asked_for_and_errors() {
        let asked = entry(1, 0, 2, linux::POLLIN | linux::POLLRDNORM);
        let ready = linux::POLLIN | linux::POLLOUT | linux::POLLHUP;
        let all = linux::POLLIN | linux::POLLRDNORM | linux::POLLHUP;
        assert_eq!(report(&asked, ready), all);
    }
}
