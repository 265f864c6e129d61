//! The terminal without a device: termios, line discipline, output processing (POSIX XBD 11); and the
//! UART without its ports.
//!
//! Pure: bytes go in, bytes and [`Event`](discipline::Event)s come out. The server around it is in
//! `main.rs`.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod discipline;
pub mod output;
pub mod termios;
pub mod uart;
