//! Short ways for what programs do most: touching one more page, mapping a little more anonymous memory and
//! giving it back.
//!
//! Each first checks that the case is that one: no search is needed, because it continues what was done last.
//! If it is not, nothing has changed, and the general function takes over, which could do the same. Every
//! instruction here counts in `cargo xtask bench`.

use core::ops::Range;

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};

use super::fault::Access;
use super::{AddressSpace, Inner};
use crate::mm::entry::Kind;
use crate::mm::frame::{self, page};
use crate::mm::gather::Gather;
use crate::mm::map::{Zone, check_range};
use crate::mm::phys::{Frame, PhysAddr};
use crate::mm::pmap::{After, Pte, Slot};
use crate::mm::tlb::{self, Flush};

/// Most bytes for the short ways: they run with interrupts off.
const LITTLE: u64 = 16 * PAGE_SIZE;

impl AddressSpace {
    /// As [`fault`](Self::fault) for the most frequent of faults: the first touch of a page of private anonymous
    /// memory, or the first write after `fork`, in the mapping and under the table that were used last. Nothing has
    /// changed if it is another.
    #[inline(always)]
    pub fn touch_again(&self, address: u64, access: Access) -> Option<()> {
        self.lock().touch_again(self.root, address, access)
    }

    /// Maps fresh private memory behind memory of the same kind that was mapped before; returns its address.
    #[inline(always)]
    pub fn map_more(&self, length: u64, prot: Prot, flags: MapFlags) -> Option<u64> {
        let plain = flags - MapFlags::SYSTEM == MapFlags::PRIVATE;
        if !plain || length == 0 || length > LITTLE {
            return None;
        }
        let zone = if flags.contains(MapFlags::SYSTEM) {
            Zone::System
        } else {
            Zone::Program
        };
        let length = length.next_multiple_of(PAGE_SIZE);
        let mut inner = self.lock();
        if inner.limits.is_sized() {
            return None;
        }
        inner.map.extend(zone, length, prot)
    }

    /// Unmaps a little memory at the end of a mapping.
    #[inline(always)]
    pub fn unmap_end(&self, address: u64, length: u64) -> Option<()> {
        if length > LITTLE {
            return None;
        }
        let range = check_range(address, length.next_multiple_of(PAGE_SIZE)).ok()?;
        let mut inner = self.lock();
        if inner.pmap.may_share() && !inner.pmap.is_recent(&range) {
            return None;
        }
        inner.map.cut_end(&range)?;
        if inner.pmap.may_hold(&range) {
            inner.clear(range, self.root);
        }
        Some(())
    }
}

impl Inner {
    #[inline(always)]
    fn touch_again(&mut self, root: PhysAddr, address: u64, access: Access) -> Option<()> {
        let entry = self.map.hinted(address)?;
        let (slot, old) = self.pmap.recent_slot(address)?;
        if !access.is_allowed(entry.prot) {
            return None;
        }
        if !old.is_empty() {
            let copied = old.has(Pte::OWNED) && entry.kind == Kind::Private;
            if !copied || access != Access::Write {
                return None;
            }
            let writable = old.protected(entry.prot);
            if page(old.frame()).refs() == 1 {
                self.pmap.replace(slot, writable);
                return Some(());
            }
            return self.copy(root, address, slot, writable);
        }
        if entry.object.is_some() || !self.limits.is_resident_allowed(self.pmap.resident()) {
            return None;
        }
        let pte = Pte::new(Frame(0), entry.prot).with(Pte::OWNED);
        let fresh = frame::alloc_zeroed()?;
        let (next, end) = ((address & !(PAGE_SIZE - 1)) + PAGE_SIZE, entry.end);
        let after = self.pmap.enter(slot, pte.with(fresh.address().0));
        if after == After::Used && next < end {
            self.fill_ahead(next - PAGE_SIZE, end, pte);
        }
        Some(())
    }

    /// Replaces an anonymous page with several owners by a copy. `pte` shows the page as the copy is to be shown.
    #[inline(never)]
    fn copy(&mut self, root: PhysAddr, address: u64, slot: Slot, pte: Pte) -> Option<()> {
        let (original, copy) = (pte.frame(), frame::alloc(0)?);
        copy.copy_from(original);
        self.pmap.replace(slot, pte.showing(copy));
        tlb::flush(root, Flush::Pages(address & !(PAGE_SIZE - 1), 1));
        frame::release(original);
        Some(())
    }

    /// Unmaps pages whose mapping is gone.
    #[inline(never)]
    fn clear(&mut self, range: Range<u64>, root: PhysAddr) {
        self.pmap.walk(range, &mut Gather::new(root));
    }
}
