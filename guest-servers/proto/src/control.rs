//! The service manager: what is asked of `init`.

use crate::request::CONTROL_BASE;

/// Syncs, unmounts and ends the machine; word 1 = status, or `ferrix_abi::machine::RESTART` to reset
/// it. Only for effective user 0.
pub const POWER_OFF: u16 = CONTROL_BASE;
