//! The kernel's heap: `Box`, `Arc`, `Vec` and the like.
//!
//! Objects up to 2 KiB come from slabs, through a small magazine per CPU and class, larger ones
//! straight from the buddy allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use alloc::boxed::Box;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::info::SlabInfo;

use super::frame;
use super::hw;
use super::phys::{Frame, physical};
use super::slab::{SIZES, Slabs};
use crate::sync::{SpinLock, lockdep};

const CLASSES: usize = SIZES.len();
const LARGEST: usize = SIZES[CLASSES - 1] as usize;
/// Free objects that a CPU keeps of each class.
const MAGAZINE: usize = 16;

/// Class of a size, by 16-byte steps up to 2 KiB.
static CLASS_OF: [u8; LARGEST / 16 + 1] = {
    let mut table = [0; LARGEST / 16 + 1];
    let mut step = 0;
    while step <= LARGEST / 16 {
        let mut class = 0;
        while (SIZES[class] as usize) < step * 16 {
            class += 1;
        }
        table[step] = class as u8;
        step += 1;
    }
    table
};

/// Free objects of one class, as addresses.
#[derive(Clone, Copy, Debug)]
struct Magazine {
    count: usize,
    objects: [usize; MAGAZINE],
}

type Magazines = [Magazine; CLASSES];

static CPUS: [SpinLock<Magazines>; hw::MAX_CPUS] = [const {
    SpinLock::new(
        [Magazine {
            count: 0,
            objects: [0; MAGAZINE],
        }; CLASSES],
    )
}; hw::MAX_CPUS];

static SLABS: [SpinLock<Slabs>; CLASSES] = {
    let mut slabs = [const { SpinLock::new(Slabs::new(0)) }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        slabs[class] = SpinLock::new(Slabs::new(class));
        class += 1;
    }
    slabs
};

/// Which allocator serves a layout.
enum Source {
    Class(usize),
    Block(usize),
}

#[inline]
fn source(layout: Layout) -> Source {
    let size = match layout.align() {
        0..=16 => layout.size(),
        // A power of two, so that the class is aligned to it.
        align => layout.size().max(align).next_power_of_two(),
    };
    if size <= LARGEST {
        Source::Class(CLASS_OF[size.div_ceil(16)] as usize)
    } else {
        Source::Block(size.div_ceil(4096).next_power_of_two().trailing_zeros() as usize)
    }
}

/// The kernel's global allocator.
#[derive(Debug)]
pub struct Heap;

impl Heap {
    fn take(class: usize) -> *mut u8 {
        let mut magazines = CPUS[hw::cpu_id()].lock();
        let magazine = &mut magazines[class];
        if magazine.count == 0 {
            let mut slabs = SLABS[class].lock();
            while magazine.count < MAGAZINE / 2 {
                let Some(object) = slabs.alloc() else { break };
                magazine.objects[magazine.count] = object as usize;
                magazine.count += 1;
            }
            if magazine.count == 0 {
                return null_mut();
            }
        }
        magazine.count -= 1;
        magazine.objects[magazine.count] as *mut u8
    }

    fn give(class: usize, object: *mut u8) {
        let mut magazines = CPUS[hw::cpu_id()].lock();
        let magazine = &mut magazines[class];
        if magazine.count == MAGAZINE {
            let mut slabs = SLABS[class].lock();
            magazine.objects[MAGAZINE / 2..]
                .iter()
                .for_each(|&object| slabs.free(object as *mut u8));
            magazine.count = MAGAZINE / 2;
        }
        magazine.objects[magazine.count] = object as usize;
        magazine.count += 1;
    }
}

// SAFETY: blocks are aligned to their size and slab objects to their class's size if that is a
// power of two (else to 16), as `source` asks; an object has one owner at a time because magazine
// and slab are changed under their locks.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        lockdep::allocating(layout.size());
        match source(layout) {
            Source::Class(class) => Self::take(class),
            Source::Block(order) if order < super::buddy::ORDERS => {
                frame::alloc_kernel(order).map_or(null_mut(), Frame::pointer)
            }
            Source::Block(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        match source(layout) {
            Source::Class(class) => Self::give(class, object),
            Source::Block(order) => frame::free(Frame::containing(physical(object)), order),
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is valid for this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (source(layout), source(new)) {
            (Source::Class(old), Source::Class(new)) if old == new => return object,
            (Source::Block(old), Source::Block(new)) if old == new => return object,
            _ => {}
        }
        // SAFETY: allocation, copy of what fits and release are the definition of `realloc`.
        unsafe {
            let target = self.alloc(new);
            if !target.is_null() {
                let count = layout.size().min(size);
                core::ptr::copy_nonoverlapping(object, target, count);
                self.dealloc(object, layout);
            }
            target
        }
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap = Heap;

/// A box, if there is memory for it.
pub fn try_box<T>(value: T) -> Result<Box<T>> {
    const { assert!(size_of::<T>() != 0) };
    // SAFETY: the type has a size.
    let place = unsafe { alloc::alloc::alloc(Layout::new::<T>()) }.cast::<T>();
    if place.is_null() {
        return Err(Error::NoMemory);
    }
    // SAFETY: the allocator that boxes use gave memory for a `T`, which nobody else has.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place))
    }
}

/// Gives the free objects that this CPU keeps back to their slabs.
pub fn trim() {
    for (class, slabs) in SLABS.iter().enumerate() {
        let mut magazines = CPUS[hw::cpu_id()].lock();
        let magazine = &mut magazines[class];
        let mut slabs = slabs.lock();
        magazine.objects[..magazine.count]
            .iter()
            .for_each(|&object| slabs.free(object as *mut u8));
        magazine.count = 0;
    }
}

/// Statistics of a class; nothing beyond the last.
pub fn class_info(class: usize) -> Option<SlabInfo> {
    let slabs = SLABS.get(class)?;
    let cached = CPUS.iter().map(|cpu| cpu.lock()[class].count as u64).sum();
    let info = slabs.lock().info(cached);
    let magazine = MAGAZINE as u64;
    Some(SlabInfo { magazine, ..info })
}

/// Frames in slabs.
pub fn slab_frames() -> u64 {
    SLABS.iter().map(|slabs| slabs.lock().frames()).sum()
}

#[cfg(test)]
mod tests;
