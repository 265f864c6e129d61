//! The shoot-down itself, between threads that stand for CPUs: who changes a page table, and who runs on it.
//!
//! The code is the kernel's, not a replica of it in a model checker's terms. Under Miri, whose threads see old values
//! as real processors do and are preempted at any place, other seeds (`-Zmiri-many-seeds`) try other orders.

use core::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::mm::host;

const CPUS: usize = 3;
const PAGES: usize = 2;
/// Frames; each is used once, so that a stale use is seen for certain.
const ROUNDS: usize = if cfg!(miri) { 30 } else { 400 };
const ROOT: PhysAddr = PhysAddr(0x5000);
const OTHER: PhysAddr = PhysAddr(0x6000);

/// What the CPUs share: a page table, and which frames have been given to others.
struct Machine {
    table: [AtomicU64; PAGES],
    released: [AtomicBool; ROUNDS],
    /// Touches that found a page,
    used: AtomicUsize,
    /// and those that found one that was given to others.
    stale: AtomicUsize,
    done: AtomicBool,
}

/// 0 is an entry that is not present.
fn entry(frame: usize) -> u64 {
    frame as u64 + 1
}

/// Shows a frame, waits until somebody uses it, takes it away and gives it to somebody else, again and again.
fn change(machine: &Machine) {
    for frame in 0..ROUNDS {
        let page = frame % PAGES;
        let before = machine.used.load(Relaxed);
        machine.table[page].store(entry(frame), Relaxed);
        while machine.used.load(Relaxed) == before {
            std::thread::yield_now();
        }
        machine.table[page].store(0, Relaxed);
        let pages = if frame.is_multiple_of(5) {
            SINGLE_MAX + 1
        } else {
            1
        };
        let start = if pages == 1 { (page as u64) << 12 } else { 0 };
        flush(ROOT, Flush::Pages(start, pages));
        machine.released[frame].store(true, Relaxed);
    }
    machine.done.store(true, Release);
}

/// Runs on the root and now and then on another, touching pages, and takes interrupts in between.
fn run(machine: &Machine, cpu: usize) {
    host::run_on(cpu);
    let mut turn = cpu;
    while !machine.done.load(Acquire) {
        turn += 1;
        let root = if turn.is_multiple_of(7) { OTHER } else { ROOT };
        if active(cpu) != root {
            // As the context switch does.
            set_active(cpu, root);
            // SAFETY: nothing is loaded on the host.
            unsafe { hw::load_root(root) };
        }
        if root == ROOT {
            touch(machine, turn % PAGES);
        }
        if host::is_interrupted() {
            poll();
        }
        std::thread::yield_now();
    }
    set_active(cpu, PhysAddr(0));
    // Who looked before may still wait.
    poll();
}

fn touch(machine: &Machine, page: usize) {
    let walk = || Some(machine.table[page].load(Relaxed)).filter(|&entry| entry != 0);
    let Some(found) = host::translate((page as u64) << 12, walk) else {
        return;
    };
    let released = machine.released[found as usize - 1].load(Relaxed);
    machine.stale.fetch_add(usize::from(released), Relaxed);
    machine.used.fetch_add(1, Relaxed);
}

#[test]
fn nobody_uses_a_page_that_was_taken_away() {
    let _memory = host::memory();
    let machine = Machine {
        table: [const { AtomicU64::new(0) }; PAGES],
        released: [const { AtomicBool::new(false) }; ROUNDS],
        used: AtomicUsize::new(0),
        stale: AtomicUsize::new(0),
        done: AtomicBool::new(false),
    };
    host::set_count(CPUS);
    let before = shoot_downs();
    std::thread::scope(|scope| {
        for cpu in 1..CPUS {
            let machine = &machine;
            scope.spawn(move || run(machine, cpu));
        }
        change(&machine);
    });
    host::set_count(1);
    assert_eq!(machine.stale.load(Relaxed), 0, "frames of others are used");
    let sent = shoot_downs() - before;
    // Not to those who run something else, nor to the sender.
    assert!(sent > 0 && sent <= (ROUNDS * (CPUS - 1)) as u64, "{sent}");
}

/// The second page that is flushed below.
const SECOND: u64 = 1 << 12;

/// The interrupt of the first of two shoot-downs: answers it, and stays away until the second has begun.
fn answer_and_dawdle() {
    poll();
    while REQUEST.start.load(Relaxed) != SECOND || REQUEST.waiting.load(Acquire) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn an_answer_is_not_taken_for_that_to_the_next_request() {
    let _memory = host::memory();
    host::set_count(2);
    let flushed = AtomicBool::new(false);
    let show = || Some(1);
    let kept = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            host::run_on(1);
            set_active(1, ROOT);
            host::translate(SECOND, show);
            host::handle_interrupts(answer_and_dawdle);
            // As while it spins, with interrupts on.
            while !flushed.load(Acquire) {
                poll();
                std::thread::yield_now();
            }
            host::translate(SECOND, || None)
        });
        while active(1) != ROOT {
            std::thread::yield_now();
        }
        flush(ROOT, Flush::Pages(0, 1));
        flush(ROOT, Flush::Pages(SECOND, 1));
        flushed.store(true, Release);
        other.join().unwrap()
    });
    set_active(1, PhysAddr(0));
    host::set_count(1);
    assert_eq!(kept, None, "the second page's translation was not flushed");
}
