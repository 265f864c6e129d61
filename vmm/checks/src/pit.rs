//! The 8254 interval timer and the 8259 interrupt controllers.

use crate::arch::cpu::{in8, out8, tsc};
use crate::clock;

/// Its input clock in Hz.
pub const HZ: u64 = 1_193_182;
const CHANNEL_0: u16 = 0x40;
const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Port B: bit 0 gates channel 2, bit 5 is its output.
const GATE: u16 = 0x61;
/// The masks of the two 8259.
const PIC_MASKS: [u16; 2] = [0x21, 0xa1];

/// Modes of a channel, low and high byte of the count.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Output rises once at the end of the count (0).
    Once = 0x30,
    /// Periodic, output falls for the last clock (2).
    Rate = 0x34,
}

/// Starts channel 0, the source of interrupt 0.
pub fn start_channel0(mode: Mode, count: u16) {
    out8(COMMAND, mode as u8);
    out8(CHANNEL_0, count as u8);
    out8(CHANNEL_0, (count >> 8) as u8);
}

/// Stops channel 0: a mode without a count does not run.
pub fn stop_channel0() {
    out8(COMMAND, Mode::Once as u8);
}

/// Starts channel 2 with its gate open and the speaker off.
pub fn start_channel2(mode: Mode, count: u16) {
    out8(GATE, in8(GATE) & !2 | 1);
    out8(COMMAND, mode as u8 | 0x80);
    out8(CHANNEL_2, count as u8);
    out8(CHANNEL_2, (count >> 8) as u8);
}

/// The output of channel 2.
pub fn channel2_output() -> bool {
    in8(GATE) & 0x20 != 0
}

/// Whether port B is there (a microvm has none): nobody reads as ones.
pub fn port_b_present() -> bool {
    in8(GATE) != 0xff
}

/// Latches and reads the count of channel 2.
pub fn channel2_count() -> u64 {
    out8(COMMAND, 0x80);
    u64::from(in8(CHANNEL_2)) | u64::from(in8(CHANNEL_2)) << 8
}

/// The TSC's frequency by channel 2, over 20 ms; none if there is no PIT.
///
/// Only the time between two latched counts matters, not when the program got to run. If it was away for
/// so long that the count ended, the output tells, and the measurement is repeated.
pub fn measure_tsc_khz() -> Option<u64> {
    (0..20).find_map(|_| measure_once())
}

fn measure_once() -> Option<u64> {
    start_channel2(Mode::Once, u16::MAX);
    let first = latch();
    let passed = |count: u64| first.0.wrapping_sub(count) & 0xffff;
    for _ in 0..1_000_000 {
        if passed(channel2_count()) >= HZ / 50 {
            let last = latch();
            let whole = !channel2_ended();
            return whole.then(|| (last.1 - first.1) * HZ / passed(last.0) / 1000);
        }
    }
    None
}

/// A count and the TSC at which it was latched: the best of some readings.
fn latch() -> (u64, u64) {
    let mut best = (0, 0, u64::MAX);
    for _ in 0..10 {
        let before = tsc();
        out8(COMMAND, 0x80);
        let after = tsc();
        let count = u64::from(in8(CHANNEL_2)) | u64::from(in8(CHANNEL_2)) << 8;
        if after - before < best.2 {
            best = (count, before + (after - before) / 2, after - before);
        }
    }
    (best.0, best.1)
}

/// Whether the output of channel 2 is high, by the read-back command: without port B.
fn channel2_ended() -> bool {
    out8(COMMAND, 0xe8);
    in8(CHANNEL_2) & 0x80 != 0
}

/// Masks all lines of both 8259; what the masks read then.
pub fn mask_pics() -> [u8; 2] {
    PIC_MASKS.map(|port| {
        out8(port, 0xff);
        in8(port)
    })
}

/// Sets one mask, and reads it back.
pub fn pic_mask(chip: usize, mask: u8) -> u8 {
    out8(PIC_MASKS[chip], mask);
    in8(PIC_MASKS[chip])
}

/// Whether there is a channel 2 that counts.
pub fn present() -> bool {
    start_channel2(Mode::Rate, 0xffff);
    let first = channel2_count();
    clock::wait(20, || channel2_count() != first)
}
