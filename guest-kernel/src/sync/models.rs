//! Models of the protocols between CPUs that no lock alone protects, for loom, which tries every order in which the steps
//! can come, and every value that a load may see.
//!
//! | protocol | code | model |
//! |---|---|---|
//! | a CPU goes idle while another gives it a thread | `sched::entries::idle_loop`, `sched::wake` | [`idle`] |
//! | a shoot-down while a CPU switches to the address space | `mm::tlb`, `arch::switch` | [`shoot_down`] |
//! | two address spaces part with a shared table of pages | `mm::share` | [`tables`] |
//!
//! The ring of `aside` and the shoot-down's answers are tested as they are, by threads, also under Miri. Each model has a
//! twin with a fault that it must find. All else that CPUs share lies under the core lock or one spin lock.

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*, fence};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

mod idle {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Wakes {
        Always,
        /// Only whom it sees halted: not what the kernel does.
        WhoIsHalted,
    }

    /// One CPU looks into its queue and halts; the other fills the queue, and interrupts.
    fn run(wakes: Wakes) {
        let queue = Arc::new(Mutex::new(0));
        // An interrupt that comes before HLT, with interrupts off, is taken at HLT.
        let interrupt = Arc::new(Notify::new());
        let halted = Arc::new(AtomicBool::new(false));
        let waker = {
            let (queue, interrupt, halted) = (queue.clone(), interrupt.clone(), halted.clone());
            thread::spawn(move || {
                *queue.lock().unwrap() += 1;
                if wakes == Wakes::Always || halted.load(SeqCst) {
                    interrupt.notify();
                }
            })
        };
        while *queue.lock().unwrap() == 0 {
            halted.store(true, SeqCst);
            interrupt.wait();
            halted.store(false, SeqCst);
        }
        waker.join().unwrap();
    }

    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| run(Wakes::Always));
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn one_that_looks_first_is() {
        loom::model(|| run(Wakes::WhoIsHalted));
    }
}

mod shoot_down {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Loading {
        /// The load of CR3 comes after the store that publishes it.
        Orders,
        /// Not what processors do.
        DoesNot,
    }

    #[derive(Default)]
    struct Shared {
        entry: AtomicU32,
        active: AtomicBool,
        waiting: AtomicBool,
        released: AtomicBool,
    }

    /// The other CPU begins to run the address space, touches the page, and answers.
    fn runs(shared: &Shared, loading: Loading) {
        shared.active.store(true, Relaxed);
        if loading == Loading::Orders {
            fence(SeqCst);
        }
        let mut cached = shared.entry.load(Relaxed);
        if shared.waiting.load(Acquire) {
            cached = 0;
            shared.waiting.store(false, Release);
        }
        if cached != 0 {
            assert!(!shared.released.load(Relaxed), "a page of others is used");
        }
        while !shared.released.load(Acquire) {
            if shared.waiting.load(Acquire) {
                shared.waiting.store(false, Release);
            }
            thread::yield_now();
        }
    }

    fn takes_away(shared: &Shared) {
        shared.entry.store(0, Relaxed);
        fence(SeqCst);
        if shared.active.load(Relaxed) {
            shared.waiting.store(true, Release);
            while shared.waiting.load(Acquire) {
                thread::yield_now();
            }
        }
        shared.released.store(true, Release);
    }

    fn run(loading: Loading) {
        let shared = Arc::new(Shared::default());
        shared.entry.store(1, Relaxed);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || runs(&shared, loading))
        };
        takes_away(&shared);
        other.join().unwrap();
    }

    #[test]
    fn nobody_uses_what_was_taken_away() {
        loom::model(|| run(Loading::Orders));
    }

    #[test]
    #[should_panic(expected = "a page of others is used")]
    fn without_order_somebody_does() {
        loom::model(|| run(Loading::DoesNot));
    }
}

mod tables {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Leaves {
        AfterCopying,
        /// Not what the kernel does.
        Before,
    }

    /// A table that two use, with one page, which counts the table as its owner.
    struct Table {
        sharers: AtomicU32,
        owners: AtomicU32,
    }

    /// One side wants to change the table. Whether it may then write to the page where it is.
    fn own(table: &Table, leaves: Leaves) -> bool {
        if table.sharers.load(Acquire) == 0 {
            // Left alone: uses the table as it is.
            return table.owners.load(Relaxed) == 1;
        }
        if leaves == Leaves::Before {
            let last = table.sharers.fetch_sub(1, AcqRel) == 0;
            table.owners.fetch_add(1, Relaxed);
            table.owners.fetch_sub(u32::from(last), AcqRel);
        } else {
            table.owners.fetch_add(1, Relaxed);
            if table.sharers.fetch_sub(1, AcqRel) == 0 {
                table.owners.fetch_sub(1, AcqRel);
            }
        }
        table.owners.load(Relaxed) == 1
    }

    fn run(leaves: Leaves) {
        let table = Arc::new(Table {
            sharers: AtomicU32::new(1),
            owners: AtomicU32::new(1),
        });
        let child = {
            let table = table.clone();
            thread::spawn(move || own(&table, leaves))
        };
        let parent = own(&table, leaves);
        let child = child.join().unwrap();
        assert!(!parent && !child, "the page is written where both see it");
        assert_eq!(table.owners.load(Relaxed), 2);
    }

    #[test]
    fn both_copy_before_they_write() {
        loom::model(|| run(Leaves::AfterCopying));
    }

    #[test]
    #[should_panic(expected = "the page is written where both see it")]
    fn who_leaves_first_does_not() {
        loom::model(|| run(Leaves::Before));
    }
}
