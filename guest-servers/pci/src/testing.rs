//! A configuration space to test on.

use crate::config::{Config, Location, register};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

const WORDS: usize = 64;

/// A function: its registers, and which bits of each can be written.
#[derive(Clone, Debug)]
pub struct FakeFunction {
    pub words: [u32; WORDS],
    pub writable: [u32; WORDS],
}

impl FakeFunction {
    pub fn new(vendor: u16, device: u16) -> FakeFunction {
        let mut function = FakeFunction {
            words: [0; WORDS],
            writable: [0; WORDS],
        };
        function.words[0] = u32::from(vendor) | u32::from(device) << 16;
        function.writable[1] = 0xffff;
        function
    }

    pub fn bridge(secondary: u8) -> FakeFunction {
        let mut bridge = FakeFunction::new(0x8086, 0x244e);
        bridge.set_header(register::HEADER_BRIDGE);
        bridge.words[6] = u32::from(secondary) << 8;
        bridge
    }

    pub fn set_header(&mut self, kind: u8) {
        self.words[3] = u32::from(kind) << 16;
    }

    /// A memory register of this size.
    pub fn bar(&mut self, index: usize, base: u64, bytes: u64) {
        self.words[4 + index] = base as u32;
        self.writable[4 + index] = !(bytes as u32).wrapping_sub(1) & !0xf;
    }

    /// A 64-bit one.
    pub fn wide_bar(&mut self, index: usize, base: u64, bytes: u64) {
        let mask = !(bytes - 1);
        self.words[4 + index] = base as u32 | 0xc;
        self.words[5 + index] = (base >> 32) as u32;
        self.writable[4 + index] = mask as u32 & !0xf;
        self.writable[5 + index] = (mask >> 32) as u32;
    }

    /// Puts a capability at an offset, and the list's head or the last one's link to it.
    pub fn capability(&mut self, offset: u8, next: u8, id: u8, rest: u16, words: &[u32]) {
        let at = usize::from(offset) / 4;
        self.words[at] = u32::from(id) | u32::from(next) << 8 | u32::from(rest) << 16;
        self.words[at + 1..][..words.len()].copy_from_slice(words);
        self.words[1] |= register::HAS_CAPABILITIES;
    }

    /// A host bridge.
    pub fn host() -> FakeFunction {
        FakeFunction::new(0x8086, 0x29c0)
    }

    /// A modern virtio block device as QEMU makes it, at `base`.
    pub fn virtio(device: u16, base: u64) -> FakeFunction {
        let mut function = FakeFunction::new(0x1af4, device);
        function.bar(1, if base == 0 { 0 } else { base + 0x10_0000 }, 0x1000);
        function.wide_bar(4, base, 0x4000);
        function.words[0x2c / 4] = 0x0002_1af4;
        function.words[0x34 / 4] = 0x98;
        function.capability(0x98, 0x84, 0x11, 1, &[1, 0x801]);
        function.writable[0x98 / 4] = 0xc000_0000;
        function.capability(0x84, 0x70, 9, 0x0214, &[4, 0x3000, 0x1000, 4]);
        function.capability(0x70, 0x60, 9, 0x0410, &[4, 0x2000, 0x1000]);
        function.capability(0x60, 0x50, 9, 0x0310, &[4, 0x1000, 0x1000]);
        function.capability(0x50, 0x40, 9, 0x0110, &[4, 0, 0x1000]);
        function.capability(0x40, 0, 9, 0x0510, &[0, 0, 0]);
        function
    }
}

/// A segment.
#[derive(Debug, Default)]
pub struct FakeSegment {
    functions: RefCell<BTreeMap<Location, FakeFunction>>,
    /// Words read, for a bound on the work.
    pub reads: RefCell<usize>,
}

pub fn at(bus: u8, device: u8, function: u8) -> Location {
    Location {
        bus,
        device,
        function,
    }
}

impl FakeSegment {
    pub fn new(functions: impl IntoIterator<Item = (Location, FakeFunction)>) -> FakeSegment {
        FakeSegment {
            functions: RefCell::new(functions.into_iter().collect()),
            reads: RefCell::default(),
        }
    }

    pub fn function(&self, at: Location) -> FakeFunction {
        self.functions.borrow()[&at].clone()
    }

    pub fn locations(&self) -> Vec<Location> {
        self.functions.borrow().keys().copied().collect()
    }
}

impl Config for FakeSegment {
    fn read(&self, at: Location, offset: u8) -> u32 {
        assert!(offset.is_multiple_of(4), "unaligned read at {offset:#x}");
        assert!(at.device < 32 && at.function < 8);
        *self.reads.borrow_mut() += 1;
        let functions = self.functions.borrow();
        let function = functions.get(&at);
        function.map_or(u32::MAX, |function| function.words[usize::from(offset) / 4])
    }

    fn write(&self, at: Location, offset: u8, value: u32) {
        assert!(offset.is_multiple_of(4), "unaligned write at {offset:#x}");
        let mut functions = self.functions.borrow_mut();
        let function = functions.get_mut(&at).expect("a write to nobody");
        let index = usize::from(offset) / 4;
        let writable = function.writable[index];
        let word = &mut function.words[index];
        *word = *word & !writable | value & writable;
    }
}
