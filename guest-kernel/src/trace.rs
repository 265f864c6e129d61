//! What the kernel tells of itself while it is traced: records in memory that the monitor reads
//! (`ferrix_machine::trace`).
//!
//! Each CPU writes to a buffer of its own, with interrupts off. Where something is told, there is a
//! [`trace_point`](crate::arch::trace_point::trace_point); nothing here runs before [`init`] has enabled them.

use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, Ordering::*, compiler_fence};

use ferrix_machine::port;
use ferrix_machine::trace::{BUFFER_SIZE, Head, RECORDS, Record, kind};

use crate::arch::cpu::{self, MAX_CPUS};
use crate::arch::instructions::out32;
use crate::arch::{Features, features, trace_point};
use crate::debug;
use crate::mm::frame;
use crate::mm::phys::physical;
use crate::object::Core;
use crate::process::Process;
use crate::sched::running_on;
use crate::thread::{State, Thread, current};
use crate::time;

/// A buffer's pages as the allocator counts them.
const ORDER: usize = (BUFFER_SIZE / 4096).ilog2() as usize;

#[repr(C)]
struct Buffer {
    head: Cell<Head>,
    records: [Cell<Record>; RECORDS],
}

const _: () = assert!(size_of::<Buffer>() == BUFFER_SIZE);

static BUFFERS: [AtomicPtr<Buffer>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Begins the trace if the monitor asks for it. Only the boot CPU runs yet, of `cpus`.
pub fn init(cpus: usize) {
    if !features().contains(Features::TRACE) {
        return;
    }
    for (id, place) in BUFFERS.iter().enumerate().take(cpus) {
        let Some(first) = frame::alloc_block_zeroed(ORDER) else {
            log!("trace: no memory for CPU {id}, of which nothing will be told");
            continue;
        };
        let pointer = first.pointer().cast::<Buffer>();
        place.store(pointer, Relaxed);
        // SAFETY: zeros are an empty buffer, and the block is as large and as aligned as one; it is never freed.
        show(unsafe { &*pointer }, id);
    }
    trace_point::enable();
    for (state, name) in debug::states() {
        let mut bytes = [0; 16];
        let length = name.len().min(bytes.len());
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        append(Record {
            state: state as u8,
            ..named(kind::STATE, 0, bytes)
        });
    }
}

/// Shows a buffer to the monitor, which then has read it.
fn show(buffer: &Buffer, cpu: usize) {
    let head = Head {
        cpu: cpu as u32,
        now: time::cycles(),
        ..buffer.head.get()
    };
    buffer.head.set(head);
    let page = physical(core::ptr::from_ref(buffer)).0 >> 12;
    // SAFETY: the machine has the port, and only reads the buffer.
    unsafe { out32(port::TRACE, page as u32) }
}

/// Notes a record, now, on this CPU.
fn append(record: Record) {
    let state = cpu::interrupts_save_and_disable();
    let id = cpu::cpu_id();
    let buffer = BUFFERS[id].load(Relaxed);
    // SAFETY: `init` has stored it; only its own CPU uses it, with interrupts off.
    if let Some(buffer) = unsafe { buffer.as_ref() } {
        let head = buffer.head.get();
        buffer.records[head.records as usize % RECORDS].set(Record {
            time: time::cycles(),
            ..record
        });
        // The monitor may be reading.
        compiler_fence(Release);
        let records = head.records + 1;
        buffer.head.set(Head { records, ..head });
        if records.is_multiple_of(RECORDS as u64) {
            show(buffer, id);
        }
    }
    cpu::interrupts_restore(state);
}

/// A record with a name in it.
fn named(kind: u8, thread: u32, name: [u8; 16]) -> Record {
    let word = u128::from_le_bytes(name);
    Record {
        kind,
        thread,
        other: word as u32,
        extra: (word >> 32) as u32,
        value: (word >> 64) as u64,
        ..Record::default()
    }
}

/// The program's name, of what a process was started with.
fn name_of(core: &Core, process: &Process) -> [u8; 16] {
    let mut name = [0; 16];
    let arguments = process.arguments.get(core);
    let first = arguments.split(|&byte| byte == 0 || byte == b' ').next();
    let last = first.and_then(|path| path.rsplit(|&byte| byte == b'/').next());
    for (to, from) in name.iter_mut().zip(last.unwrap_or_default()) {
        *to = *from;
    }
    name
}

/// This CPU goes from the current thread to another.
pub fn switch(core: &Core, next: &Thread) {
    let previous = current();
    let state = previous.state.get(core);
    let callee = match state {
        State::Reply => previous.callee.get(core),
        _ => None,
    };
    append(Record {
        kind: kind::SWITCH,
        state: state as u8,
        priority: next.sched.priority.get(core),
        cpu: next.state.get(core) as u8,
        thread: previous.tid.get(core),
        other: next.tid.get(core),
        extra: callee.map_or(0, |callee| callee.tid.get(core)),
        value: next.woken.take(core),
        ..Record::default()
    });
}

/// A thread becomes ready, or goes to another queue if it is.
#[cold]
pub fn wake(core: &Core, thread: &Thread, cpu: usize) {
    let now = time::cycles();
    thread.woken.set(core, now);
    let waker = running_on(core, cpu::cpu_id());
    append(Record {
        kind: kind::WAKE,
        state: thread.state.get(core) as u8,
        priority: thread.sched.priority.get(core),
        cpu: cpu as u8,
        thread: thread.tid.get(core),
        other: waker.map_or(0, |waker| waker.tid.get(core)),
        value: now,
        ..Record::default()
    });
}

/// This CPU takes a ready thread from another.
#[cold]
pub fn migrate(core: &Core, thread: &Thread, from: usize) {
    append(Record {
        kind: kind::MIGRATE,
        cpu: cpu::cpu_id() as u8,
        thread: thread.tid.get(core),
        extra: from as u32,
        ..Record::default()
    });
}

/// A thread has inherited another priority than `before`.
#[cold]
pub fn inherit(core: &Core, thread: &Thread, before: u8) {
    append(Record {
        kind: kind::INHERIT,
        priority: thread.sched.priority.get(core),
        thread: thread.tid.get(core),
        extra: before.into(),
        ..Record::default()
    });
}

/// The current thread receives from one that has waited for it.
#[cold]
pub fn receive(core: &Core, sender: &Thread) {
    append(Record {
        kind: kind::RECEIVE,
        thread: sender.tid.get(core),
        ..Record::default()
    });
}

/// The current thread's page fault.
pub extern "sysv64" fn fault(address: u64, error: u64) {
    append(Record {
        kind: kind::FAULT,
        extra: error as u32,
        value: address,
        ..Record::default()
    });
}

/// An interrupt.
pub extern "sysv64" fn interrupt(line: u64, _: u64) {
    append(Record {
        kind: kind::INTERRUPT,
        extra: line as u32,
        ..Record::default()
    });
}

/// A thread begins; if it is its process's first one, so does that.
#[cold]
pub fn begin(core: &Core, thread: &Thread) {
    let process = thread.process();
    let (pid, tid) = (process.pid.get(core), thread.tid.get(core));
    append(Record {
        kind: kind::BEGIN,
        thread: tid,
        other: pid,
        ..Record::default()
    });
    if pid == tid {
        append(named(kind::PROCESS, pid, name_of(core, process)));
    }
}

/// A thread ends.
#[cold]
pub fn end(core: &Core, thread: &Thread) {
    append(Record {
        kind: kind::END,
        thread: thread.tid.get(core),
        ..Record::default()
    });
}

/// The current thread's process executes a program.
#[cold]
pub fn exec(core: &Core, process: &Process) {
    let name = name_of(core, process);
    append(named(kind::PROCESS, process.pid.get(core), name));
    append(named(kind::EXEC, 0, name));
}

/// A thread gets a name.
#[cold]
pub fn name(core: &Core, thread: &Thread) {
    let [low, high] = thread.name.get(core);
    let name = u128::from(low) | u128::from(high) << 64;
    append(named(kind::NAME, thread.tid.get(core), name.to_le_bytes()));
}
