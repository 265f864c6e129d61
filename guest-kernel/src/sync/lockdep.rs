//! Lock discipline, checked while the kernel runs.
//!
//! Locks that are made at one place in the source are of one *class*. For each class it is noted which others were taken
//! while one of it was held: a graph, in which a cycle means that two CPUs could wait for each other, though they
//! have not yet. These end the machine, with the places where the locks were taken:
//!
//! - a lock that closes a cycle, or one of a class of which one is held already;
//! - a switch to another thread while a lock other than the core lock is held;
//! - the core lock taken with interrupts on;
//! - in an interrupt's handler above code that holds a lock: a lock that others take with interrupts on.
//!
//! Memory that is allocated while interrupts are off is counted, by the place that had turned them off: small objects,
//! which the heap has at hand, and blocks of pages, for which it may have to merge single ones.
//!
//! `images/lockdep.toml` runs the kernel's own tests so; `lockdep=order` on the kernel's command line (or `class`, or
//! `switch`) breaks the rule on purpose ([`provoke`]).
//!
//! Only in a kernel built with the feature `lockdep`; in others classes and what is held are nothing.

#[cfg(any(test, all(target_os = "none", feature = "lockdep")))]
mod graph;
#[cfg(all(target_os = "none", feature = "lockdep"))]
mod on;
#[cfg(all(target_os = "none", feature = "lockdep"))]
mod provoke;

#[cfg(all(target_os = "none", feature = "lockdep"))]
pub use provoke::provoke;

#[cfg(all(target_os = "none", feature = "lockdep"))]
pub use on::{Class, Held, Interrupt, allocating, assert_interrupts_off, assert_none_held, report};

#[cfg(not(all(target_os = "none", feature = "lockdep")))]
mod off {
    /// Nothing.
    #[derive(Debug)]
    pub struct Class;

    impl Class {
        /// Nothing.
        #[inline(always)]
        pub const fn here() -> Class {
            Class
        }
    }

    /// Nothing.
    #[derive(Debug)]
    pub struct Held;

    impl Held {
        /// Nothing.
        #[inline(always)]
        pub fn waiting(_: &Class) -> Held {
            Held
        }

        /// Nothing.
        #[inline(always)]
        pub fn nested(_: &Class) -> Held {
            Held
        }

        /// Nothing.
        #[inline(always)]
        pub fn tried(_: &Class) -> Held {
            Held
        }

        /// Nothing.
        #[inline(always)]
        pub fn end(&self) {}
    }

    /// Nothing.
    #[derive(Debug)]
    pub struct Interrupt;

    impl Interrupt {
        /// Nothing.
        #[inline(always)]
        pub fn begin() -> Interrupt {
            Interrupt
        }

        /// Nothing.
        #[inline(always)]
        pub fn end(self) {}
    }

    /// Nothing.
    #[inline(always)]
    pub fn allocating(_: usize) {}

    /// Nothing.
    #[inline(always)]
    pub fn assert_interrupts_off() {}

    /// Nothing.
    #[inline(always)]
    pub fn assert_none_held() {}

    /// Nothing.
    #[inline(always)]
    pub fn report() {}

    /// Nothing.
    #[inline(always)]
    pub fn provoke(_: &str) {}
}

#[cfg(not(all(target_os = "none", feature = "lockdep")))]
pub use off::{
    Class, Held, Interrupt, allocating, assert_interrupts_off, assert_none_held, provoke, report,
};
