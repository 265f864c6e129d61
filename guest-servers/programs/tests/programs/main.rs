//! The built binary, run as its programs.

mod interactive;
mod memory;
mod pointers;
mod sandbox;
mod shell;
mod utilities;
