//! Which functions there are: the first bus, and those behind its bridges.

use crate::config::{Config, Function, Location, register};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// A set of bus numbers.
#[derive(Default)]
struct Buses([u64; 4]);

impl Buses {
    fn insert(&mut self, bus: u8) -> bool {
        let (word, bit) = (&mut self.0[usize::from(bus / 64)], 1 << (bus % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}

/// All functions of a segment with these buses, in the order of bus, device and function.
///
/// Every bus is looked at once, whatever the bridges say. Those that firmware left without a bus number
/// (0) hide what is behind them. Without a host bridge, which is the first device of the first bus, there is no
/// PCI (Firecracker announces the empty space).
pub fn functions(config: &impl Config, buses: RangeInclusive<u8>) -> Vec<Location> {
    let mut found = Vec::new();
    let host_bridge = Location {
        bus: *buses.start(),
        device: 0,
        function: 0,
    };
    let at = host_bridge;
    if (Function { config, at }).id().is_none() {
        return found;
    }
    let mut seen = Buses::default();
    let mut waiting = Vec::from([*buses.start()]);
    seen.insert(*buses.start());
    while let Some(bus) = waiting.pop() {
        for device in 0..DEVICES {
            visit_device(config, bus, device, |function| {
                found.push(function.at);
                let behind = secondary_bus(&function).filter(|bus| buses.contains(bus));
                waiting.extend(behind.filter(|&bus| seen.insert(bus)));
            });
        }
    }
    found.sort_unstable();
    found
}

/// The functions of one device; the first tells whether there are more.
fn visit_device<'a, C: Config>(
    config: &'a C,
    bus: u8,
    device: u8,
    mut visit: impl FnMut(Function<'a, C>),
) {
    let at = |function| Location {
        bus,
        device,
        function,
    };
    let first = Function { config, at: at(0) };
    if first.id().is_none() {
        return;
    }
    let more = first.header() & register::MULTI_FUNCTION != 0;
    visit(first);
    for function in 1..if more { FUNCTIONS } else { 1 } {
        let function = Function {
            config,
            at: at(function),
        };
        if function.id().is_some() {
            visit(function);
        }
    }
}

/// The bus behind a bridge.
fn secondary_bus<C: Config>(function: &Function<'_, C>) -> Option<u8> {
    let kind = function.header() & !register::MULTI_FUNCTION;
    (kind == register::HEADER_BRIDGE).then(|| (function.read32(register::BUSES) >> 8) as u8)
}

#[cfg(test)]
mod tests;
