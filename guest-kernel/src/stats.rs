//! Kernel-wide counters.
