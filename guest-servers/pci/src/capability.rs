//! The list of capabilities (PCI 3.0, section 6.7).

use crate::config::{Config, Function, register};

/// Capability ids.
pub(crate) mod id {
    /// Structures of the vendor's own.
    pub const VENDOR: u8 = 0x09;
    /// MSI-X.
    pub const MSIX: u8 = 0x11;
}

/// Where capabilities may begin: behind the header.
const FIRST: u8 = 0x40;
/// Most that fit, of 4 bytes each: a longer list goes in circles.
const MOST: usize = (0x100 - FIRST as usize) / 4;

/// A capability: its id, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub id: u8,
    pub offset: u8,
}

impl Capability {
    /// Whether `bytes` from its beginning on are still configuration space.
    pub fn holds(&self, bytes: usize) -> bool {
        usize::from(self.offset) + bytes <= 0x100
    }
}

/// The capabilities of a function, as far as the list makes sense.
pub(crate) fn capabilities<C: Config>(
    function: &Function<'_, C>,
) -> impl Iterator<Item = Capability> {
    let listed = function.read32(register::COMMAND) & register::HAS_CAPABILITIES != 0;
    let mut next = if listed {
        function.read8(register::CAPABILITIES)
    } else {
        0
    };
    core::iter::from_fn(move || {
        let offset = next & !3;
        if offset < FIRST {
            return None;
        }
        let head = function.read32(offset);
        next = (head >> 8) as u8;
        let id = head as u8;
        (id != 0xff).then_some(Capability { id, offset })
    })
    .take(MOST)
}
