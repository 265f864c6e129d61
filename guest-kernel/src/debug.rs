//! The table from which debuggers know the kernel's structures: see [`ferrix_machine::debug`].
//!
//! Each module says itself where its fields are (`LAYOUT`); here the rows come together.

use alloc::vec::Vec;
use core::mem::{offset_of, transmute};
use core::ptr::without_provenance;

use ferrix_machine::debug::{Entry, NAME_LENGTH, VERSION};

use crate::arch::cpu::PerCpu;
use crate::arch::thread::ArchThread;
use crate::object::Object;
use crate::object::ids::{IDS, Ids};
use crate::object::table::HandleTable;
use crate::process::{Life, PIDS, Process};
use crate::sched::CpuSched;
use crate::sched::queue::RunQueue;
use crate::thread::{State, Thread};

/// A number or an address.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Value(*const ());

// SAFETY: nobody in the kernel follows it.
unsafe impl Sync for Value {}

type Row = (&'static str, usize);

const LAYOUTS: &[&[Row]] = &[
    &ArchThread::LAYOUT,
    &Thread::LAYOUT,
    &Process::LAYOUT,
    &Ids::<Process>::LAYOUT,
    &HandleTable::<Object>::LAYOUT,
    &RunQueue::<Thread>::LAYOUT,
    &PerCpu::LAYOUT,
    &[
        ("version", VERSION as usize),
        ("sched.queue", offset_of!(CpuSched, queue)),
        ("sched.idle", offset_of!(CpuSched, idle)),
        ("vec.pointer", VEC_POINTER),
        ("ids.count", IDS),
        ("object.port", 0),
        ("object.session", 1),
        ("object.memory", 2),
        ("object.process", 3),
        ("object.irq", 4),
        ("object.ports", 5),
        ("object.resource", 6),
    ],
    &[
        ("life.made", Life::Made as usize),
        ("life.alive", Life::Alive as usize),
        ("life.ending", Life::Ending as usize),
        ("life.zombie", Life::Zombie as usize),
        ("life.gone", Life::Gone as usize),
        ("state.free", State::Free as usize),
        ("state.running", State::Running as usize),
        ("state.ready", State::Ready as usize),
        ("state.stopped", State::Stopped as usize),
        ("state.send", State::Send as usize),
        ("state.receive", State::Receive as usize),
        ("state.reply", State::Reply as usize),
        ("state.futex", State::Futex as usize),
        ("state.futexpi", State::FutexPi as usize),
        ("state.alone", State::Alone as usize),
        ("state.sleep", State::Sleep as usize),
        ("state.poll", State::Poll as usize),
        ("state.child", State::Child as usize),
        ("state.suspend", State::Suspend as usize),
        ("state.sigwait", State::SigWait as usize),
        ("state.page", State::Page as usize),
        ("state.memory", State::Memory as usize),
        ("state.dead", State::Dead as usize),
    ],
];

/// The states of threads: number and name.
pub fn states() -> impl Iterator<Item = (usize, &'static str)> {
    let rows = LAYOUTS.iter().copied().flatten();
    rows.filter_map(|(name, value)| Some((*value, name.strip_prefix("state.")?)))
}

/// An empty `Vec` has no bytes and a pointer to nowhere, which is not zero.
const VEC_POINTER: usize = {
    // SAFETY: a `Vec` is three words, of which an empty one's are plain numbers.
    let words: [usize; 3] = unsafe { transmute(Vec::<u64>::new()) };
    let mut word = 0;
    while words[word] == 0 {
        word += 1;
    }
    word * size_of::<usize>()
};

/// Addresses, and the end.
const MORE: usize = 4;

const ROWS: usize = {
    let (mut rows, mut layout) = (MORE, 0);
    while layout < LAYOUTS.len() {
        rows += LAYOUTS[layout].len();
        layout += 1;
    }
    rows
};

const fn entry(name: &str, value: *const ()) -> Entry<Value> {
    let mut bytes = [0; NAME_LENGTH];
    let (into, _) = bytes.split_at_mut(name.len());
    into.copy_from_slice(name.as_bytes());
    Entry {
        name: bytes,
        value: Value(value),
    }
}

const fn table() -> [Entry<Value>; ROWS] {
    let mut table = [entry("", without_provenance(0)); ROWS];
    let (mut row, mut layout) = (0, 0);
    while layout < LAYOUTS.len() {
        let mut index = 0;
        while index < LAYOUTS[layout].len() {
            let (name, value) = LAYOUTS[layout][index];
            table[row] = entry(name, without_provenance(value));
            index += 1;
            row += 1;
        }
        layout += 1;
    }
    let (cpus, count) = PerCpu::all();
    table[row] = entry("pids", (&raw const PIDS).cast());
    table[row + 1] = entry("cpus", cpus.cast());
    table[row + 2] = entry("cpu_count", count.cast());
    table
}

#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.debug")]
static FERRIX_DEBUG: [Entry<Value>; ROWS] = table();
