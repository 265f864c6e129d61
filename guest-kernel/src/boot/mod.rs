//! From the boot loader's hand-over to the first process.
