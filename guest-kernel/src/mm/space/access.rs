//! The kernel's look into an address space that need not be the current one.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};

use super::{Access, AddressSpace, Inner};
use crate::mm::entry::Kind;
use crate::mm::phys::{Frame, PhysAddr};

/// Who else sees a user address: what a futex is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Only this address space.
    Private,
    /// Whoever maps the object with this id, at this offset in bytes.
    Shared(u64, u64),
}

impl AddressSpace {
    /// Writes bytes at a user address, as the program itself could.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        self.each_page(
            address,
            bytes.len() as u64,
            Access::Write,
            |frame, offset, count| {
                let (now, later) = rest.split_at(count);
                frame.write(offset, now);
                rest = later;
            },
        )
    }

    /// Reads bytes from a user address, as the program itself could.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let mut done = 0;
        self.each_page(
            address,
            bytes.len() as u64,
            Access::Read,
            |frame, offset, count| {
                frame.read(offset, &mut bytes[done..done + count]);
                done += count;
            },
        )
    }

    /// Shows `f` the (frame, offset, count) pieces of a range, made accessible.
    fn each_page(
        &self,
        address: u64,
        length: u64,
        access: Access,
        mut f: impl FnMut(Frame, usize, usize),
    ) -> Result<()> {
        let end = address
            .checked_add(length)
            .filter(|&end| end <= USER_TOP)
            .ok_or(Error::Fault)?;
        let mut inner = self.lock();
        let mut at = address;
        while at < end {
            let next = end.min((at / PAGE_SIZE + 1) * PAGE_SIZE);
            let frame = inner.accessible(self.root, at, access)?;
            f(frame, (at % PAGE_SIZE) as usize, (next - at) as usize);
            at = next;
        }
        Ok(())
    }

    /// Who else sees the memory at `address`.
    pub fn sharing(&self, address: u64) -> Result<Sharing> {
        let inner = self.lock();
        let index = inner.map.find(address).ok_or(Error::Fault)?;
        let entry = &inner.map.entries()[index];
        Ok(match (&entry.object, entry.kind) {
            (Some(object), Kind::Shared | Kind::Lent) => {
                Sharing::Shared(object.id(), entry.offset + (address - entry.start))
            }
            _ => Sharing::Private,
        })
    }
}

impl Inner {
    /// The frame behind an address after making it accessible.
    fn accessible(&mut self, root: PhysAddr, address: u64, access: Access) -> Result<Frame> {
        use crate::mm::pmap::Pte;
        let needed = match access {
            Access::Write => Pte::PRESENT | Pte::WRITE,
            Access::Read | Access::Execute => Pte::PRESENT,
        };
        let mut pte = self.pmap.get(address);
        if !pte.has(needed) {
            self.fault_owning(root, address, access)?;
            pte = self.pmap.get(address);
        }
        Ok(pte.frame())
    }
}
