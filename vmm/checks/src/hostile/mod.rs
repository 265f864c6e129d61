//! A hostile driver: writes garbage to every device for a while, so that whoever runs this can see the monitor
//! stay up and its memory stay flat; the checks that follow then find working devices.
//!
//! `hostile=MS` on the command line, and `seed=N` to begin elsewhere. It may hurt nobody but the monitor: devices
//! are told to write to the arena, or to what is no RAM, and ports that end the machine are left out. That is all
//! the honesty there is.

mod chance;
mod rings;

use chance::Chance;
use ferrix_machine::port;
use rings::Victim;

use crate::arch::{cpu, phys};
use crate::info;
use crate::uart;
use crate::virtio::{self, register::*};
use crate::{Machine, clock, print};

/// Windows that are tried, with devices or without.
const WINDOWS: u64 = 24;
/// The exit port and ACPI's sleep registers, which end the machine.
const ENDS: core::ops::Range<u16> = port::EXIT..0xfa;
/// QEMU's and KVM's own devices; they are not the monitor's.
const IN_KERNEL: [u16; 12] = [
    0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0xa0, 0xa1, 0x4d0, 0x4d1, 0xcf9,
];

/// Does it if the command line asks for it.
pub fn if_wanted(machine: &Machine) {
    let number = |key| info::option(machine.line, key).and_then(|text| text.parse::<u64>().ok());
    let Some(ms) = number("hostile") else { return };
    let mut chance = Chance::new(number("seed").unwrap_or(1));
    print!("hostile: {ms} ms of garbage\n");
    let end = cpu::tsc() + ms * clock::tsc_khz();
    let mut operations = 0u64;
    let mut victims = [None; 8];
    for (victim, window) in victims.iter_mut().zip(virtio::windows(machine)) {
        *victim = Some(Victim::new(virtio::Device(window)));
    }
    while cpu::tsc() < end {
        match chance.below(16) {
            0 => ports(&mut chance),
            1 => nowhere(&mut chance),
            _ => {
                let which = chance.below(victims.len() as u64) as usize;
                if let Some(victim) = &mut victims[which] {
                    victim.torment(&mut chance);
                }
            }
        }
        operations += 1;
    }
    for victim in victims.iter().flatten() {
        victim.device.write(STATUS, 0);
    }
    // Loops back, transmits elsewhere, and the like.
    uart::init();
    print!("\nhostile: {operations} operations\n");
}

/// A port of the monitor's, but none that ends the machine; its log is not to be all garbage either.
fn ports(chance: &mut Chance) {
    let number = match chance.below(4) {
        0 => port::UART + 1 + chance.below(7) as u16,
        1 => 0x70 + chance.below(2) as u16,
        2 => port::MILESTONE,
        _ => chance.word() as u16,
    };
    cpu::in8(number);
    let ends = number == port::I8042_COMMAND || ENDS.contains(&number);
    if !ends && !IN_KERNEL.contains(&number) && number != port::UART {
        cpu::out8(number, chance.word() as u8);
    }
}

/// The windows' area, with or without devices, in accesses of any size.
fn nowhere(chance: &mut Chance) {
    let window = ferrix_machine::virtio_mmio::BASE + 0x1000 * chance.below(WINDOWS);
    let at = window + (chance.below(0x1000) & !7);
    // Registers that lead to memory are for `rings`.
    if (QUEUE_DESC..QUEUE_DEVICE + 8).contains(&(at & 0xfff)) {
        return;
    }
    match chance.below(6) {
        0 => phys::write(at + chance.below(8), chance.word() as u8),
        1 => phys::write(at + 2 * chance.below(4), chance.word() as u16),
        2 => phys::write(at, chance.word()),
        3 => core::mem::drop(phys::read::<u8>(at + chance.below(8))),
        4 => core::mem::drop(phys::read::<u16>(at)),
        _ => core::mem::drop(phys::read::<u64>(at)),
    }
}
