//! How long locks are held: the longest section of each place that takes one. While the core lock is held, interrupts
//! are off; while a spin lock is, preemption is; while one of those that interrupt handlers take is, interrupts are too.
//!
//! Only in a kernel built with the feature `sections` (`cargo xtask sections`); in others a [`Section`] is nothing.

#[cfg(not(all(target_os = "none", feature = "sections")))]
mod off {
    /// Nothing.
    #[derive(Debug)]
    pub struct Section;

    impl Section {
        /// Nothing.
        #[inline(always)]
        pub fn begin(_: super::Lock) -> Section {
            Section
        }

        /// Nothing.
        #[inline(always)]
        pub fn end(&self) {}
    }
}

#[cfg(all(target_os = "none", feature = "sections"))]
mod on {
    use core::panic::Location;
    use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

    use super::Lock;
    use crate::time;

    /// Places that are told apart, of each kind of lock.
    const PLACES: usize = 256;
    /// The kinds of locks, in the order of their numbers.
    const KINDS: [(Lock, &str); 3] = [
        (Lock::Core, "core lock"),
        (Lock::Spin, "spin lock"),
        (Lock::Irq, "lock of interrupt handlers"),
    ];
    /// Cycles that no section should take longer than; with QEMU's `-icount`, instructions.
    const BOUND: u64 = 2000;

    /// The time since a lock was taken.
    #[derive(Debug)]
    pub struct Section {
        lock: Lock,
        place: &'static Location<'static>,
        start: u64,
    }

    /// What is known of a place.
    struct Slot {
        place: AtomicPtr<Location<'static>>,
        longest: AtomicU64,
        count: AtomicU64,
    }

    static SLOTS: [[Slot; PLACES]; KINDS.len()] = [const {
        [const {
            Slot {
                place: AtomicPtr::new(core::ptr::null_mut()),
                longest: AtomicU64::new(0),
                count: AtomicU64::new(0),
            }
        }; PLACES]
    }; KINDS.len()];

    impl Section {
        /// The caller's caller has just taken a lock.
        #[inline(always)]
        #[track_caller]
        pub fn begin(lock: Lock) -> Section {
            Section {
                lock,
                place: Location::caller(),
                start: time::cycles(),
            }
        }

        /// It gives the lock back.
        pub fn end(&self) {
            let cycles = time::cycles().wrapping_sub(self.start);
            let place = core::ptr::from_ref(self.place).cast_mut();
            let first = place as usize / size_of::<Location<'_>>();
            let slots = &SLOTS[self.lock as usize];
            for offset in 0..PLACES {
                let slot = &slots[(first + offset) % PLACES];
                let taken =
                    slot.place
                        .compare_exchange(core::ptr::null_mut(), place, Relaxed, Relaxed);
                if taken.is_ok() || taken == Err(place) {
                    slot.longest.fetch_max(cycles, Relaxed);
                    slot.count.fetch_add(1, Relaxed);
                    return;
                }
            }
        }
    }

    /// The machine is made: what that took is not counted, since nobody waited.
    pub fn forget() {
        for slot in SLOTS.iter().flatten() {
            slot.longest.store(0, Relaxed);
        }
    }

    /// Logs the place with the longest section of each kind of lock, and all that are longer than they should be.
    pub fn report() {
        for (lock, name) in KINDS {
            let mut bound = u64::MAX;
            while bound > BOUND {
                let below = SLOTS[lock as usize]
                    .iter()
                    .filter(|slot| slot.longest.load(Relaxed) < bound);
                let Some(slot) = below.max_by_key(|slot| slot.longest.load(Relaxed)) else {
                    break;
                };
                bound = slot.longest.load(Relaxed);
                let place = slot.place.load(Relaxed);
                if place.is_null() {
                    break;
                }
                // SAFETY: only references to locations, which are static, are stored there.
                let place = unsafe { &*place };
                crate::log!(
                    "longest section of the {name}: {} ns, {bound} cycles, taken at {}:{}, of {}",
                    time::cycles_to_ns(bound),
                    place.file(),
                    place.line(),
                    slot.count.load(Relaxed),
                );
            }
        }
    }
}

#[cfg(not(all(target_os = "none", feature = "sections")))]
pub use off::Section;
#[cfg(all(target_os = "none", feature = "sections"))]
pub use on::{Section, forget, report};

/// Which kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The core lock: interrupts are off.
    Core,
    /// A spin lock: preemption is off.
    Spin,
    /// A spin lock that interrupt handlers take too: interrupts are off.
    Irq,
}
