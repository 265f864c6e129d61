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
