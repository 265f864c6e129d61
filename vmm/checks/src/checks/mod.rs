//! The checks, by subject. Each has its reason in the specification that it names.

mod acpi;
mod blk;
mod boot;
pub mod cpuid;
mod devices;
mod features;
mod ioapic;
mod ipi;
mod lapic;
mod legacy;
mod malformed;
mod priority;
mod queues;
mod timers;
mod uart;
mod virtio;
mod x2apic;

use crate::Machine;
use crate::verdict::Verdict;

/// A named check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, which the command line can choose.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&Machine) -> Verdict,
}

/// Lists functions as checks under their own names, after a prefix.
macro_rules! list {
    ($prefix:literal: $($function:ident),* $(,)?) => {
        &[$($crate::checks::Check { name: concat!($prefix, stringify!($function)), run: $function }),*]
    };
}
pub(crate) use list;

/// All checks in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Check> {
    let groups: [&[Check]; _] = [
        boot::CHECKS,
        acpi::CHECKS,
        cpuid::CHECKS,
        features::CHECKS,
        lapic::CHECKS,
        timers::CHECKS,
        priority::CHECKS,
        ipi::CHECKS,
        x2apic::CHECKS,
        ioapic::CHECKS,
        legacy::CHECKS,
        uart::CHECKS,
        virtio::CHECKS,
        queues::CHECKS,
        blk::CHECKS,
        devices::CHECKS,
        malformed::CHECKS,
    ];
    groups.into_iter().flatten()
}
