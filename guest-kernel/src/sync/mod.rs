//! Locks.
//!
//! [`SpinLock`] disables preemption, not interrupts: for all that no interrupt handler touches.
//! [`IrqSpinLock`] disables interrupts too. On the host both are plain spin locks, so that the
//! code they guard runs in tests unchanged.
//!
//! The kernel is not preempted while a [`SpinLock`] is held; the drop of the last one lets a
//! preemption that became due meanwhile happen. A CPU that spins still answers TLB shoot-downs,
//! whose sender may hold the very lock.

mod irq;
#[cfg_attr(
    all(target_os = "none", feature = "lockdep"),
    expect(unsafe_code, reason = "places that took locks, by their addresses")
)]
pub mod lockdep;
#[cfg(test)]
mod models;
#[cfg_attr(
    feature = "sections",
    expect(unsafe_code, reason = "places that took locks, by their addresses")
)]
pub mod section;
mod spin;

pub use irq::{IrqSpinLock, IrqSpinLockGuard};
pub use spin::{SpinLock, SpinLockGuard};
