//! Futexes: flags beside the bit set of `FutexWait` and `FutexWake`, and beside the value of `FutexRequeue`.

/// Only threads of the caller's address space use the word: it is known by its address alone, whatever is mapped there.
/// Who waits so is found only by who wakes so, unless the memory is private anyway.
pub const PRIVATE: u64 = 1 << 33;
/// `FutexLockPi`: do not wait.
pub const TRY: u64 = 1 << 34;

/// In a word that inherits priorities: the owner's tid, or 0.
pub const TID_MASK: u32 = 0x3fff_ffff;
/// Its last owner ended without giving it back.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// Somebody waits: the owner gives it back by `FutexUnlockPi`.
pub const WAITERS: u32 = 0x8000_0000;

/// Robust futexes: locks whose words hold their owner's tid, in a list whose head the owner names in its UTCB
/// ([`robust_list`](crate::ipc::Utcb::robust_list)). However a thread ends, the kernel then looks at each word
/// that still holds its tid, sets [`OWNER_DIED`] in place of the tid, and wakes one waiter. All layouts and values
/// are Linux's (`set_robust_list(2)`).
///
/// The head is three words: the address of the first entry (of the head itself behind the last one), the
/// distance from an entry to its futex, signed, and the entry that is just being locked or unlocked, or 0. An
/// entry is one word, the address of the next. Memory that cannot be read or written ends the walk; a thread that is
/// killed waits for no pager.
pub mod robust {
    /// Words of the head.
    pub const HEAD: usize = 3;
    /// Entries that are looked at, at most.
    pub const ENTRIES_MAX: usize = 2048;
    /// In the address of an entry: its futex inherits priorities.
    pub const PRIORITY_INHERITED: u64 = 1;
}
