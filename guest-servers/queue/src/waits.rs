//! Callers whose answer comes later: by the kernel's name for the call, and by their deadlines.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Somebody who waits: the kernel's token for the call.
pub type Token = u64;

/// No deadline.
pub const FOREVER: u64 = u64::MAX;

/// All that wait; `T` is what is known of each.
#[derive(Debug)]
pub struct Waits<T> {
    entries: BTreeMap<Token, (u64, T)>,
    deadlines: BTreeSet<(u64, Token)>,
}

impl<T> Default for Waits<T> {
    fn default() -> Waits<T> {
        Waits {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<T> Waits<T> {
    /// Somebody waits until a deadline.
    pub fn add(&mut self, token: Token, deadline: u64, what: T) {
        self.entries.insert(token, (deadline, what));
        if deadline != FOREVER {
            self.deadlines.insert((deadline, token));
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    pub fn tokens(&self) -> Vec<Token> {
        self.entries.keys().copied().collect()
    }

    /// Who waits, if it still does.
    pub fn get(&self, token: Token) -> Option<&T> {
        self.entries.get(&token).map(|(_, what)| what)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.entries.get_mut(&token).map(|(_, what)| what)
    }

    /// It waits no longer.
    pub fn take(&mut self, token: Token) -> Option<T> {
        let (deadline, what) = self.entries.remove(&token)?;
        self.deadlines.remove(&(deadline, token));
        Some(what)
    }

    /// The next deadline.
    pub fn next(&self) -> u64 {
        self.deadlines
            .first()
            .map_or(FOREVER, |(deadline, _)| *deadline)
    }

    /// Somebody whose deadline has passed.
    pub fn expired(&self, now: u64) -> Option<Token> {
        let first = self.deadlines.first();
        first
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, token)| *token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass_in_their_order_and_go_with_the_wait() {
        let mut waits = Waits::default();
        for (token, deadline) in [(1, 30), (2, 10), (3, FOREVER), (4, 20)] {
            waits.add(token, deadline, token * 10);
        }
        assert_eq!((waits.next(), waits.expired(9)), (10, None));
        assert_eq!(waits.expired(25), Some(2));
        assert_eq!(waits.take(2), Some(20));
        assert_eq!(waits.expired(25), Some(4));
        assert_eq!(waits.take(4), Some(40));
        assert_eq!(waits.take(4), None);
        assert_eq!(waits.take(1), Some(10));
        assert_eq!((waits.next(), waits.get(3)), (FOREVER, Some(&30)));
    }
}
