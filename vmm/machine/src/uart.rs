//! The 16550 UART: its registers as offsets from the first port, and their bits (PC16550D data sheet, section 8).

/// Receiver buffer (read), transmitter holding (write); low byte of the divisor with DLAB.
pub const DATA: u16 = 0;
/// Interrupt enable; high byte of the divisor with DLAB.
pub const INTERRUPT_ENABLE: u16 = 1;
/// Interrupt identification (read).
pub const IDENTIFICATION: u16 = 2;
/// FIFO control (write).
pub const FIFO_CONTROL: u16 = 2;
/// Line control.
pub const LINE_CONTROL: u16 = 3;
/// Modem control.
pub const MODEM_CONTROL: u16 = 4;
/// Line status.
pub const LINE_STATUS: u16 = 5;
/// Modem status.
pub const MODEM_STATUS: u16 = 6;
/// Scratch: keeps a byte.
pub const SCRATCH: u16 = 7;

/// Bytes of each FIFO.
pub const FIFO: usize = 16;

/// Interrupt enable: input is there.
pub const ON_INPUT: u8 = 1 << 0;
/// Interrupt enable: the transmitter's FIFO is empty.
pub const ON_ROOM: u8 = 1 << 1;
/// Interrupt enable: a modem line has changed.
pub const ON_MODEM: u8 = 1 << 3;

/// Identification: no interrupt is pending.
pub const NONE_PENDING: u8 = 1 << 0;
/// Identification: a modem line has changed.
pub const MODEM_PENDING: u8 = 0;
/// Identification: the transmitter's FIFO is empty.
pub const ROOM_PENDING: u8 = 2;
/// Identification: input is there.
pub const INPUT_PENDING: u8 = 4;
/// Identification: the FIFOs are on.
pub const FIFOS_ON: u8 = 3 << 6;

/// FIFO control: FIFOs on.
pub const FIFO_ENABLE: u8 = 1 << 0;
/// FIFO control: forget the input.
pub const FIFO_CLEAR_INPUT: u8 = 1 << 1;

/// Line control: the divisor's registers show (DLAB).
pub const DIVISOR_ACCESS: u8 = 1 << 7;

/// Line status: a byte has come.
pub const HAS_INPUT: u8 = 1 << 0;
/// Line status: the transmitter's FIFO is empty.
pub const HAS_ROOM: u8 = 1 << 5;
/// Line status: all bytes are on the line.
pub const ALL_SENT: u8 = 1 << 6;

/// Modem status: the carrier is another than before.
pub const CARRIER_CHANGED: u8 = 1 << 3;
/// Modem status: there is a carrier.
pub const CARRIER: u8 = 1 << 7;
