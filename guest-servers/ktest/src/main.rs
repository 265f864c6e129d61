//! Tests of the kernel by a native program: it runs in `init`'s place (`images/ktest.toml`), calls the
//! kernel as servers do, and ends the machine with status 0, or 1 if a test failed.
//!
//! Each test runs in a process of its own, so that it can neither hang nor break the others, and
//! whatever the kernel still counts after its end is a leak. On the kernel's command line, `only=TEXT` picks
//! the tests with that in their name, `seed=N` and `rounds=N` drive the stress tests.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

#[expect(unsafe_code, reason = "registers that only assembly names")]
mod cpu;
mod devices;
mod exhaustion;
mod futexes;
#[expect(unsafe_code, reason = "calls the kernel with anything")]
mod fuzz;
mod handles;
mod heap;
mod inheritance;
#[expect(unsafe_code, reason = "memory that goes and moves")]
mod maps;
#[expect(unsafe_code, reason = "memory that moves")]
mod memory;
mod messages;
mod options;
#[expect(unsafe_code, reason = "raw memory and a pointer for the kernel")]
mod pager;
#[expect(unsafe_code, reason = "calls the kernel with wrong pointers")]
mod pointers;
#[expect(unsafe_code, reason = "port instructions")]
mod ports;
#[expect(unsafe_code, reason = "children that do what ends them")]
mod processes;
mod receiving;
mod runner;
mod scheduling;
mod sessions;
mod signals;
mod snapshots;
mod stress;
#[expect(
    unsafe_code,
    reason = "fork, threads and raw memory, made safe for the tests"
)]
mod support;
mod time;
#[expect(unsafe_code, reason = "a writer that faults")]
mod tlb;
#[expect(unsafe_code, reason = "instructions that programs should not execute")]
mod traps;

use support::Test;

#[expect(unsafe_code, reason = "the entry point's name is fixed")]
mod entry {
    #[unsafe(no_mangle)]
    #[unsafe(link_section = ".text._start")]
    extern "C" fn _start() -> ! {
        super::run()
    }
}

/// All tests: subject by subject.
const SUBJECTS: &[(&str, &[Test])] = &[
    ("handles", handles::TESTS),
    ("messages", messages::TESTS),
    ("receiving", receiving::TESTS),
    ("maps", maps::TESTS),
    ("memory", memory::TESTS),
    ("pager", pager::TESTS),
    ("tlb", tlb::TESTS),
    ("snapshots", snapshots::TESTS),
    ("sessions", sessions::TESTS),
    ("processes", processes::TESTS),
    ("signals", signals::TESTS),
    ("futexes", futexes::TESTS),
    ("time", time::TESTS),
    ("scheduling", scheduling::TESTS),
    ("inheritance", inheritance::TESTS),
    ("heap", heap::TESTS),
    ("pointers", pointers::TESTS),
    ("cpu", cpu::TESTS),
    ("traps", traps::TESTS),
    ("devices", devices::TESTS),
    ("ports", ports::TESTS),
    ("stress", stress::TESTS),
    ("fuzz", fuzz::TESTS),
    ("exhaustion", exhaustion::TESTS),
];

fn run() -> ! {
    let ready = support::share_resource().is_ok();
    let failed = runner::all(SUBJECTS);
    support::power_off(u32::from(failed != 0 || !ready))
}
