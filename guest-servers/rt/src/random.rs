//! Random bytes from the processor.
//!
//! RDRAND (Intel SDM vol. 2, "RDRAND") where CPUID offers it. Where it does not, a generator seeded
//! with the cycle counter: good for tables, not for keys, and the machine has nothing better.

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

const RDRAND: u32 = 1 << 30;
/// Tries before a processor that keeps saying "not yet" is given up (Intel's advice is 10).
const TRIES: usize = 10;

static STATE: AtomicU64 = AtomicU64::new(0);

/// Fills the buffer.
pub fn fill(bytes: &mut [u8]) {
    // CPUID leaf 1 exists on every x86-64 processor.
    let has_rdrand = __cpuid(1).ecx & RDRAND != 0;
    for chunk in bytes.chunks_mut(8) {
        let word = if has_rdrand { rdrand() } else { None }.unwrap_or_else(mixed);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}

fn rdrand() -> Option<u64> {
    (0..TRIES).find_map(|_| {
        let (word, taken): (u64, u8);
        // SAFETY: the caller has seen in CPUID that the instruction exists; it only writes registers.
        unsafe {
            core::arch::asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) taken, options(nomem, nostack));
        }
        (taken != 0).then_some(word)
    })
}

/// SplitMix64 over a counter that the cycle counter stirs.
fn mixed() -> u64 {
    // SAFETY: RDTSC is available to user mode (CR4.TSD is clear).
    let cycles = unsafe { _rdtsc() };
    let mut word =
        STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ cycles.rotate_left(32);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
