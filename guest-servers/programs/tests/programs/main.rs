//! The built binary, run as its programs.

mod interactive;
mod sandbox;
mod shell;
mod utilities;
