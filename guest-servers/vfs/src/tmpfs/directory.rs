//! The entries of a directory. Each has a number that stays while it is there, so that reading a
//! directory while names come and go neither repeats nor misses the others (POSIX `readdir`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Cookies of `.` and `..`; names come after.
const FIRST: u64 = 2;

/// A directory.
#[derive(Debug)]
pub struct Directory {
    /// The directory above; itself at the root.
    pub parent: u64,
    by_name: BTreeMap<Vec<u8>, u64>,
    by_cookie: BTreeMap<u64, (Vec<u8>, u64)>,
    next: u64,
}

impl Directory {
    /// Without names.
    pub const fn new(parent: u64) -> Directory {
        Directory {
            parent,
            by_name: BTreeMap::new(),
            by_cookie: BTreeMap::new(),
            next: FIRST,
        }
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The inode that a name stands for.
    pub fn get(&self, name: &[u8]) -> Option<u64> {
        let cookie = self.by_name.get(name)?;
        self.by_cookie.get(cookie).map(|&(_, inode)| inode)
    }

    /// Adds a name, or gives it another inode.
    pub fn insert(&mut self, name: &[u8], inode: u64) {
        let next = self.next;
        let cookie = *self.by_name.entry(name.to_vec()).or_insert(next);
        self.next += u64::from(cookie == next);
        self.by_cookie.insert(cookie, (name.to_vec(), inode));
    }

    /// Removes a name; its inode.
    pub fn remove(&mut self, name: &[u8]) -> Option<u64> {
        let cookie = self.by_name.remove(name)?;
        self.by_cookie.remove(&cookie).map(|(_, inode)| inode)
    }

    /// The names from a cookie on: cookie of the next, name, inode; without `.` and `..`.
    pub fn from(&self, cookie: u64) -> impl Iterator<Item = (u64, &[u8], u64)> {
        let entries = self.by_cookie.range(cookie.max(FIRST)..);
        entries.map(|(cookie, (name, inode))| (cookie + 1, name.as_slice(), *inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_where_it_was() {
        let mut directory = Directory::new(1);
        for (name, inode) in [(b"a", 10), (b"b", 11), (b"c", 12)] {
            directory.insert(name, inode);
        }
        let (next, name, _) = directory.from(0).next().unwrap();
        assert_eq!(name, b"a");
        assert_eq!(directory.remove(b"a"), Some(10));
        assert_eq!(directory.remove(b"a"), None);
        directory.insert(b"a", 13);
        let rest: Vec<_> = directory
            .from(next)
            .map(|(_, name, inode)| (name, inode))
            .collect();
        assert_eq!(rest, [(&b"b"[..], 11), (b"c", 12), (b"a", 13)]);
        directory.insert(b"b", 14);
        assert_eq!((directory.get(b"b"), directory.len()), (Some(14), 3));
    }
}
