//! Random bytes: RDRAND where the CPU has it. Without it the numbers are a SplitMix64 stream seeded from the cycle
//! counter: they differ from run to run, but are no secret.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ferrix_rt::sys::system::cycles;

/// CPUID.1:ECX, or 0 when not asked yet (bit 0 is always set on x86-64: SSE3 counts as such here).
static FEATURES: AtomicU32 = AtomicU32::new(0);
/// CPUID.1:EDX.
static HARDWARE: AtomicU32 = AtomicU32::new(0);
static STREAM: AtomicU64 = AtomicU64::new(0);

const RDRAND: u32 = 1 << 30;
const ASKED: u32 = 1 << 31;
/// How often RDRAND may fail in a row (Intel's recommendation).
const TRIES: usize = 10;

fn features() -> u32 {
    let known = FEATURES.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let leaf = __cpuid(1);
    HARDWARE.store(leaf.edx, Ordering::Relaxed);
    let features = leaf.ecx | ASKED;
    FEATURES.store(features, Ordering::Relaxed);
    features
}

/// `AT_HWCAP`: CPUID.1:EDX.
pub fn hardware_capabilities() -> u32 {
    features();
    HARDWARE.load(Ordering::Relaxed)
}

/// A random word.
pub fn word() -> u64 {
    if features() & RDRAND != 0
        && let Some(word) = (0..TRIES).find_map(|_| rdrand())
    {
        return word;
    }
    let step = 0x9e37_79b9_7f4a_7c15_u64;
    let state = STREAM
        .fetch_add(step, Ordering::Relaxed)
        .wrapping_add(cycles());
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn rdrand() -> Option<u64> {
    let (word, success): (u64, u8);
    // SAFETY: the CPU has the instruction; it changes a register and flags only.
    unsafe {
        asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) success, options(nomem, nostack))
    };
    (success != 0).then_some(word)
}
