//! Software breakpoints: which bytes of guest RAM are `INT3` for the debugger's sake.

use std::collections::BTreeMap;

use vm_memory::{Bytes, GuestAddress};

use crate::memory::Ram;
use crate::sync::Mutex;

/// The instruction of one byte.
pub const INT3: u8 = 0xcc;

#[derive(Clone, Copy, Debug)]
struct Place {
    physical: u64,
    original: u8,
}

/// Breakpoints by virtual address.
#[derive(Debug, Default)]
pub struct Breakpoints(Mutex<BTreeMap<u64, Place>>);

impl Breakpoints {
    /// Plants a breakpoint. False if it is not RAM.
    pub fn insert(&self, ram: &Ram, address: u64, physical: u64) -> bool {
        let mut places = self.0.lock();
        if places.contains_key(&address) {
            return true;
        }
        let Ok(original) = ram.read_obj(GuestAddress(physical)) else {
            return false;
        };
        // Two virtual addresses may name one byte.
        let shared = places
            .values()
            .find(|p| p.physical == physical)
            .map(|p| p.original);
        let place = Place {
            physical,
            original: shared.unwrap_or(original),
        };
        places.insert(address, place);
        ram.write_obj(INT3, GuestAddress(physical)).is_ok()
    }

    /// Takes a breakpoint away. False if there was none.
    pub fn remove(&self, ram: &Ram, address: u64) -> bool {
        let mut places = self.0.lock();
        let Some(place) = places.remove(&address) else {
            return false;
        };
        if !places.values().any(|p| p.physical == place.physical) {
            return ram
                .write_obj(place.original, GuestAddress(place.physical))
                .is_ok();
        }
        true
    }

    /// Takes all breakpoints away.
    pub fn clear(&self, ram: &Ram) {
        for place in std::mem::take(&mut *self.0.lock()).values() {
            if let Err(error) = ram.write_obj(place.original, GuestAddress(place.physical)) {
                log::warn!("cannot remove a breakpoint: {error}");
            }
        }
    }

    /// Whether this physical byte is a breakpoint.
    pub fn holds(&self, physical: u64) -> bool {
        self.0
            .lock()
            .values()
            .any(|place| place.physical == physical)
    }

    /// Shows the program's own bytes in what was read from `physical` on.
    pub fn hide(&self, physical: u64, bytes: &mut [u8]) {
        for place in self.0.lock().values() {
            let offset = place
                .physical
                .checked_sub(physical)
                .and_then(|o| usize::try_from(o).ok());
            if let Some(byte) = offset.and_then(|offset| bytes.get_mut(offset)) {
                *byte = place.original;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemorySize;
    use crate::memory;

    #[test]
    fn bytes_come_back() {
        let ram = memory::allocate(MemorySize::mib(1)).unwrap();
        let byte = || ram.read_obj::<u8>(GuestAddress(0x100)).unwrap();
        ram.write_obj(0x90u8, GuestAddress(0x100)).unwrap();
        let breakpoints = Breakpoints::default();
        assert!(breakpoints.insert(&ram, 0xffff_0100, 0x100));
        assert!(breakpoints.insert(&ram, 0x100, 0x100), "by another name");
        assert_eq!(byte(), INT3);
        let mut shown = [0, INT3, 0];
        breakpoints.hide(0xff, &mut shown);
        assert_eq!(shown, [0, 0x90, 0]);
        assert!(breakpoints.remove(&ram, 0x100));
        assert_eq!(byte(), INT3, "still wanted");
        assert!(breakpoints.remove(&ram, 0xffff_0100) && !breakpoints.remove(&ram, 0x100));
        assert_eq!(byte(), 0x90);
        assert!(!breakpoints.insert(&ram, 0, 8 << 20), "not RAM");
        assert!(breakpoints.insert(&ram, 0x100, 0x100));
        breakpoints.clear(&ram);
        assert_eq!(byte(), 0x90);
    }
}
