//! Kernel stacks: 16 KiB each, a guard page below, recycled.
//!
//! A stack has its own place in the kernel's stack window and keeps its pages when it is given
//! back, so that a new thread costs neither page-table changes nor flushes.

use alloc::vec::Vec;

use ferrix_abi::error::{Error, Result};

use super::frame;
use super::phys::Frame;
use super::window;
use crate::sync::SpinLock;

/// Bytes of a kernel stack.
pub const SIZE: u64 = 16 << 10;
const ORDER: usize = 2;
/// From one stack to the next; what is not stack is guard.
const STRIDE: u64 = 2 * SIZE;
/// Most stacks.
const MAX: u64 = (512 << 20) / STRIDE;

/// A kernel stack. Given back when dropped.
#[derive(Debug)]
pub struct KernelStack {
    number: u32,
}

#[derive(Debug)]
struct Stacks {
    made: u32,
    free: Vec<u32>,
}

static STACKS: SpinLock<Stacks> = SpinLock::new(Stacks {
    made: 0,
    free: Vec::new(),
});

impl KernelStack {
    /// Takes a stack; its content is unspecified. Where there is none, single frames may have to merge for it: not
    /// with interrupts off.
    pub fn new() -> Result<KernelStack> {
        let free = STACKS.lock().free.pop();
        match free {
            Some(number) => Ok(KernelStack { number }),
            None => KernelStack::make(),
        }
    }

    #[cold]
    fn make() -> Result<KernelStack> {
        let first = frame::alloc(ORDER).ok_or(Error::NoMemory)?;
        KernelStack::place(first).inspect_err(|_| frame::free(first, ORDER))
    }

    /// Makes a stack of these frames.
    fn place(first: Frame) -> Result<KernelStack> {
        let mut stacks = STACKS.lock();
        let number = stacks.made;
        if number as u64 >= MAX {
            return Err(Error::WouldBlock);
        }
        // Giving back never allocates: there is room for every stack that was made.
        let room = (number as usize + 1).saturating_sub(stacks.free.len());
        stacks.free.try_reserve(room).map_err(|_| Error::NoMemory)?;
        // Nothing to give back, should there be no memory for the tables.
        let stack = core::mem::ManuallyDrop::new(KernelStack { number });
        window::map(stack.bottom(), first, 1 << ORDER, 0)?;
        stacks.made += 1;
        Ok(core::mem::ManuallyDrop::into_inner(stack))
    }

    fn bottom(&self) -> u64 {
        window::STACKS + self.number as u64 * STRIDE + (STRIDE - SIZE)
    }

    /// One past its highest address.
    pub fn top(&self) -> u64 {
        self.bottom() + SIZE
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        STACKS.lock().free.push(self.number);
    }
}

/// Pages in kernel stacks, in use or kept.
pub fn pages() -> u64 {
    (STACKS.lock().made as u64) << ORDER
}
