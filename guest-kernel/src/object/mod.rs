//! Kernel objects and handle tables.
