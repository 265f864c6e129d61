//! Base address registers (PCI 3.0, section 6.2.5).

use crate::config::{Config, Function, Location, register};
use crate::virtio::Problem;
use alloc::vec::Vec;
use core::ops::Range;

/// Registers of a function's header.
const BARS: u8 = 6;
/// Bits that are no address, in a memory register and in an I/O register.
const MEMORY_FLAGS: u32 = 0xf;
const IO: u32 = 1;
const TYPE: u32 = 6;
const TYPE_64: u32 = 4;

/// A piece of the physical address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A memory register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Which one; a 64-bit register takes the next one too.
    pub index: u8,
    /// Address that it holds; 0: none was assigned.
    pub base: u64,
    /// Bytes that it answers to: a power of two.
    pub bytes: u64,
    wide: bool,
}

impl Bar {
    fn end(&self) -> u64 {
        self.base.saturating_add(self.bytes)
    }

    /// Whether it has an address that can be mapped.
    fn is_usable(&self, reach: u64) -> bool {
        self.base != 0 && self.end() <= reach
    }
}

/// The memory registers of a function. It answers to no memory address while they are sized.
pub(crate) fn memory_bars<C: Config>(function: &Function<'_, C>) -> Vec<Bar> {
    let command = function.command();
    function.set_command(command & !register::MEMORY_SPACE);
    let mut bars = Vec::new();
    let mut index = 0;
    while index < BARS {
        let (bar, taken) = read_bar(function, index);
        bars.extend(bar);
        index += taken;
    }
    function.set_command(command);
    bars
}

/// One register, and how many of 32 bits it takes.
fn read_bar<C: Config>(function: &Function<'_, C>, index: u8) -> (Option<Bar>, u8) {
    let offset = register::BAR0 + 4 * index;
    let low = function.read32(offset);
    if low & IO != 0 {
        return (None, 1);
    }
    let wide = low & TYPE == TYPE_64 && index + 1 < BARS;
    let low_mask = size_mask(function, offset, low) & !MEMORY_FLAGS;
    let (high, high_mask) = match wide {
        true => {
            let high = function.read32(offset + 4);
            (high, size_mask(function, offset + 4, high))
        }
        false => (0, u32::MAX),
    };
    let mask = u64::from(low_mask) | u64::from(high_mask) << 32;
    let implemented = low_mask != 0 || (wide && high_mask != 0);
    let bytes = (!mask).wrapping_add(1);
    let bar = Bar {
        index,
        base: u64::from(low & !MEMORY_FLAGS) | u64::from(high) << 32,
        bytes,
        wide,
    };
    let valid = implemented && bytes.is_power_of_two();
    (valid.then_some(bar), 1 + u8::from(wide))
}

/// The bits of a register that can be written.
fn size_mask<C: Config>(function: &Function<'_, C>, offset: u8, value: u32) -> u32 {
    function.write32(offset, u32::MAX);
    let mask = function.read32(offset);
    function.write32(offset, value);
    mask
}

/// Gives addresses to functions that firmware left without.
#[derive(Debug)]
pub(crate) struct Assigner<'a, C> {
    pub config: &'a C,
    /// All functions: what they have is taken.
    pub functions: &'a [Location],
    /// Where device memory may lie.
    pub window: Window,
    /// Addresses from here on cannot be mapped.
    pub reach: u64,
    /// The bus whose devices the window is for directly; bridges pass on only what firmware told them.
    pub root: u8,
}

impl<C: Config> Assigner<'_, C> {
    /// The memory registers of a function, all with usable addresses.
    ///
    /// # Errors
    /// [`Problem::Unassigned`].
    pub fn bars(&self, function: &Function<'_, C>) -> Result<Vec<Bar>, Problem> {
        let mut bars = memory_bars(function);
        for bar in bars.iter_mut().filter(|bar| !bar.is_usable(self.reach)) {
            let unassigned = Problem::Unassigned { bytes: bar.bytes };
            if function.at.bus != self.root {
                return Err(unassigned);
            }
            bar.base = self.find_room(bar.bytes).ok_or(unassigned)?;
            write_base(function, bar);
        }
        Ok(bars)
    }

    /// The first aligned place in the window that nothing else has.
    fn find_room(&self, bytes: u64) -> Option<u64> {
        let mut taken = Vec::new();
        for &at in self.functions {
            let config = self.config;
            taken_by(&Function { config, at }, &mut taken);
        }
        let align = |address: u64| address.checked_next_multiple_of(bytes);
        let top = self.window.base.checked_add(self.window.bytes)?;
        let mut base = align(self.window.base.max(1))?;
        loop {
            let end = base.checked_add(bytes).filter(|&end| end <= top)?;
            let in_the_way = taken
                .iter()
                .find(|used| used.start < end && base < used.end);
            match in_the_way {
                Some(used) => base = align(used.end)?,
                None => return Some(base),
            }
        }
    }
}

fn write_base<C: Config>(function: &Function<'_, C>, bar: &Bar) {
    let offset = register::BAR0 + 4 * bar.index;
    let command = function.command();
    function.set_command(command & !register::MEMORY_SPACE);
    function.write32(offset, bar.base as u32);
    if bar.wide {
        function.write32(offset + 4, (bar.base >> 32) as u32);
    }
    function.set_command(command);
}

/// Adds the addresses that a function answers to, or passes on.
fn taken_by<C: Config>(function: &Function<'_, C>, taken: &mut Vec<Range<u64>>) {
    match function.header() & !register::MULTI_FUNCTION {
        register::HEADER_FUNCTION => {
            let bars = memory_bars(function);
            let assigned = bars.iter().filter(|bar| bar.base != 0);
            taken.extend(assigned.map(|bar| bar.base..bar.end()));
        }
        register::HEADER_BRIDGE => taken.extend(bridge_windows(function)),
        _ => {}
    }
}

/// A bridge's memory window and its prefetchable one, in units of 1 MiB.
fn bridge_windows<C: Config>(bridge: &Function<'_, C>) -> [Range<u64>; 2] {
    let window = |register: u8, base_high: u32, limit_high: u32| {
        let both = bridge.read32(register);
        let base = u64::from(both & 0xfff0) << 16 | u64::from(base_high) << 32;
        let limit = u64::from(both & 0xfff0_0000) | u64::from(limit_high) << 32;
        base..limit.saturating_add(1 << 20)
    };
    let memory = window(register::MEMORY, 0, 0);
    let prefetchable = window(
        register::PREFETCHABLE,
        bridge.read32(register::PREFETCHABLE_BASE_HIGH),
        bridge.read32(register::PREFETCHABLE_LIMIT_HIGH),
    );
    [memory, prefetchable]
}

#[cfg(test)]
mod tests;
