//! Message passing: tags, registers, the UTCB.
//!
//! # Registers
//!
//! | | RAX | RDI | RSI, RDX, R10, R8 | R9 |
//! |---|---|---|---|---|
//! | `Call` in | number, tag<<8 | destination | words 0 to 3 | – |
//! | `Call` out | error, or tag<<8 of the reply | kept | words 0 to 3 | kept |
//! | `Send` in | as `Call`; returns when received | | | |
//! | `Receive` in | number, tag<<8 | port handle, or 0 for this thread's own queue | RSI: only from this tid, or 0 | – |
//! | `Receive` out | error, or kind, tag<<8 | sender's pid<<32, badge | words 0 to 3 | reply token |
//! | `Reply` in | number, tag<<8 | – | words 0 to 3 | reply token |
//! | `ReplyReceive` in | number, tag<<8 of the reply | port handle | words 0 to 3 | reply token |
//! | `ReplyReceive` out | as `Receive` out | | | |
//!
//! The destination is a port or session handle, or a tid where the tag has [`Tag::TO_THREAD`].
//! With a zero tag (but for [`Tag::INTERRUPTIBLE`]) the message is SHORT: four words, 32 bytes, in
//! registers only. Otherwise the sender's UTCB adds LONG bytes, handles and page ranges, and the
//! receiver finds them in its own UTCB.
//!
//! A `ReplyReceive` whose reply fails (the caller died or gave up) does not receive: it returns
//! the error `NoSuchProcess`, so a server can take back what it was about to hand over.
//!
//! # Signals and cancellation
//!
//! A caller whose message has been received stays until the server replies. When a signal arrives
//! for a caller with [`Tag::INTERRUPTIBLE`], the server receives a [`Kind::CANCEL`] with the reply
//! token of that call, and must reply soon: with the result if it came about, or with an error of
//! its own protocol. A caller not yet received gets `Interrupted` at once. Death of the caller
//! cancels without asking: the server's reply then fails with `NoSuchProcess`. Death of the server
//! ends the call with `BrokenPipe`.

use crate::signal::SignalSlot;

/// Words of a SHORT message.
pub const WORDS: usize = 4;
/// Most bytes of a LONG message.
pub const LONG_MAX: usize = 256;
/// Most handles in one message.
pub const HANDLES_MAX: usize = 4;
/// Most page ranges in one message.
pub const MAPS_MAX: usize = 4;

/// What a message carries besides its words, and how it is sent; in RAX shifted left by 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Tag(pub u32);

impl Tag {
    /// Only words.
    pub const SHORT: Tag = Tag(0);
    /// The destination is a tid.
    pub const TO_THREAD: u32 = 1 << 24;
    /// A signal interrupts the wait.
    pub const INTERRUPTIBLE: u32 = 1 << 25;
    /// [`Utcb::deadline`] bounds the wait (monotonic nanoseconds): then `TimedOut`.
    ///
    /// A caller already received is cancelled as by a signal, and gets `TimedOut`
    /// whatever the server replies, unless the reply came first.
    pub const TIMEOUT: u32 = 1 << 26;
    /// Fail with `WouldBlock` instead of waiting for a receiver (or for a message).
    pub const NON_BLOCKING: u32 = 1 << 27;
    /// The bits that do not change what travels: without others the message is SHORT.
    pub const MODIFIERS: u32 =
        Self::TO_THREAD | Self::INTERRUPTIBLE | Self::TIMEOUT | Self::NON_BLOCKING;

    /// A message with `bytes` LONG bytes (0 to 256), `handles` (0 to 4) and `maps` (0 to 4).
    pub const fn new(bytes: usize, handles: usize, maps: usize) -> Tag {
        Tag(bytes as u32 & 0x1ff | (handles as u32 & 7) << 12 | (maps as u32 & 7) << 16)
    }

    /// The same with modifier bits set.
    pub const fn with(self, modifiers: u32) -> Tag {
        Tag(self.0 | modifiers & Self::MODIFIERS)
    }

    /// LONG bytes.
    pub const fn bytes(self) -> usize {
        (self.0 & 0x1ff) as usize
    }

    /// Handles.
    pub const fn handles(self) -> usize {
        (self.0 >> 12 & 7) as usize
    }

    /// Page ranges.
    pub const fn maps(self) -> usize {
        (self.0 >> 16 & 7) as usize
    }

    /// Whether only registers travel.
    pub const fn is_short(self) -> bool {
        self.0 & !Self::MODIFIERS == 0
    }
}

/// What `Receive` brought; in RAX's low byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Kind(pub u8);

impl Kind {
    /// A call: the sender waits for the reply to the token in R9.
    pub const CALL: Kind = Kind(0);
    /// A message whose sender waits for no reply.
    pub const SEND: Kind = Kind(1);
    /// A notification: badge in RDI, its bits or count in word 0.
    pub const NOTIFY: Kind = Kind(2);
    /// The last handle to the session with the badge in RDI is gone.
    pub const SESSION_CLOSED: Kind = Kind(3);
    /// The caller with the reply token in R9 wants its call ended.
    pub const CANCEL: Kind = Kind(4);
    /// A page of the paged object with the badge in RDI is wanted: word 0 its index, word 1 how many
    /// pages from there on are absent (at most [`PAGES_HINT`](crate::vm::PAGES_HINT)), word 2 the access
    /// ([`PageAccess`](crate::vm::PageAccess)).
    /// Answered by `ObjectSupply` or `ObjectFail`; one request for each page that threads wait for.
    pub const PAGE_REQUEST: Kind = Kind(5);
    /// Nobody but its pager maps or names the paged object with the badge in RDI any more.
    pub const OBJECT_UNUSED: Kind = Kind(6);
    /// Pages are few: word 0 = how many more would be enough. Answered by `MemoryWatch`: a thread that needs a
    /// page may be waiting for the answer, a few seconds at most; and if the answer is that there was nothing to
    /// give back, a process is killed.
    pub const MEMORY_LOW: Kind = Kind(7);
}

/// How a range of pages travels in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct MapMode(pub u32);

impl MapMode {
    /// Both sides see the same pages, the receiver read-only.
    pub const SHARE_READ: MapMode = MapMode(0);
    /// Both sides see the same pages, both may write.
    pub const SHARE_WRITE: MapMode = MapMode(1);
    /// The pages leave the sender.
    pub const MOVE: MapMode = MapMode(2);
    /// The receiver gets a copy-on-write copy.
    pub const COPY: MapMode = MapMode(3);
}

/// A page range in a message: addresses are the sender's on sending, the receiver's on receipt.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct MapItem {
    /// Page-aligned first address.
    pub address: u64,
    /// Bytes, a multiple of the page size.
    pub length: u64,
    /// A [`MapMode`].
    pub mode: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// A handle in a message.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct HandleItem {
    /// The handle: the sender's number on sending, the receiver's on receipt.
    pub handle: u32,
    /// The [`Rights`](crate::handle::Rights) that the receiver gets (a subset of the sender's);
    /// with [`HandleItem::MOVE`] the sender's handle is closed.
    pub rights: u32,
}

impl HandleItem {
    /// In `rights`: move instead of copy. (`Rights::TRANSFER` is needed instead of `DUP`.)
    pub const MOVE: u32 = 1 << 30;
}

/// Bytes of the UTCB that belong to the process's runtime or personality.
pub const UTCB_USER: usize = 512;

/// The user thread control block: one page per thread, mapped read-write at an address that the
/// kernel chose, always present, and found at `GS:0`.
///
/// The kernel trusts nothing in it. `fork` gives the child a fresh one into which it copies `user`.
#[repr(C, align(4096))]
pub struct Utcb {
    /// The address of this block (so that `mov rax, gs:[0]` yields it).
    pub this: u64,
    /// This thread's id.
    pub tid: u32,
    /// This process's id.
    pub pid: u32,
    /// Deadline for [`Tag::TIMEOUT`], in monotonic nanoseconds.
    pub deadline: u64,
    /// Non-zero: another process changed this one's limits (`LimitSet`) since the personality cleared this.
    pub limits_changed: u64,
    /// The head of this thread's list of [robust futexes](crate::futex), or 0. The thread sets it; whoever begins with
    /// this block finds 0.
    pub robust_list: u64,
    /// Reserved, keeps `signal` at 64.
    pub reserved: [u64; 3],
    /// Signal delivery.
    pub signal: SignalSlot,
    /// Fills the first 256 bytes.
    pub padding: [u64; 14],
    /// LONG bytes, sent and received (offset 256).
    pub bytes: [u8; LONG_MAX],
    /// Handles, sent and received.
    pub handles: [HandleItem; HANDLES_MAX],
    /// Page ranges, sent and received.
    pub maps: [MapItem; MAPS_MAX],
    /// Fills up to 768 bytes.
    pub padding2: [u64; 16],
    /// For the runtime or the personality (offset 768), copied by `fork`.
    pub user: [u8; UTCB_USER],
    /// Reserved.
    pub rest: [u8; 4096 - 768 - UTCB_USER],
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Utcb, signal) == 64);
    assert!(offset_of!(Utcb, bytes) == 256);
    assert!(offset_of!(Utcb, handles) == 512);
    assert!(offset_of!(Utcb, user) == 768);
    assert!(size_of::<Utcb>() == 4096);
};

/// One thing `WaitMany` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WaitItem {
    /// A session handle.
    pub handle: u32,
    /// The [`ready`] bits asked for; `HANG_UP` and `ERROR` are always reported.
    pub want: u32,
    /// The bits that are set; written by the kernel.
    pub ready: u32,
    /// With [`ready::EDGE`]: what this was when the waiter last looked. How often the server set bits of the session;
    /// written by the kernel.
    pub events: u32,
}

/// Readiness bits of a session: Linux's `POLL*` values.
pub mod ready {
    /// Reading would not block.
    pub const READABLE: u32 = 0x001;
    /// Urgent data.
    pub const PRIORITY: u32 = 0x002;
    /// Writing would not block.
    pub const WRITABLE: u32 = 0x004;
    /// An error condition.
    pub const ERROR: u32 = 0x008;
    /// The other side is gone.
    pub const HANG_UP: u32 = 0x010;
    /// The other side sends no more.
    pub const READ_HANG_UP: u32 = 0x2000;
    /// In what is asked for: report the bits only if the server set some since the waiter last looked.
    pub const EDGE: u32 = 0x8000_0000;
}

/// No deadline.
pub const FOREVER: u64 = u64::MAX;
