//! What is left of the PC: interval timer, interrupt controllers, real-time clock, keyboard
//! controller's reset line. A machine need not have them.

use ferrix_machine::port;

use super::{Check, list};
use crate::Machine;
use crate::acpi;
use crate::arch::{cpu, trap};
use crate::verdict::{Verdict, equal, holds, needs, there, within};
use crate::{clock, pit};

/// All of this file.
pub const CHECKS: &[Check] =
    list!("legacy_": pit_once, pit_latch, pic_masks, pic_masked_is_silent, rtc, rtc_goes_on, i8042);

/// 8254, mode 0: channel 2's output is low until the count ends, and high from then on.
fn pit_once(_: &Machine) -> Verdict {
    const COUNT: u16 = 6000;
    needs(pit::present(), "no PIT")?;
    needs(pit::port_b_present(), "no port B to see the output")?;
    let least = u64::from(COUNT) * 1_000_000 / pit::HZ * 97 / 100;
    // A reading that came too late says nothing.
    let mut started = 0;
    let low = (0..20).find_map(|_| {
        started = cpu::tsc();
        pit::start_channel2(pit::Mode::Once, COUNT);
        let low = !pit::channel2_output();
        (clock::micros(cpu::tsc() - started) < least).then_some(low)
    });
    holds(
        "the output is low at first",
        there("a reading in time", low)?,
    )?;
    holds(
        "the output rises",
        clock::wait(clock::PATIENCE_MS, pit::channel2_output),
    )?;
    within(
        "microseconds",
        clock::micros(cpu::tsc() - started),
        least..=2_000_000,
    )?;
    clock::pause(2);
    holds("it stays high", pit::channel2_output())
}

/// 8254, mode 2: a latched count falls from the count that was set.
fn pit_latch(_: &Machine) -> Verdict {
    needs(pit::present(), "no PIT")?;
    pit::start_channel2(pit::Mode::Rate, 50_000);
    let first = pit::channel2_count();
    within("the first count", first, 1..=50_000)?;
    let fell = clock::wait(clock::PATIENCE_MS, || pit::channel2_count() < first);
    holds("the count falls", fell)
}

/// 8259A: OCW1 is read back.
fn pic_masks(_: &Machine) -> Verdict {
    pit::pic_mask(0, 0xa5);
    needs(
        pit::pic_mask(0, 0x5a) == 0x5a && pit::pic_mask(0, 0xa5) == 0xa5,
        "no 8259",
    )?;
    equal("mask of the second 8259", pit::pic_mask(1, 0x3c), 0x3cu8)?;
    let masks = pit::mask_pics();
    equal(
        "both masks",
        u64::from(masks[0]) << 8 | u64::from(masks[1]),
        0xffffu64,
    )
}

/// With both controllers masked and the I/O APIC's entry too, the timer is silent.
fn pic_masked_is_silent(machine: &Machine) -> Verdict {
    needs(pit::present(), "no PIT")?;
    pit::mask_pics();
    crate::ioapic::mask(acpi::line_of(machine.info, 0));
    trap::forget(0);
    cpu::interrupts_on();
    pit::start_channel0(pit::Mode::Rate, 2000);
    clock::pause(10);
    pit::stop_channel0();
    equal("interrupts", trap::count(0), 0u32)
}

const RTC_INDEX: u16 = 0x70;
const RTC_DATA: u16 = 0x71;

fn rtc_register(index: u8) -> u8 {
    cpu::out8(RTC_INDEX, index);
    cpu::in8(RTC_DATA)
}

/// A stable reading outside of updates (MC146818, register A bit 7).
fn rtc_time() -> [u8; 6] {
    loop {
        clock::wait(clock::PATIENCE_MS, || rtc_register(0xa) & 0x80 == 0);
        let read = || [9, 8, 7, 4, 2, 0].map(rtc_register);
        let (first, second) = (read(), read());
        if first == second {
            return first;
        }
    }
}

fn from_bcd(value: u8) -> u64 {
    match rtc_register(0xb) & 4 {
        0 => u64::from(value >> 4) * 10 + u64::from(value & 0xf),
        _ => value.into(),
    }
}

fn needs_rtc() -> Verdict {
    // No device reads as ones; a valid time has none of its registers so.
    needs(
        rtc_register(0xd) != 0xff && rtc_register(0xb) != 0xff,
        "no real-time clock",
    )
}

/// MC146818: the battery is good, and the date exists.
fn rtc(_: &Machine) -> Verdict {
    needs_rtc()?;
    equal(
        "register D: valid RAM and time",
        rtc_register(0xd) & 0x80,
        0x80u8,
    )?;
    let [year, month, day, hour, minute, second] = rtc_time().map(from_bcd);
    within("year", year, 20..=99)?;
    within("month", month, 1..=12)?;
    within("day", day, 1..=31)?;
    within("hour", hour & 0x7f, 0..=23)?;
    within("minute", minute, 0..=59)?;
    within("second", second, 0..=59)
}

/// The seconds change within a little more than one.
fn rtc_goes_on(_: &Machine) -> Verdict {
    needs_rtc()?;
    let first = rtc_register(0);
    let changed = clock::wait(clock::PATIENCE_MS, || {
        clock::pause(5);
        rtc_register(0) != first
    });
    holds("the seconds change", changed)
}

/// The keyboard controller's status: it takes a command (IBM PC AT technical reference).
fn i8042(_: &Machine) -> Verdict {
    let status = cpu::in8(port::I8042_COMMAND);
    needs(status != 0xff, "no i8042")?;
    equal("status: input buffer full", status & 2, 0u8)
}
