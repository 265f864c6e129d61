//! Futexes: flags beside the bit set of `FutexWait` and `FutexWake`, and beside the value of `FutexRequeue`.

/// Only threads of the caller's address space use the word: it is known by its address alone, whatever is mapped there.
/// Who waits so is found only by who wakes so, unless the memory is private anyway.
pub const PRIVATE: u64 = 1 << 33;
