//! Device interrupts.
