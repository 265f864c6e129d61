//! The terminal: what is asked of `console` beyond [`file`](crate::file).
//!
//! Reading, writing and `ioctl` (termios, window size, foreground group) are file operations on the
//! session that [`OPEN`] gives.

use crate::request::TTY_BASE;

/// On the port: word 1 = `O_*` flags → handle 0 = a session that speaks [`file`](crate::file).
pub const OPEN: u16 = TTY_BASE;
/// On the port: replies when all output so far has gone to the device, or when its user holds it back.
pub const DRAIN: u16 = TTY_BASE + 1;
