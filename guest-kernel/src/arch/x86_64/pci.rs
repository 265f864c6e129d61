//! PCI configuration space by ports (PCI 3.0, 3.2.2.3.2), for machines that do not have it in memory. One
//! port selects, the other transfers, for all functions: that is why it takes a kernel.

use super::instructions::{in32, out32};
use crate::sync::IrqSpinLock;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Bus, device, function, and a register of 32 bits.
const REGISTER: u32 = 0x00ff_fffc;

/// Guards the selection.
static SELECTION: IrqSpinLock<()> = IrqSpinLock::new(());

/// What to do with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Write this.
    Write(u32),
}

/// Accesses a register (bus << 16 | device << 11 | function << 8 | offset); what was read, or 0. `None`:
/// the machine has no such ports.
pub fn access(register: u32, access: Access) -> Option<u32> {
    let selected = ENABLE | register & REGISTER;
    let _selection = SELECTION.lock();
    // SAFETY: the ports are PCI's, or nobody's; writing to a function is what the caller has the right to.
    unsafe {
        out32(ADDRESS, selected);
        if in32(ADDRESS) != selected {
            return None;
        }
        match access {
            Access::Read => Some(in32(DATA)),
            Access::Write(value) => {
                out32(DATA, value);
                Some(0)
            }
        }
    }
}
