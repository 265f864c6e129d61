//! Slabs: objects of one size class, cut from blocks of page frames.
//!
//! The bookkeeping of a slab is in the descriptor of its first page: `refs` holds the objects in
//! use (low half) and how many have ever been handed out (high half); `state` the index of the
//! first freed object (high half). A freed object's first two bytes hold the index of the
//! next. So a new slab is ready without touching its memory.

use ferrix_abi::info::SlabInfo;

use super::frame;
use super::page::page;
use super::phys::{Frame, direct, physical};

/// Sizes of the classes, in bytes. Powers of two are aligned to themselves.
pub const SIZES: [u16; 14] = [
    16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 768, 1024, 2048,
];

/// Order of a slab: one page, so that an object can be had as long as any page can, however scattered memory is.
const ORDER: usize = 0;

/// No freed object.
const NONE: u32 = 0xffff;

/// The slabs of one class that have free objects; full ones are in no list.
#[derive(Debug)]
pub struct Slabs {
    class: usize,
    /// First slab of the list (0: none).
    partial: u32,
    /// Frames in slabs.
    frames: u64,
    /// Objects handed out.
    used: u64,
}

impl Slabs {
    /// No slabs yet.
    pub const fn new(class: usize) -> Slabs {
        Slabs {
            class,
            partial: 0,
            frames: 0,
            used: 0,
        }
    }

    /// Frames in slabs of this class.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What the slabs hold; `cached` of the objects handed out are free in magazines.
    pub fn info(&self, cached: u64) -> SlabInfo {
        let pages = 1 << ORDER;
        let slabs = self.frames / pages;
        SlabInfo {
            size: SIZES[self.class].into(),
            per_slab: self.capacity().into(),
            pages_per_slab: pages,
            active: self.used.saturating_sub(cached),
            cached,
            magazine: 0,
            slabs,
            // Of the slabs with no object in use one at most is kept.
            active_slabs: slabs - u64::from(self.used == 0 && slabs != 0),
        }
    }

    const fn capacity(&self) -> u32 {
        ((4096 << ORDER) / SIZES[self.class] as usize) as u32
    }

    /// Takes an object.
    pub fn alloc(&mut self) -> Option<*mut u8> {
        if self.partial == 0 {
            let frame = frame::alloc_kernel(ORDER)?;
            self.frames += 1 << ORDER;
            page(frame).set_refs(0);
            page(frame).set_state(NONE << 16);
            self.link(frame);
        }
        let slab = Frame(self.partial);
        let descriptor = page(slab);
        let (refs, state) = (descriptor.refs(), descriptor.state());
        let first = state >> 16;
        let index = if first == NONE { refs >> 16 } else { first };
        let object = self.object(slab, index);
        let refs = if first == NONE {
            refs + (1 << 16)
        } else {
            descriptor.set_state((next_of(object) as u32) << 16);
            refs
        } + 1;
        descriptor.set_refs(refs);
        self.used += 1;
        if refs & 0xffff == self.capacity() {
            self.unlink(slab);
        }
        Some(object)
    }

    /// Gives an object back; an empty slab's frames too, unless it is the only one with room.
    pub fn free(&mut self, object: *mut u8) {
        let frame = Frame::containing(physical(object));
        let slab = Frame(frame.0 & !((1 << ORDER) - 1));
        let descriptor = page(slab);
        let index = (object as usize - slab.pointer() as usize) / SIZES[self.class] as usize;
        set_next(object, (descriptor.state() >> 16) as u16);
        descriptor.set_state((index as u32) << 16);
        self.used -= 1;
        let refs = descriptor.refs() - 1;
        descriptor.set_refs(refs);
        let used = refs & 0xffff;
        if used + 1 == self.capacity() {
            self.link(slab);
        } else if used == 0 && descriptor.links() != (0, 0) {
            self.unlink(slab);
            self.frames -= 1 << ORDER;
            frame::free(slab, ORDER);
        }
    }

    fn object(&self, slab: Frame, index: u32) -> *mut u8 {
        direct(slab.address()).wrapping_add(index as usize * SIZES[self.class] as usize)
    }

    fn link(&mut self, slab: Frame) {
        page(slab).set_links(self.partial, 0);
        if self.partial != 0 {
            let next = page(Frame(self.partial));
            next.set_links(next.links().0, slab.0);
        }
        self.partial = slab.0;
    }

    fn unlink(&mut self, slab: Frame) {
        let (next, previous) = page(slab).links();
        if next != 0 {
            page(Frame(next)).set_links(page(Frame(next)).links().0, previous);
        }
        if previous != 0 {
            page(Frame(previous)).set_links(next, page(Frame(previous)).links().1);
        } else {
            self.partial = next;
        }
    }
}

fn next_of(object: *mut u8) -> u16 {
    // SAFETY: a free object of a slab: at least 16 bytes, aligned, nobody else's.
    unsafe { object.cast::<u16>().read() }
}

fn set_next(object: *mut u8, next: u16) {
    // SAFETY: as in `next_of`.
    unsafe { object.cast::<u16>().write(next) }
}

#[cfg(test)]
mod tests;
