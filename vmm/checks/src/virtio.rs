//! A driver of virtio-mmio devices (virtio 1.2, 4.2) with split queues (2.7), as plain as can be:
//! the checks write each register and each descriptor as they want it.

use core::ops::Range;

use crate::Machine;
use crate::acpi;
use crate::arch::phys::{self, fence};
use crate::arch::start;
use crate::clock;
use crate::info::StartInfo;

/// Registers (4.2.2).
pub mod register {
    pub const MAGIC_VALUE: u64 = 0x000;
    pub const VERSION: u64 = 0x004;
    pub const DEVICE_ID: u64 = 0x008;
    pub const VENDOR_ID: u64 = 0x00c;
    pub const DEVICE_FEATURES: u64 = 0x010;
    pub const DEVICE_FEATURES_SEL: u64 = 0x014;
    pub const DRIVER_FEATURES: u64 = 0x020;
    pub const DRIVER_FEATURES_SEL: u64 = 0x024;
    pub const QUEUE_SEL: u64 = 0x030;
    pub const QUEUE_NUM_MAX: u64 = 0x034;
    pub const QUEUE_NUM: u64 = 0x038;
    pub const QUEUE_READY: u64 = 0x044;
    pub const QUEUE_NOTIFY: u64 = 0x050;
    pub const INTERRUPT_STATUS: u64 = 0x060;
    pub const INTERRUPT_ACK: u64 = 0x064;
    pub const STATUS: u64 = 0x070;
    pub const QUEUE_DESC: u64 = 0x080;
    pub const QUEUE_DRIVER: u64 = 0x090;
    pub const QUEUE_DEVICE: u64 = 0x0a0;
    pub const CONFIG_GENERATION: u64 = 0x0fc;
    pub const CONFIG: u64 = 0x100;
}

use register::*;

/// Device status (2.1).
pub const ACKNOWLEDGE: u32 = 1;
/// Device status.
pub const DRIVER: u32 = 2;
/// Device status.
pub const DRIVER_OK: u32 = 4;
/// Device status.
pub const FEATURES_OK: u32 = 8;

/// Feature bits (6).
pub const VERSION_1: u64 = 1 << 32;
/// VIRTIO_F_INDIRECT_DESC.
pub const INDIRECT_DESC: u64 = 1 << 28;
/// VIRTIO_F_EVENT_IDX.
pub const EVENT_IDX: u64 = 1 << 29;

/// Descriptor flags (2.7.5).
pub const NEXT: u16 = 1;
/// Descriptor flag: the device writes.
pub const WRITE: u16 = 2;
/// Descriptor flag: a table of descriptors.
pub const INDIRECT: u16 = 4;

/// Where a device is, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Line of the I/O APIC.
    pub gsi: u32,
}

/// The command line's windows: `virtio_mmio.device=SIZE@BASE:GSI`.
pub fn announced(line: &'static str) -> impl Iterator<Item = Window> + Clone {
    line.split(' ').filter_map(|word| {
        let value = word
            .strip_prefix(ferrix_machine::cmdline::VIRTIO_MMIO_DEVICE)?
            .strip_prefix('=')?;
        let (base, gsi) = value.split_once('@')?.1.split_once(':')?;
        let base = u64::from_str_radix(base.strip_prefix("0x")?, 16).ok()?;
        Some(Window {
            base,
            gsi: gsi.parse().ok()?,
        })
    })
}

/// The DSDT's windows: after each `LNRO0005`, the first 32-bit memory range and the first extended
/// interrupt of its resources (ACPI 6.5, 6.4.3.4 and 6.4.3.6). The code around is not run.
pub fn described(info: StartInfo) -> impl Iterator<Item = Window> + Clone {
    const HID: &[u8] = b"LNRO0005";
    const MEMORY_32_FIXED: &[u8] = &[0x86, 9, 0];
    const INTERRUPT: u8 = 0x89;
    let code = acpi::dsdt(info).map_or(&[][..], |table| table.bytes);
    let places = (0..code.len()).filter(move |&at| code[at..].starts_with(HID));
    places.filter_map(move |at| {
        let node = &code[at + HID.len()..code.len().min(at + 128)];
        let memory = node.windows(3).position(|bytes| bytes == MEMORY_32_FIXED)?;
        let after = &node[memory + 12..];
        let interrupt = after.iter().position(|&byte| byte == INTERRUPT)?;
        Some(Window {
            base: acpi::u32_at(node, memory + 4).into(),
            gsi: acpi::u32_at(after, interrupt + 5),
        })
    })
}

/// All windows of the machine, by command line or DSDT.
pub fn windows(machine: &Machine) -> impl Iterator<Item = Window> + Clone {
    let by_table = announced(machine.line).next().is_none();
    let described = described(machine.info).filter(move |_| by_table);
    announced(machine.line).chain(described)
}

/// The first device of a type.
pub fn find(machine: &Machine, id: u32) -> Option<Device> {
    windows(machine)
        .map(Device)
        .find(|device| device.read(DEVICE_ID) == id)
}

/// A device window.
#[derive(Clone, Copy, Debug)]
pub struct Device(pub Window);

impl Device {
    /// Reads a register.
    pub fn read(self, register: u64) -> u32 {
        phys::read(self.0.base + register)
    }

    /// Writes a register.
    pub fn write(self, register: u64, value: u32) {
        phys::write(self.0.base + register, value);
    }

    /// Writes a pair of registers.
    pub fn write_address(self, register: u64, address: u64) {
        self.write(register, address as u32);
        self.write(register + 4, (address >> 32) as u32);
    }

    /// A byte of the configuration space.
    pub fn config8(self, offset: u64) -> u8 {
        phys::read(self.0.base + CONFIG + offset)
    }

    /// A word of the configuration space.
    pub fn config32(self, offset: u64) -> u32 {
        self.read(CONFIG + offset)
    }

    /// Resets; whether the status reads 0 then.
    pub fn reset(self) -> bool {
        self.write(STATUS, 0);
        clock::wait(clock::PATIENCE_MS, || self.read(STATUS) == 0)
    }

    /// Adds bits to the status; what it reads then.
    pub fn advance(self, bits: u32) -> u32 {
        self.write(STATUS, self.read(STATUS) | bits);
        self.read(STATUS)
    }

    /// The features that it offers.
    pub fn features(self) -> u64 {
        let word = |select| {
            self.write(DEVICE_FEATURES_SEL, select);
            u64::from(self.read(DEVICE_FEATURES))
        };
        word(0) | word(1) << 32
    }

    /// From reset to FEATURES_OK; whether the device takes these features.
    pub fn negotiate(self, features: u64) -> bool {
        self.reset();
        self.advance(ACKNOWLEDGE);
        self.advance(DRIVER);
        for select in 0..2 {
            self.write(DRIVER_FEATURES_SEL, select);
            self.write(DRIVER_FEATURES, (features >> (32 * select)) as u32);
        }
        self.advance(FEATURES_OK) & FEATURES_OK != 0
    }

    /// From reset to DRIVER_OK with the first queues set up.
    pub fn start(self, features: u64, queues: Range<u32>) -> Option<[Queue; 2]> {
        if !self.negotiate(features | VERSION_1) {
            return None;
        }
        let made = [0, 1].map(|index| Queue::new(self, index));
        for index in queues {
            made[index as usize].enable();
        }
        (self.advance(DRIVER_OK) & DRIVER_OK != 0).then_some(made)
    }
}

/// Entries of the checks' queues.
pub const SIZE: u16 = 16;

/// A split queue in the arena, and how far the checks are with it.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// Its device.
    pub device: Device,
    /// Its number.
    pub index: u32,
    /// Buffers that were made available.
    pub offered: u16,
}

impl Queue {
    /// Empty rings; the device does not know them yet.
    pub fn new(device: Device, index: u32) -> Self {
        let queue = Self {
            device,
            index,
            offered: 0,
        };
        for at in (queue.table()..queue.used() + 8 * u64::from(SIZE) + 8).step_by(8) {
            // The used area and the avail area are short; what lies between need not be cleared.
            if at < queue.table() + 256 || (at & 0xfff) < 0xa0 {
                phys::write(at, 0u64);
            }
        }
        queue
    }

    /// Descriptor area.
    pub fn table(&self) -> u64 {
        start::arena().start + 0x1_0000 * (u64::from(self.index) + 1)
    }

    /// Driver area.
    pub fn available(&self) -> u64 {
        self.table() + 0x1000
    }

    /// Device area.
    pub fn used(&self) -> u64 {
        self.table() + 0x2000
    }

    /// Tells the device where the queue is.
    pub fn enable(&self) -> bool {
        let device = self.device;
        device.write(QUEUE_SEL, self.index);
        device.write(QUEUE_NUM, SIZE.into());
        device.write_address(QUEUE_DESC, self.table());
        device.write_address(QUEUE_DRIVER, self.available());
        device.write_address(QUEUE_DEVICE, self.used());
        device.write(QUEUE_READY, 1);
        device.read(QUEUE_READY) == 1
    }

    /// Writes a descriptor.
    pub fn describe(&self, number: u16, buffer: Buffer) {
        write_descriptor(self.table() + 16 * u64::from(number), buffer);
    }

    /// Makes a chain available, without a notification.
    pub fn offer(&mut self, head: u16) {
        phys::write(
            self.available() + 4 + 2 * u64::from(self.offered % SIZE),
            head,
        );
        fence();
        self.offered = self.offered.wrapping_add(1);
        phys::write(self.available() + 2, self.offered);
        fence();
    }

    /// QueueNotify.
    pub fn notify(&self) {
        self.device.write(QUEUE_NOTIFY, self.index);
    }

    /// The used ring's index.
    pub fn used_index(&self) -> u16 {
        phys::read(self.used() + 2)
    }

    /// Waits until everything that was offered is used.
    pub fn all_used(&self) -> bool {
        clock::wait(clock::PATIENCE_MS, || self.used_index() == self.offered)
    }

    /// Head and length of a used element.
    pub fn used_element(&self, number: u16) -> (u32, u32) {
        let at = self.used() + 4 + 8 * u64::from(number % SIZE);
        (phys::read(at), phys::read(at + 4))
    }

    /// Sets avail.flags: 1 asks for no interrupts.
    pub fn set_flags(&self, flags: u16) {
        phys::write(self.available(), flags);
    }

    /// Sets used_event (2.7.10): interrupt when the used index passes it.
    pub fn set_used_event(&self, event: u16) {
        phys::write(self.available() + 4 + 2 * u64::from(SIZE), event);
        fence();
    }
}

/// A buffer of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Its address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub flags: u16,
    /// The next descriptor.
    pub next: u16,
}

/// Writes a descriptor to a table.
pub fn write_descriptor(at: u64, buffer: Buffer) {
    phys::write(at, buffer.address);
    phys::write(at + 8, buffer.length);
    phys::write(at + 12, buffer.flags);
    phys::write(at + 14, buffer.next);
}
