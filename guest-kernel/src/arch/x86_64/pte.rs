//! A page-table entry of x86-64.

use ferrix_abi::vm::Prot;

use super::phys::{Frame, PhysAddr};

/// A page-table entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Pte(pub u64);

impl Pte {
    /// Nothing.
    pub const EMPTY: Pte = Pte(0);
    /// The hardware may use the entry.
    pub const PRESENT: u64 = 1;
    /// Writes are allowed.
    pub const WRITE: u64 = 1 << 1;
    /// User mode may use it.
    pub const USER: u64 = 1 << 2;
    /// Uncached (PCD and PWT): device registers.
    pub const UNCACHED: u64 = 3 << 3;
    /// Set beforehand, so that the processor need not.
    pub(super) const ACCESSED: u64 = 1 << 5;
    /// Likewise.
    pub(super) const DIRTY: u64 = 1 << 6;
    /// Kept when CR3 is loaded: the kernel's own windows.
    pub(super) const GLOBAL: u64 = 1 << 8;
    /// Software: the entry holds a reference to its (anonymous) page.
    pub const OWNED: u64 = 1 << 9;
    /// Software: a table that belongs to the kernel and is in several address spaces.
    pub(super) const BORROWED: u64 = 1 << 10;
    /// Software: a table of pages that other address spaces use too (see [`share`](super::share)).
    pub(super) const SHARED: u64 = 1 << 11;
    /// No instruction fetches.
    pub(super) const NO_EXECUTE: u64 = 1 << 63;
    const FRAME: u64 = 0x000f_ffff_ffff_f000;
    /// A table of a user address space.
    pub(super) const TABLE: u64 = Self::PRESENT | Self::WRITE | Self::USER | Self::ACCESSED;
    /// What protection changes.
    const PROTECTION: u64 =
        Self::PRESENT | Self::WRITE | Self::USER | Self::ACCESSED | Self::DIRTY | Self::NO_EXECUTE;

    /// An entry that shows `frame` with at most `prot`.
    #[inline]
    pub fn new(frame: Frame, prot: Prot) -> Pte {
        Pte(frame.address().0 | Self::protection(prot))
    }

    /// The same with more bits ([`Self::OWNED`], [`Self::UNCACHED`]).
    #[inline]
    pub const fn with(self, bits: u64) -> Pte {
        Pte(self.0 | bits)
    }

    /// The same without these bits.
    #[inline]
    pub const fn without(self, bits: u64) -> Pte {
        Pte(self.0 & !bits)
    }

    /// The same page with at most `prot`.
    #[inline]
    pub fn protected(self, prot: Prot) -> Pte {
        Pte(self.0 & !Self::PROTECTION | Self::protection(prot))
    }

    #[inline]
    fn protection(prot: Prot) -> u64 {
        PROTECTIONS[(prot.bits() & Prot::all().bits()) as usize]
    }

    const fn bits_for(prot: Prot) -> u64 {
        let mut bits = 0;
        if !prot.is_empty() {
            bits |= Self::PRESENT | Self::USER | Self::ACCESSED;
        }
        if prot.contains(Prot::WRITE) {
            bits |= Self::WRITE | Self::DIRTY;
        }
        if !prot.contains(Prot::EXEC) {
            bits |= Self::NO_EXECUTE;
        }
        bits
    }

    /// The same access to another page.
    #[inline]
    pub const fn showing(self, frame: Frame) -> Pte {
        Pte(self.0 & !Self::FRAME | frame.address().0)
    }

    /// The frame it shows.
    #[inline]
    pub const fn frame(self) -> Frame {
        Frame::containing(PhysAddr(self.0 & Self::FRAME))
    }

    /// Whether all these bits are set.
    #[inline]
    pub const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// Whether the entry records nothing.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Bits for each [`Prot`], so that a fault need not put them together.
static PROTECTIONS: [u64; 8] = {
    let mut table = [0; 8];
    let mut bits = 0;
    while bits < table.len() {
        table[bits] = Pte::bits_for(Prot::from_bits_truncate(bits as u32));
        bits += 1;
    }
    table
};
