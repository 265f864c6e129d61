//! The manifest of `init`: which servers run, at what priority, and who may talk to whom.
//!
//! The parser is pure and runs under host tests; the program around it is in `main.rs`.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod command_line;
pub mod manifest;
