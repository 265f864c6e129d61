//! Page frames: the kernel-wide allocator.
//!
//! Single frames, by far the most frequent, come from two stacks in front of the buddy
//! allocator: *clean* ones known to be zero (torn-down page tables) and *dirty* ones. A
//! request for a zeroed frame is met from clean or never-used memory (a *run* of it is at hand) as long as there is
//! any: zeroing a page is the dearest thing the kernel could do.
//!
//! The last [`RESERVE`] frames serve only the kernel's own heap, so that running out of memory is
//! an error of the call that asked for pages, and never a failure inside the kernel. Programs leave a few more
//! to servers. Long before that, servers that keep pages are told (see [`hw::tell_memory_low`]).

mod lists;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};

pub use self::lists::Chain;
use self::lists::{Run, Stack};
use super::buddy::{Buddy, Content};
use super::hw;
pub use super::page::{Page, page};
use super::phys::Frame;
use crate::sync::{SpinLock, SpinLockGuard};

/// Frames that only the kernel's heap may take.
pub const RESERVE: u64 = 128;
/// Frames besides that only servers may take: those that keep pages need some to give others back.
const MARGIN: u64 = 128;
/// With fewer free frames than this, servers that keep pages are told.
const LOW_WATER: u64 = 1024;
/// With so many they need give back no more.
const HIGH_WATER: u64 = LOW_WATER + 256;
/// Order of blocks that the reserve is not for.
const LARGE: usize = 2;
/// Fewer free frames than this are not handed out ahead of need.
const RUN_MIN: u64 = 2048;
/// Frames that are taken as one run.
const RUN: u32 = 64;
/// Single frames that are merged in one section of the lock.
const MERGED_AT_ONCE: u32 = 12;
/// Frames that the dirty stack keeps before they merge in the buddy allocator.
const DIRTY_MAX: u32 = 512;

#[derive(Debug)]
struct Frames {
    buddy: Buddy,
    clean: Stack,
    dirty: Stack,
    run: Run,
    /// Free frames, in whichever of the four.
    free: u64,
    /// With fewer free frames than this it is looked whether there are enough.
    scarce: u64,
}

static FRAMES: SpinLock<Frames> = SpinLock::new(Frames {
    buddy: Buddy::new(),
    clean: Stack::EMPTY,
    dirty: Stack::EMPTY,
    run: Run::EMPTY,
    free: 0,
    scarce: RESERVE + MARGIN,
});

/// Frames under management.
static TOTAL: AtomicU64 = AtomicU64::new(0);

impl Frames {
    fn single(&mut self) -> Option<Frame> {
        (self.dirty.pop())
            .or_else(|| self.buddy.alloc(0).map(|(frame, _)| frame))
            .or_else(|| self.clean.pop())
            .or_else(|| self.run.pop())
    }

    /// A frame of zeroes that is at hand.
    #[inline]
    fn single_clean(&mut self) -> Option<Frame> {
        self.clean.pop().or_else(|| self.run.pop())
    }

    /// A frame when none of zeroes is at hand.
    #[cold]
    fn single_any(&mut self) -> Option<(Frame, Content)> {
        self.new_run();
        (self.run.pop().map(|frame| (frame, Content::Zero)))
            .or_else(|| self.buddy.alloc_fresh(0))
            .or_else(|| self.dirty.pop().map(|frame| (frame, Content::Dirty)))
            .or_else(|| self.buddy.alloc_listed(0))
    }

    /// Has a run at hand, if there is memory that was never used.
    fn new_run(&mut self) {
        if self.run.next == self.run.end {
            let (first, taken) = self.buddy.alloc_run(RUN);
            self.run = Run {
                next: first.0,
                end: first.0 + taken,
            };
        }
    }

    /// Whether the running thread may take `count` frames though they are scarce.
    #[cold]
    fn may_take(&mut self, count: u64) -> bool {
        if self.scarce > RESERVE + MARGIN {
            self.scarce = RESERVE + MARGIN;
            hw::tell_memory_low();
        }
        self.free >= count + left_by_caller()
    }

    /// Lets some single frames merge into blocks; whether there were any.
    fn drain(&mut self) -> bool {
        let run = core::mem::replace(&mut self.run, Run::EMPTY);
        self.buddy.free_range(run.next, run.end, Content::Zero);
        let mut left = MERGED_AT_ONCE;
        for (stack, content) in [
            (&mut self.dirty, Content::Dirty),
            (&mut self.clean, Content::Zero),
        ] {
            while left != 0
                && let Some(frame) = stack.pop()
            {
                self.buddy.free(frame, 0, content);
                left -= 1;
            }
        }
        left != MERGED_AT_ONCE || run.next != run.end
    }
}

/// Takes a block and counts it as taken, if `allowed` agrees. Single frames are merged for it a few at a time: in
/// between others may take some.
fn take_block(
    order: usize,
    mut allowed: impl FnMut(&mut Frames) -> bool,
) -> Option<(Frame, Content)> {
    loop {
        let mut frames = FRAMES.lock();
        if !allowed(&mut frames) {
            return None;
        }
        if let Some(block) = frames.buddy.alloc(order) {
            frames.free -= 1 << order;
            return Some(block);
        }
        if !frames.drain() {
            return None;
        }
    }
}

/// Frames that the running thread has to leave to others.
fn left_by_caller() -> u64 {
    if hw::is_server() {
        RESERVE
    } else {
        RESERVE + MARGIN
    }
}

/// Adds never-used RAM; called while booting. The frames have descriptors.
pub fn add_region(start: Frame, end: Frame, content: Content) {
    let mut frames = FRAMES.lock();
    let before = frames.buddy.free_frames();
    frames.buddy.add_region(start, end, content);
    let added = frames.buddy.free_frames() - before;
    TOTAL.fetch_add(added, Relaxed);
    frames.free += added;
}

/// Takes 2^`order` contiguous frames, aligned to their size, with one owner; any content.
pub fn alloc(order: usize) -> Option<Frame> {
    let enough = |frames: &mut Frames| {
        frames.free >= frames.scarce + (1 << order) || frames.may_take(1 << order)
    };
    let frame = if order == 0 {
        let mut frames = FRAMES.lock();
        if !enough(&mut frames) {
            return None;
        }
        let frame = frames.single()?;
        frames.free -= 1;
        frame
    } else {
        take_block(order, enough)?.0
    };
    page(frame).set_refs(1);
    Some(frame)
}

/// Takes a frame of zeroes with one owner.
#[inline]
pub fn alloc_zeroed() -> Option<Frame> {
    let mut frames = FRAMES.lock();
    if frames.free <= frames.scarce && !frames.may_take(1) {
        return None;
    }
    let Some(frame) = frames.single_clean() else {
        return alloc_any_zeroed(frames);
    };
    frames.free -= 1;
    drop(frames);
    page(frame).set_refs(1);
    Some(frame)
}

/// As [`alloc_zeroed`] when no frame of zeroes is at hand.
#[cold]
#[inline(never)]
fn alloc_any_zeroed(mut frames: SpinLockGuard<'_, Frames>) -> Option<Frame> {
    let (frame, content) = frames.single_any()?;
    frames.free -= 1;
    drop(frames);
    if content == Content::Dirty {
        frame.zero();
    }
    page(frame).set_refs(1);
    Some(frame)
}

/// Takes up to `count` consecutive frames of zeroes that need no zeroing, each with one owner;
/// returns the first and how many.
pub fn alloc_run(count: u32) -> (Frame, u32) {
    let mut frames = FRAMES.lock();
    if frames.free < RUN_MIN {
        return (Frame(0), 0);
    }
    frames.new_run();
    let (first, taken) = frames.run.take(count);
    frames.free -= taken as u64;
    drop(frames);
    (0..taken as u64).for_each(|index| page(first.offset(index)).set_refs(1));
    (first, taken)
}

/// Takes 2^`order` contiguous zeroed frames. (Their owners are not counted.)
pub fn alloc_block_zeroed(order: usize) -> Option<Frame> {
    let (first, content) = take_block(order, |frames| frames.free >= RESERVE + (1 << order))?;
    if content == Content::Dirty {
        (0..1 << order).for_each(|index| first.offset(index).zero());
    }
    Some(first)
}

/// Takes frames for the kernel's heap, from the reserve if need be; any content. Large blocks, which only tables that
/// grow want, leave the reserve alone: they may fail, and what is small must not.
pub fn alloc_kernel(order: usize) -> Option<Frame> {
    if order != 0 {
        let enough = |frames: &mut Frames| order < LARGE || frames.free >= RESERVE + (1 << order);
        return take_block(order, enough).map(|(frame, _)| frame);
    }
    let mut frames = FRAMES.lock();
    let frame = frames.single()?;
    frames.free -= 1;
    Some(frame)
}

/// Gives frames back whatever they hold.
#[inline]
pub fn free(frame: Frame, order: usize) {
    let mut frames = FRAMES.lock();
    frames.free += 1 << order;
    if order == 0 && frames.dirty.len < DIRTY_MAX {
        frames.dirty.push(frame);
    } else {
        frames.buddy.free(frame, order, Content::Dirty);
    }
}

/// Gives single frames back: those that may hold anything, and those known to be zero.
pub fn free_chains(dirty: Chain, clean: Chain) {
    let mut frames = FRAMES.lock();
    frames.free += (dirty.len() + clean.len()) as u64;
    frames.dirty.splice(dirty);
    frames.clean.splice(clean);
}

/// Gives a frame back that the caller knows to hold only zeroes.
#[inline]
pub fn free_zeroed(frame: Frame) {
    let mut frames = FRAMES.lock();
    frames.free += 1;
    frames.clean.push(frame);
}

/// Gives back `pages` contiguous frames of any number (a boot module, a contiguous object).
pub fn free_range(first: Frame, pages: u64) {
    let mut frames = FRAMES.lock();
    frames.free += pages;
    frames
        .buddy
        .free_range(first.0, first.0 + pages as u32, Content::Dirty);
}

/// Drops one owner of a data page; the last frees it.
#[inline]
pub fn release(frame: Frame) {
    if page(frame).release() == 0 {
        free(frame, 0);
    }
}

/// Counts frames that were in use since boot (modules) as managed.
pub fn adopt(pages: u64) {
    TOTAL.fetch_add(pages, Relaxed);
}

/// Free frames, and frames under management.
pub fn statistics() -> (u64, u64) {
    (FRAMES.lock().free, TOTAL.load(Relaxed))
}

/// `NoMemory` when only the kernel's reserve is left: asked before an operation that
/// allocates kernel objects on behalf of a program.
pub fn ensure_reserve() -> Result<()> {
    if FRAMES.lock().free > RESERVE {
        Ok(())
    } else {
        Err(Error::NoMemory)
    }
}

/// Whether the running thread could take `count` frames.
pub fn has_room_for(count: u64) -> bool {
    let left = left_by_caller();
    FRAMES.lock().free >= count + left
}

/// Has servers told when frames get few the next time.
pub fn watch_low_water() {
    let mut frames = FRAMES.lock();
    if frames.free > LOW_WATER {
        frames.scarce = LOW_WATER;
    }
}

/// Frames that are missing until there are enough again.
pub fn missing() -> u64 {
    HIGH_WATER.saturating_sub(FRAMES.lock().free).max(1)
}
