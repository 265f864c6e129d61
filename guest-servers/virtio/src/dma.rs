//! Memory that a device reads and writes by itself.
//!
//! [`PhysRange`] is such memory by its physical address only (a client's window that data goes
//! through); [`DmaMemory`] is also mapped here (rings, headers, bounce slots). A [`Segment`] is a
//! piece of either, and the only thing that can be put into a descriptor: so that safe code cannot
//! point a device at memory that nobody gave to it.
//!
//! All access is atomic or volatile, as the device may change the bytes at any time. Multi-byte
//! values are little-endian (section 1.4).

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Bytes that one access of a bulk copy moves.
const WORD: usize = 8;

/// An address in guest-physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysAddr(pub u64);

/// A piece of memory that a device may be told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    address: PhysAddr,
    length: u32,
}

impl Segment {
    /// Where it starts.
    pub const fn address(self) -> PhysAddr {
        self.address
    }

    /// Its bytes.
    pub const fn length(self) -> u32 {
        self.length
    }
}

/// Physically contiguous memory that was set aside for device access.
#[derive(Debug)]
pub struct PhysRange {
    base: PhysAddr,
    length: u64,
}

impl PhysRange {
    /// Declares memory to be for device access.
    ///
    /// # Safety
    /// 1. The `length` bytes from `base` are RAM, and holding other values at any time does not break
    ///    anything: no Rust reference covers them, no page table or code is in them.
    /// 2. They stay so until every device that was given a [`Segment`] of them has returned it or
    ///    was reset.
    pub const unsafe fn new(base: PhysAddr, length: u64) -> PhysRange {
        PhysRange { base, length }
    }

    /// Its bytes.
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A piece of it; `None` if that is not inside.
    pub fn segment(&self, offset: u64, length: u32) -> Option<Segment> {
        let end = offset.checked_add(u64::from(length))?;
        (end <= self.length).then_some(Segment {
            address: PhysAddr(self.base.0 + offset),
            length,
        })
    }
}

/// Memory that both this process and a device access.
///
/// Offsets that leave the memory or are not aligned to the value's size are bugs of the driver (they
/// never come from the device) and panic.
#[derive(Debug)]
pub struct DmaMemory {
    pointer: NonNull<u8>,
    physical: PhysRange,
}

// SAFETY: the memory belongs to this value alone (condition 3 of `new`) and to no particular thread.
unsafe impl Send for DmaMemory {}

impl DmaMemory {
    /// Takes over mapped memory.
    ///
    /// # Safety
    /// 1. and 2. as for [`PhysRange::new`].
    /// 3. `pointer` maps the same `length` bytes for reading and writing for as long as the value and
    ///    all that is carved from it live, and nothing but devices accesses them otherwise.
    pub const unsafe fn new(pointer: NonNull<u8>, base: PhysAddr, length: usize) -> DmaMemory {
        DmaMemory {
            pointer,
            // SAFETY: conditions 1 and 2.
            physical: unsafe { PhysRange::new(base, length as u64) },
        }
    }

    /// Its bytes.
    pub const fn len(&self) -> usize {
        self.physical.length as usize
    }

    /// Whether it has no bytes (left).
    pub const fn is_empty(&self) -> bool {
        self.physical.is_empty()
    }

    /// Splits `length` bytes off the front, aligned to `align` both here and physically; `None`, with
    /// nothing changed, if that many are not left.
    ///
    /// # Panics
    /// If `align` is no power of two, or the two addresses differ below it.
    pub fn carve(&mut self, length: usize, align: usize) -> Option<DmaMemory> {
        let skip = self.pointer.align_offset(align);
        let physical = self.physical.base.0 + skip as u64;
        assert!(
            physical.is_multiple_of(align as u64),
            "virtual and physical address must be aligned alike"
        );
        let taken = skip.checked_add(length)?;
        let left = self.len().checked_sub(taken)?;
        // SAFETY: both offsets are within the mapping, checked by the subtraction just above. The two
        // parts do not overlap and inherit conditions 1 to 3.
        let (piece, rest) = unsafe {
            (
                DmaMemory::new(self.pointer.add(skip), PhysAddr(physical), length),
                DmaMemory::new(
                    self.pointer.add(taken),
                    PhysAddr(self.physical.base.0 + taken as u64),
                    left,
                ),
            )
        };
        *self = rest;
        Some(piece)
    }

    /// A piece of it to put into a descriptor.
    ///
    /// # Panics
    /// If it is not inside.
    pub fn segment(&self, offset: usize, length: u32) -> Segment {
        self.physical
            .segment(offset as u64, length)
            .expect("segment inside the memory")
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        let fits = offset.checked_add(size_of::<T>()) <= Some(self.len());
        assert!(fits, "access at {offset} outside the memory");
        // SAFETY: the offset is inside the mapping.
        let address = unsafe { self.pointer.add(offset) }.cast::<T>();
        assert!(address.is_aligned(), "unaligned access at {offset}");
        address.as_ptr()
    }

    fn atomic16(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: `at` gives an aligned address in the mapping, which lives as long as `self`; it is
        // only ever accessed atomically or volatile.
        unsafe { AtomicU16::from_ptr(self.at(offset)) }
    }

    fn atomic32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: as in `atomic16`.
        unsafe { AtomicU32::from_ptr(self.at(offset)) }
    }

    fn atomic64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as in `atomic16`.
        unsafe { AtomicU64::from_ptr(self.at(offset)) }
    }

    /// Reads 16 bits.
    pub fn load16(&self, offset: usize, ordering: Ordering) -> u16 {
        u16::from_le(self.atomic16(offset).load(ordering))
    }

    /// Writes 16 bits.
    pub fn store16(&self, offset: usize, value: u16, ordering: Ordering) {
        self.atomic16(offset).store(value.to_le(), ordering);
    }

    /// Reads 32 bits.
    pub fn load32(&self, offset: usize) -> u32 {
        u32::from_le(self.atomic32(offset).load(Ordering::Relaxed))
    }

    /// Writes 32 bits.
    pub fn store32(&self, offset: usize, value: u32) {
        self.atomic32(offset)
            .store(value.to_le(), Ordering::Relaxed);
    }

    /// Writes 64 bits.
    pub fn store64(&self, offset: usize, value: u64) {
        self.atomic64(offset)
            .store(value.to_le(), Ordering::Relaxed);
    }

    /// Reads a byte.
    pub fn load8(&self, offset: usize) -> u8 {
        // SAFETY: `at` gives an address in the mapping.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    /// Writes a byte.
    pub fn store8(&self, offset: usize, value: u8) {
        // SAFETY: as in `load8`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    /// Copies out, by words where the offset is aligned.
    pub fn copy_out(&self, offset: usize, into: &mut [u8]) {
        let (words, bytes) = into.split_at_mut(self.whole_words(offset, into.len()));
        for (index, word) in words.chunks_exact_mut(WORD).enumerate() {
            // SAFETY: `at` gives an aligned address in the mapping.
            let value = unsafe { self.at::<u64>(offset + index * WORD).read_volatile() };
            word.copy_from_slice(&value.to_ne_bytes());
        }
        let offset = offset + words.len();
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.load8(offset + index);
        }
    }

    /// Copies in, by words where the offset is aligned.
    pub fn copy_in(&self, offset: usize, from: &[u8]) {
        let (words, bytes) = from.split_at(self.whole_words(offset, from.len()));
        for (index, word) in words.as_chunks::<WORD>().0.iter().enumerate() {
            let value = u64::from_ne_bytes(*word);
            // SAFETY: `at` gives an aligned address in the mapping.
            unsafe { self.at::<u64>(offset + index * WORD).write_volatile(value) };
        }
        let offset = offset + words.len();
        for (index, byte) in bytes.iter().enumerate() {
            self.store8(offset + index, *byte);
        }
    }

    /// Sets every byte to zero.
    pub fn zero(&self) {
        let words = self.whole_words(0, self.len());
        for offset in (0..words).step_by(WORD) {
            self.store64(offset, 0);
        }
        for offset in words..self.len() {
            self.store8(offset, 0);
        }
    }

    /// How many of `length` bytes from `offset` on can be moved by aligned words.
    fn whole_words(&self, offset: usize, length: usize) -> usize {
        let aligned = (self.pointer.addr().get() + offset).is_multiple_of(WORD);
        if aligned { length / WORD * WORD } else { 0 }
    }
}

#[cfg(test)]
mod tests;
