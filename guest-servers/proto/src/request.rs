//! The shape that every request and reply shares.
//!
//! | | request | reply |
//! |---|---|---|
//! | word 0 | operation (bits 0–15), [`Place`] of the payload (16–23), payload length (32–63) | status |
//! | word 1, 2 | arguments of the operation | results of the operation |
//! | word 3 | window offset of the payload and of a bulk result, where one is used | – |
//!
//! The status is a signed number: zero or more on success, a negated Linux errno otherwise.
//!
//! The **payload** (a path, a name, data to write, an attribute structure) travels as LONG bytes when
//! it fits (256 bytes) and in the caller's window otherwise. A **bulk result** (data read, directory
//! entries, a long path) comes back as LONG bytes when the request says [`Place::INLINE`] and in the
//! window at word 3 when it says [`Place::WINDOW`].
//!
//! A **window** is a memory object that client and server both map. A client makes it and hands it
//! over once with [`CONNECT`]; the server knows it afterwards by the client's pid, which the kernel
//! stamps on each message. The reply to `CONNECT` carries a session whose closing ends the
//! connection; the client keeps it with `Rights::NO_INHERIT`, so that a forked child makes its own.

/// Where payload and bulk result are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Place(pub u8);

impl Place {
    /// In the message's LONG bytes.
    pub const INLINE: Place = Place(0);
    /// In the caller's window at the offset in word 3.
    pub const WINDOW: Place = Place(1);
}

/// Hands over the window: handle 0 = object (`READ | WRITE`), word 1 = its size in bytes.
/// Reply: handle 0 = connection session. Understood by every server on every session.
pub const CONNECT: u16 = 1;

/// First operation number of [`file`](crate::file).
pub const FILE_BASE: u16 = 0x10;
/// First operation number of [`path`](crate::path).
pub const PATH_BASE: u16 = 0x40;
/// First operation number of [`shm`](crate::shm).
pub const SHM_BASE: u16 = 0x70;
/// First operation number of [`filesystem`](crate::filesystem).
pub const FILESYSTEM_BASE: u16 = 0x80;
/// First operation number of [`block`](crate::block).
pub const BLOCK_BASE: u16 = 0xb0;
/// First operation number of [`tty`](crate::tty).
pub const TTY_BASE: u16 = 0xc0;
/// First operation number of [`control`](crate::control).
pub const CONTROL_BASE: u16 = 0xd0;
/// First operation number of [`queue`](crate::queue).
pub const QUEUE_BASE: u16 = 0x100;
/// First operation number of [`socket`](crate::socket).
pub const SOCKET_BASE: u16 = 0x140;
/// First operation number of [`sysv`](crate::sysv).
pub const SYSV_BASE: u16 = 0x180;

/// Word 0 of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Head(pub u64);

impl Head {
    /// A request with `length` payload bytes (or room for as many result bytes) at `place`.
    pub const fn new(operation: u16, place: Place, length: u32) -> Head {
        Head(operation as u64 | (place.0 as u64) << 16 | (length as u64) << 32)
    }

    /// Operation number.
    pub const fn operation(self) -> u16 {
        self.0 as u16
    }

    /// Where the payload is.
    pub const fn place(self) -> Place {
        Place((self.0 >> 16) as u8)
    }

    /// Bytes of payload or of room.
    pub const fn length(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
