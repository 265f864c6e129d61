//! Futexes: waiting for a change of a word of user memory.
//!
//! A word is known by who can see it: address space and address if it is private, object and offset
//! if it is shared. Waiters lie in a hash table of lists; the word is compared with the core lock held, so
//! that no wake-up falls between the look and the wait.

#[cfg(target_os = "none")]
mod fast;
#[cfg(target_os = "none")]
mod operations;
#[cfg(target_os = "none")]
pub mod pi;
#[cfg(target_os = "none")]
pub mod robust;
pub mod step;
#[cfg(target_os = "none")]
pub use fast::{try_wait, try_wake};
#[cfg(target_os = "none")]
pub use operations::{key, lock_and_read, requeue, wait, wake, withdraw};

/// What a futex is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Id of the address space, or of the object with the top bit set.
    scope: u64,
    /// Address, or offset in the object.
    offset: u64,
}

impl Key {
    /// No futex.
    pub const NONE: Key = Key {
        scope: 0,
        offset: 0,
    };

    /// A word of private memory.
    pub const fn private(space: u64, address: u64) -> Key {
        Key {
            scope: space,
            offset: address,
        }
    }

    /// A word of a shared object.
    pub const fn shared(object: u64, offset: u64) -> Key {
        Key {
            scope: object | 1 << 63,
            offset,
        }
    }

    /// Where it is in a table of `2^bits` lists.
    #[inline]
    pub const fn bucket(self, bits: u32) -> usize {
        let mixed = (self.offset >> 2 ^ self.scope << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - bits)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_words_are_spread() {
        let buckets: std::collections::BTreeSet<usize> = (0..64)
            .map(|n| Key::private(3, 0x1000 + n * 4).bucket(8))
            .collect();
        assert!(buckets.len() > 32, "{}", buckets.len());
        assert!(buckets.iter().all(|&bucket| bucket < 256));
    }

    #[test]
    fn scopes_differ() {
        assert_ne!(Key::private(5, 8), Key::shared(5, 8));
    }
}
