//! What the word of a futex that inherits priorities says to who wants it.

use ferrix_abi::futex::{OWNER_DIED, TID_MASK, WAITERS};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is nobody's: make the word this.
    Take(u32),
    /// It is another thread's: make the word `word`, and wait.
    Wait {
        /// The owner's tid.
        owner: u32,
        /// The word, which says that somebody waits.
        word: u32,
    },
    /// It is the caller's.
    Mine,
}

/// A thread wants a futex. `inherits_from`: the dead owner that left it to this thread, or 0.
pub const fn step(word: u32, tid: u32, inherits_from: u32, others_wait: bool) -> Step {
    let waiters = if others_wait { WAITERS } else { 0 };
    let died = word & OWNER_DIED;
    match word & TID_MASK {
        0 => Step::Take(tid | died | waiters),
        owner if owner == inherits_from => Step::Take(tid | OWNER_DIED | waiters),
        owner if owner == tid => Step::Mine,
        owner => Step::Wait {
            owner,
            word: word | WAITERS,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_word_is_taken_and_keeps_that_its_owner_died() {
        assert_eq!(step(0, 7, 0, false), Step::Take(7));
        assert_eq!(step(WAITERS, 7, 0, true), Step::Take(7 | WAITERS));
        assert_eq!(
            step(OWNER_DIED | WAITERS, 7, 0, false),
            Step::Take(7 | OWNER_DIED)
        );
    }

    #[test]
    fn an_owned_word_says_whom_to_wait_for() {
        assert_eq!(step(7, 7, 0, false), Step::Mine);
        let word = 9 | WAITERS;
        assert_eq!(step(9, 7, 0, false), Step::Wait { owner: 9, word });
        assert_eq!(step(word, 7, 8, true), Step::Wait { owner: 9, word });
    }

    #[test]
    fn what_a_dead_owner_left_is_taken_by_whom_it_was_left_to() {
        assert_eq!(
            step(9 | WAITERS, 7, 9, true),
            Step::Take(7 | OWNER_DIED | WAITERS)
        );
    }
}
