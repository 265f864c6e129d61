//! The PC's old clocks: the PIT to measure frequencies by, the CMOS clock for the date.

use crate::arch::apic;
use crate::arch::instructions::{in8, out8, rdtsc};

const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;
/// Channel 0, both bytes, mode 0: the output rises when the count ends.
const PIT_COUNT_DOWN: u8 = 0x30;
/// Read back the status of channel 0.
const PIT_STATUS: u8 = 0xe2;
const PIT_OUTPUT: u8 = 0x80;
const PIT_HZ: u64 = 1_193_182;
/// How long to measure.
const SPAN_MS: u64 = 10;
/// Longer than any machine with a working PIT polls.
const POLLS_MAX: u32 = 50_000_000;

const CMOS_INDEX: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;

/// Measures TSC and APIC timer; both in kHz.
pub fn measure_khz() -> (u32, u32) {
    let mut tsc = 0;
    let ticks = apic::count_ticks(|| {
        let start = rdtsc();
        wait_span();
        tsc = rdtsc() - start;
    });
    ((tsc / SPAN_MS) as u32, ticks / SPAN_MS as u32)
}

/// Waits [`SPAN_MS`] by the PIT.
fn wait_span() {
    let count = (PIT_HZ * SPAN_MS / 1000) as u16;
    // SAFETY: the PIT's ports; its interrupt line is masked.
    unsafe {
        out8(PIT_COMMAND, PIT_COUNT_DOWN);
        out8(PIT_CHANNEL_0, count as u8);
        out8(PIT_CHANNEL_0, (count >> 8) as u8);
    }
    for _ in 0..POLLS_MAX {
        // SAFETY: as above.
        let status = unsafe {
            out8(PIT_COMMAND, PIT_STATUS);
            in8(PIT_CHANNEL_0)
        };
        if status & PIT_OUTPUT != 0 {
            return;
        }
    }
    panic!(
        "the machine tells no TSC frequency and its PIT does not count: run it with KVM, or QEMU with pit=on"
    );
}

fn cmos(register: u8) -> u8 {
    // SAFETY: index and data port of the CMOS clock; reading has no effect.
    unsafe {
        out8(CMOS_INDEX, register);
        in8(CMOS_DATA)
    }
}

/// Nanoseconds since 1970 by the CMOS clock, which runs in UTC; 0 where there is none.
pub fn cmos_realtime_ns() -> u64 {
    if cmos(0) == 0xff {
        return 0;
    }
    let read = || [0, 2, 4, 7, 8, 9].map(cmos);
    // Two equal readings outside an update make one.
    let mut fields = read();
    loop {
        while cmos(0xa) & 0x80 != 0 {}
        let again = read();
        if again == fields {
            break;
        }
        fields = again;
    }
    if cmos(0xb) & 4 == 0 {
        fields = fields.map(|bcd| (bcd >> 4) * 10 + (bcd & 0xf));
    }
    let [seconds, minutes, hours, day, month, year] = fields.map(u64::from);
    let days = days_since_1970(2000 + year, month, day);
    (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000_000
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March, so that the leap day comes last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}
