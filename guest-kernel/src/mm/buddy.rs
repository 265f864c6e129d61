//! The buddy allocator: blocks of 2^order page frames.
//!
//! RAM that was never used is not in the lists at all: a bump pointer per region hands it out,
//! known to be zero, so that boot touches nothing. Freed blocks merge with their buddies; a block
//! remembers whether all of it is zero.

use arrayvec::ArrayVec;

use super::page::{FREE, ZERO, page};
use super::phys::Frame;

/// Orders 0 to 10: 4 KiB to 4 MiB.
pub const ORDERS: usize = 11;
/// Most separate regions of RAM.
pub const REGIONS: usize = 32;

/// What a free or fresh frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Only zeroes.
    Zero,
    /// Anything.
    Dirty,
}

/// Frames `next..end` were never used.
#[derive(Clone, Copy, Debug)]
struct Region {
    next: u32,
    end: u32,
    content: Content,
}

/// Free page frames. All blocks handed out are aligned to their size.
#[derive(Debug)]
pub struct Buddy {
    heads: [u32; ORDERS],
    nonempty: u32,
    regions: ArrayVec<Region, REGIONS>,
    free: u64,
}

impl Default for Buddy {
    fn default() -> Self {
        Self::new()
    }
}

impl Buddy {
    /// An allocator without memory.
    pub const fn new() -> Buddy {
        Buddy {
            heads: [0; ORDERS],
            nonempty: 0,
            regions: ArrayVec::new_const(),
            free: 0,
        }
    }

    /// Adds never-used frames `start..end` (frame 0 excluded: it ends lists). Regions beyond
    /// [`REGIONS`] are left unused.
    pub fn add_region(&mut self, start: Frame, end: Frame, content: Content) {
        let start = start.0.max(1);
        if start < end.0 {
            let region = Region {
                next: start,
                end: end.0,
                content,
            };
            if self.regions.try_push(region).is_ok() {
                self.free += (end.0 - start) as u64;
            }
        }
    }

    /// Free frames, never-used ones included.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// Takes a block, from the free lists first.
    pub fn alloc(&mut self, order: usize) -> Option<(Frame, Content)> {
        self.alloc_listed(order).or_else(|| self.alloc_fresh(order))
    }

    /// Takes a block from the free lists.
    pub fn alloc_listed(&mut self, order: usize) -> Option<(Frame, Content)> {
        let usable = self.nonempty >> order << order;
        if usable == 0 {
            return None;
        }
        let mut found = usable.trailing_zeros() as usize;
        let frame = Frame(self.heads[found]);
        let zero = page(frame).state() & ZERO;
        self.unlink(frame, found);
        while found > order {
            found -= 1;
            self.push(Frame(frame.0 + (1 << found)), found, zero);
        }
        page(frame).set_state(0);
        self.free -= 1 << order;
        Some((
            frame,
            if zero != 0 {
                Content::Zero
            } else {
                Content::Dirty
            },
        ))
    }

    /// Takes a never-used block.
    pub fn alloc_fresh(&mut self, order: usize) -> Option<(Frame, Content)> {
        let size = 1u32 << order;
        let index = self.regions.iter().position(|region| {
            let start = region.next.next_multiple_of(size);
            region.next < region.end && start < region.end && region.end - start >= size
        })?;
        let Region { next, content, .. } = self.regions[index];
        let start = next.next_multiple_of(size);
        self.regions[index].next = start + size;
        self.free -= (start + size - next) as u64;
        self.free_range(next, start, content);
        Some((Frame(start), content))
    }

    /// Takes up to `count` consecutive never-used frames that are known to be zero, as far as they
    /// lie in one region; returns the first and how many.
    pub fn alloc_run(&mut self, count: u32) -> (Frame, u32) {
        let zero =
            |region: &&mut Region| region.next < region.end && region.content == Content::Zero;
        let Some(region) = self.regions.iter_mut().find(zero) else {
            return (Frame(0), 0);
        };
        let (first, taken) = (region.next, count.min(region.end - region.next));
        region.next += taken;
        self.free -= taken as u64;
        (Frame(first), taken)
    }

    /// Gives the frames `start..end` back as the largest aligned blocks.
    pub fn free_range(&mut self, mut start: u32, end: u32, content: Content) {
        while start < end {
            let fits = (end - start).ilog2();
            let order = start.trailing_zeros().min(fits).min(ORDERS as u32 - 1) as usize;
            self.free(Frame(start), order, content);
            start += 1 << order;
        }
    }

    /// Gives a block back and merges it with free buddies.
    pub fn free(&mut self, frame: Frame, order: usize, content: Content) {
        let (mut block, mut order) = (frame.0, order);
        let mut zero = if content == Content::Zero { ZERO } else { 0 };
        self.free += 1 << order;
        while order + 1 < ORDERS {
            let buddy = Frame(block ^ 1 << order);
            let state = page(buddy).state();
            if state & !ZERO != FREE | (order as u32) << 8 {
                break;
            }
            self.unlink(buddy, order);
            page(buddy).set_state(0);
            zero &= state;
            block &= !(1 << order);
            order += 1;
        }
        self.push(Frame(block), order, zero);
    }

    fn push(&mut self, frame: Frame, order: usize, zero: u32) {
        let head = self.heads[order];
        let descriptor = page(frame);
        descriptor.set_state(FREE | zero | (order as u32) << 8);
        descriptor.set_links(head, 0);
        if head != 0 {
            let next = page(Frame(head));
            next.set_links(next.links().0, frame.0);
        }
        self.heads[order] = frame.0;
        self.nonempty |= 1 << order;
    }

    fn unlink(&mut self, frame: Frame, order: usize) {
        let (next, previous) = page(frame).links();
        if next != 0 {
            let after = page(Frame(next));
            after.set_links(after.links().0, previous);
        }
        if previous != 0 {
            let before = page(Frame(previous));
            before.set_links(next, before.links().1);
        } else {
            self.heads[order] = next;
            if next == 0 {
                self.nonempty &= !(1 << order);
            }
        }
    }
}

#[cfg(test)]
mod tests;
