//! The machine: I/O ports in user mode, the kernel's log, the end.

/// Ports from here on are never granted ([`PortsGrant`](crate::Call::PortsGrant)).
pub const PORTS_END: u16 = 0x400;

/// For [`IrqBind`](crate::Call::IrqBind): no line of the machine's, but "there is log text to take".
pub const LOG_LINE: u32 = u32::MAX;

/// In the status of [`PowerOff`](crate::Call::PowerOff): the machine is not to be switched off but
/// reset.
pub const RESTART: u32 = 1 << 8;
