//! The personality's stacks for threads other than the first, and how such threads start and end.

use crate::local::{self, Local};
use crate::sync::Mutex;
use crate::{entry, user};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::SignalSet;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{memory, thread, utcb};

/// Bytes of a stack without its guard page.
const SIZE: u64 = 24 * 1024;
/// Most threads of a program besides the first.
const THREADS_MAX: usize = 1023;

/// A stack, kept for the next thread when its thread has ended.
#[derive(Debug)]
struct Stack {
    /// One past its highest address.
    top: AtomicU64,
    /// Non-zero while a thread uses it; the kernel clears it when the thread no longer touches it.
    busy: AtomicU32,
}

/// Which stacks there are. Apart from the table, so that a program without threads never touches that.
#[derive(Debug)]
pub struct Stacks {
    /// How many were ever mapped: those in front.
    mapped: usize,
}

/// The stacks of this process.
pub static STACKS: Mutex<Stacks> = Mutex::new(Stacks { mapped: 0 });

static STACK_TABLE: [Stack; THREADS_MAX] = [const {
    Stack {
        top: AtomicU64::new(0),
        busy: AtomicU32::new(0),
    }
}; THREADS_MAX];

/// Threads of the program besides the one that called `exec` or `fork` last.
static OTHERS: AtomicU32 = AtomicU32::new(0);

/// What a new thread finds below its frame.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
struct Beginning {
    local: Local,
    parent_tid: u64,
    child_tid: u64,
}

/// What `clone` asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewThread {
    /// FS base.
    pub tls: u64,
    /// Where both sides store the thread's id; 0: nowhere.
    pub parent_tid: u64,
    /// Where the child stores it; 0: nowhere.
    pub child_tid: u64,
    /// Word to clear when it ends; 0: none.
    pub clear_tid: u64,
    /// Its signal mask.
    pub mask: SignalSet,
}

impl Stacks {
    /// Takes a free stack, mapped: its index and top.
    fn take(&mut self) -> Result<(usize, u64)> {
        let mapped = &STACK_TABLE[..self.mapped];
        let free = mapped
            .iter()
            .position(|stack| stack.busy.load(Ordering::Acquire) == 0);
        let index = free.unwrap_or(self.mapped);
        let stack = STACK_TABLE.get(index).ok_or(Errno::EAGAIN)?;
        if free.is_none() {
            stack.top.store(map_stack()?, Ordering::Relaxed);
            self.mapped += 1;
        }
        stack.busy.store(1, Ordering::Relaxed);
        Ok((index, stack.top.load(Ordering::Relaxed)))
    }

    /// After `fork` in the child and after `exec`: only the caller's stack is in use.
    pub fn only_caller(&mut self) {
        let own = local::get().stack as usize;
        for (index, stack) in STACK_TABLE[..self.mapped].iter().enumerate() {
            if index + 1 != own {
                stack.busy.store(0, Ordering::Relaxed);
            }
        }
        OTHERS.store(0, Ordering::Relaxed);
    }
}

fn map_stack() -> Result<u64> {
    let mut mapping = memory::Mapping::anonymous(SIZE + PAGE_SIZE, Prot::READ | Prot::WRITE);
    mapping.flags |= MapFlags::SYSTEM;
    let base = memory::map_anywhere(&mapping)?;
    // SAFETY: the page was mapped just now and nothing is in it.
    unsafe { memory::protect(memory::SELF, base, PAGE_SIZE, Prot::empty()) }?;
    Ok(base + PAGE_SIZE + SIZE)
}

/// Starts a thread of the program with these registers; its id.
pub fn start(frame: &Frame, new: &NewThread) -> Result<u32> {
    let mut stacks = STACKS.lock();
    let (index, top) = stacks.take()?;
    let local = Local {
        stack_top: top,
        clear_tid: new.clear_tid,
        mask: new.mask,
        stack: index as u64 + 1,
        name: local::get().name,
        ..Local::default()
    };
    let beginning = Beginning {
        local,
        parent_tid: new.parent_tid,
        child_tid: new.child_tid,
    };
    let frame_at = top - size_of::<Frame>() as u64;
    let beginning_at = (frame_at - size_of::<Beginning>() as u64) & !15;
    OTHERS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the stack is mapped and free, both places lie in it and are aligned, and the thread, which runs on
    // what is below, gets what its entry expects.
    let started = unsafe {
        (frame_at as *mut Frame).write(*frame);
        (beginning_at as *mut Beginning).write(beginning);
        let entry = entry::thread_entry as *const () as u64;
        thread::create(entry, beginning_at, beginning_at, new.tls)
    };
    started.map_err(|error| {
        OTHERS.fetch_sub(1, Ordering::Relaxed);
        STACK_TABLE[index].busy.store(0, Ordering::Relaxed);
        error.into()
    })
}

/// A new thread, on its own stack.
pub extern "C" fn begin(beginning: u64) {
    // SAFETY: `start` wrote it for this thread, above its stack pointer.
    let beginning = unsafe { (beginning as *const Beginning).read() };
    local::update(|local| *local = beginning.local);
    // Linux ignores unwritable places here too.
    for place in [beginning.parent_tid, beginning.child_tid] {
        let _ = user::write_optional(place, &utcb::tid());
    }
}

/// Whether the calling thread is the program's only one.
pub fn is_last() -> bool {
    OTHERS.load(Ordering::Acquire) == 0
}

/// Ends the calling thread; the caller has done what the program expects of a thread's end.
pub fn end() -> ! {
    OTHERS.fetch_sub(1, Ordering::Release);
    let busy = match local::get().stack {
        0 => 0,
        number => STACK_TABLE[number as usize - 1].busy.as_ptr() as u64,
    };
    // SAFETY: the word is in a static; whoever takes the stack waits for the word to be cleared.
    unsafe { thread::exit(busy) }
}
