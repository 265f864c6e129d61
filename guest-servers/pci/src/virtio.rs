//! Virtio functions: which they are, where their structures lie (virtio 1.2, sections 4.1.2 and 4.1.4),
//! and how they are made ready for a driver that sees their memory only.

use crate::bar::{Assigner, Bar, Window};
use crate::capability::{Capability, capabilities, id};
use crate::config::{Config, Function, Location, register};
use crate::scan;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use ferrix_proto::device::{PciDevice, Region};
use thiserror::Error;

/// Vendor of all virtio functions.
const VENDOR: u16 = 0x1af4;
/// Device ids of transitional functions (their type is in the subsystem id), and of modern ones, which
/// are this much above their type.
const TRANSITIONAL: RangeInclusive<u16> = 0x1000..=0x103f;
const MODERN: RangeInclusive<u16> = 0x1040..=0x107f;

/// Kinds of structures.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const ISR: u8 = 3;
const DEVICE: u8 = 4;
/// Bytes of a structure's capability, and of the notification's, which has the multiplier.
const CAPABILITY_BYTES: u8 = 16;
const NOTIFY_CAPABILITY_BYTES: u8 = 20;
/// Fewest bytes of the structures.
const COMMON_BYTES: u64 = 0x38;
const NOTIFY_BYTES: u64 = 2;

/// MSI-X: bits of message control (the upper half of the capability's first word), bytes of an entry.
const MSIX_CAPABILITY_BYTES: usize = 12;
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;
const MSIX_ENTRY_BYTES: u64 = 16;

/// Why a virtio function cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// It has only the interface from before the standard.
    #[error(
        "it lacks the {structure} structure of the modern interface: configure it without disable-modern"
    )]
    Missing {
        /// Which of the specification's structures.
        structure: &'static str,
    },
    /// It has no MSI-X, or the table is not in its memory.
    #[error("it has no MSI-X table: configure it with at least one vector")]
    NoMsix,
    /// Nobody gave it addresses, and there are none to give.
    #[error(
        "firmware assigned it no usable address for {bytes:#x} bytes, and there is no room to assign one: \
         attach it to the first bus, or boot with firmware that sets PCI up"
    )]
    Unassigned {
        /// Bytes wanted.
        bytes: u64,
    },
}

/// What there is on a segment.
#[derive(Debug, Default)]
pub struct Found {
    /// Devices that are ready for their drivers, in the order of bus, device and function.
    pub devices: Vec<PciDevice>,
    /// Devices that are not.
    pub problems: Vec<(Location, Problem)>,
}

/// Finds the virtio functions on these buses and makes them ready: they answer to memory addresses and
/// may access memory, raise no INTx, and have MSI-X on (with every vector masked, as after a reset).
///
/// Functions without addresses below `reach` get some in `window`, where device memory may lie.
pub fn find_virtio(
    config: &impl Config,
    buses: RangeInclusive<u8>,
    window: Window,
    reach: u64,
) -> Found {
    let root = *buses.start();
    let functions = scan::functions(config, buses);
    let assigner = Assigner {
        config,
        functions: &functions,
        window,
        reach,
        root,
    };
    let mut found = Found::default();
    for &at in &functions {
        let function = Function { config, at };
        let Some(kind) = device_type(&function) else {
            continue;
        };
        match describe(&function, kind, &assigner) {
            Ok(device) => found.devices.push(device),
            Err(problem) => found.problems.push((at, problem)),
        }
    }
    found
}

/// The type of a virtio device.
fn device_type<C: Config>(function: &Function<'_, C>) -> Option<u32> {
    let is_function = function.header() & !register::MULTI_FUNCTION == register::HEADER_FUNCTION;
    let (vendor, device) = function.id().filter(|_| is_function)?;
    match device {
        _ if vendor != VENDOR => None,
        device if MODERN.contains(&device) => Some(u32::from(device - MODERN.start())),
        device if TRANSITIONAL.contains(&device) => {
            Some(function.read16(register::SUBSYSTEM + 2).into())
        }
        _ => None,
    }
}

fn describe<C: Config>(
    function: &Function<'_, C>,
    kind: u32,
    assigner: &Assigner<'_, C>,
) -> Result<PciDevice, Problem> {
    let bars = assigner.bars(function)?;
    let missing = |structure| Problem::Missing { structure };
    let structure = |kind, bytes| find_structure(function, &bars, kind, bytes);
    let (common, _) = structure(COMMON, COMMON_BYTES).ok_or(missing("common configuration"))?;
    let (notify, multiplier) = structure(NOTIFY, NOTIFY_BYTES).ok_or(missing("notification"))?;
    let (isr, _) = structure(ISR, 1).ok_or(missing("interrupt status"))?;
    let config = structure(DEVICE, 1).map_or(Region::NONE, |(config, _)| config);
    let (msix, table) = find_msix(function, &bars).ok_or(Problem::NoMsix)?;
    function.set_command(register::MEMORY_SPACE | register::BUS_MASTER | register::NO_INTX);
    let control = function.read32(msix) & !MSIX_MASK_ALL;
    function.write32(msix, control | MSIX_ENABLE);
    Ok(PciDevice {
        location: function.at.into(),
        kind,
        common,
        notify,
        notify_multiplier: multiplier,
        isr,
        config,
        msix_table: table,
    })
}

/// The first usable structure of a kind, and the word behind it (the notification's multiplier).
fn find_structure<C: Config>(
    function: &Function<'_, C>,
    bars: &[Bar],
    kind: u8,
    bytes: u64,
) -> Option<(Region, u32)> {
    let needed = match kind {
        NOTIFY => NOTIFY_CAPABILITY_BYTES,
        _ => CAPABILITY_BYTES,
    };
    let fits = |found: &Capability| {
        let length = function.read8(found.offset + 2);
        found.id == id::VENDOR
            && found.holds(needed.into())
            && length >= needed
            && function.read8(found.offset + 3) == kind
    };
    capabilities(function).filter(fits).find_map(|found| {
        let word = |index: u8| function.read32(found.offset + 4 * index);
        let length = u64::from(word(3)).max(bytes);
        let region = inside(bars, word(1) as u8, word(2), length)?;
        if !region.base.is_multiple_of(alignment(kind)) {
            return None;
        }
        let multiplier = if kind == NOTIFY { word(4) } else { 0 };
        Some((region, multiplier))
    })
}

/// What a structure is aligned to.
fn alignment(kind: u8) -> u64 {
    match kind {
        COMMON | DEVICE => 4,
        NOTIFY => 2,
        _ => 1,
    }
}

/// The MSI-X capability's offset, and its table's address.
fn find_msix<C: Config>(function: &Function<'_, C>, bars: &[Bar]) -> Option<(u8, u64)> {
    let found = capabilities(function)
        .find(|found| found.id == id::MSIX && found.holds(MSIX_CAPABILITY_BYTES))?;
    let entries = u64::from(function.read16(found.offset + 2) & 0x7ff) + 1;
    let table = function.read32(found.offset + 4);
    let region = inside(
        bars,
        table as u8 & 7,
        table & !7,
        entries * MSIX_ENTRY_BYTES,
    )?;
    Some((found.offset, region.base))
}

/// A part of what a base address register covers.
fn inside(bars: &[Bar], index: u8, offset: u32, bytes: u64) -> Option<Region> {
    let bar = bars.iter().find(|bar| bar.index == index)?;
    let end = u64::from(offset) + bytes;
    (end <= bar.bytes).then_some(Region {
        base: bar.base + u64::from(offset),
        bytes,
    })
}

#[cfg(test)]
mod tests;
