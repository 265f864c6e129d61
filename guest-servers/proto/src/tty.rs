//! The terminal: what is asked of `console` beyond [`file`](crate::file).
//!
//! Reading, writing and `ioctl` (termios, window size, foreground group) are file operations on the
//! session that [`OPEN`] gives.

use crate::request::TTY_BASE;

/// On the port: word 1 = `O_*` flags → handle 0 = a session that speaks [`file`](crate::file).
pub const OPEN: u16 = TTY_BASE;
