//! Counts what kernel operations cost: the only process of its machine (`images/bench.toml`), in
//! `init`'s place. It does each operation many times between two milestones; `vmm --stats` notes the
//! kernel instructions (`insn_emulation`) at each, and `cargo xtask bench` takes the differences.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

#[expect(
    unsafe_code,
    reason = "raw threads, memory and fork, which is what is measured"
)]
mod operations;

use ferrix_rt::sys::system;

/// Milestones of benchmarks count from here: number n begins operation n, n + 1 ends it.
const FIRST_MILESTONE: u8 = 16;
/// The last milestone is this and the number of interrupts in the operation before.
const INTERRUPTS: u8 = 128;

#[expect(unsafe_code, reason = "the entry point's name is fixed")]
mod entry {
    #[unsafe(no_mangle)]
    #[unsafe(link_section = ".text._start")]
    extern "C" fn _start() -> ! {
        super::run()
    }
}

/// Interrupts so far.
fn interrupts() -> u64 {
    system::statistics().map_or(0, |stats| stats.interrupts)
}

fn run() -> ! {
    let mut before = 0;
    for (operation, number) in operations::ALL.iter().zip(FIRST_MILESTONE..) {
        let state = (operation.prepare)();
        // Once unmeasured: first touches are not what is counted.
        (operation.rounds)(&state, 1);
        before = interrupts();
        system::milestone(2 * (number - FIRST_MILESTONE) + FIRST_MILESTONE);
        (operation.rounds)(&state, operation.count);
        system::milestone(2 * (number - FIRST_MILESTONE) + FIRST_MILESTONE + 1);
    }
    let count = (interrupts() - before).min(u64::from(u8::MAX - INTERRUPTS));
    system::milestone(INTERRUPTS + count as u8);
    operations::end_machine()
}
