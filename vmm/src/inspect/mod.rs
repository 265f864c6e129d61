//! Looking into a stopped guest: address translation, symbols, backtraces, the crash report.
//! Shared by the debugger and by what is printed when a guest dies.

mod backtrace;
mod commands;
pub mod core_dump;
mod ferrix;
mod guest;
mod interrupts;
pub mod paging;
mod report;
pub mod symbols;

use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

pub use guest::Guest;
pub use report::crash_report;

use crate::boot::Segment;
use crate::memory::Ram;

const PAGE: u64 = 4096;

/// The memory of a stopped guest as one of its vCPUs sees it.
pub struct View<'a> {
    /// Guest RAM.
    pub ram: &'a Ram,
    /// Where the kernel's segments are before the kernel maps them.
    pub segments: &'a [Segment],
    mode: paging::Mode,
}

impl<'a> View<'a> {
    /// The view through the page tables that this vCPU uses now.
    pub fn of(vcpu: &VcpuFd, ram: &'a Ram, segments: &'a [Segment]) -> Self {
        let mode = vcpu
            .get_sregs()
            .map_or(paging::Mode::Physical, |sregs| paging::Mode::of(&sregs));
        Self {
            ram,
            segments,
            mode,
        }
    }

    /// Memory by physical addresses.
    pub fn physical(ram: &'a Ram) -> Self {
        Self {
            ram,
            segments: &[],
            mode: paging::Mode::Identity,
        }
    }

    /// Physical address behind a virtual one. What is not mapped (yet) is looked up in the kernel's
    /// program headers, so that a breakpoint can be set before the kernel enables paging.
    pub fn translate(&self, address: u64) -> Option<u64> {
        self.mode.translate(self.ram, address).or_else(|| {
            let holds = |s: &&Segment| {
                address
                    .checked_sub(s.virtual_address)
                    .is_some_and(|o| o < s.memory_size)
            };
            let segment = self.segments.iter().find(holds)?;
            Some(address - segment.virtual_address + segment.physical)
        })
    }

    /// Reads as much as is mapped; returns how many bytes.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> usize {
        self.pages(address, bytes.len(), |physical, range| {
            self.ram
                .read_slice(&mut bytes[range], GuestAddress(physical))
                .is_ok()
        })
    }

    /// Writes as much as is mapped; returns how many bytes.
    pub fn write(&self, address: u64, bytes: &[u8]) -> usize {
        self.pages(address, bytes.len(), |physical, range| {
            self.ram
                .write_slice(&bytes[range], GuestAddress(physical))
                .is_ok()
        })
    }

    /// Reads one 64-bit word.
    pub fn read_u64(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.read(address, &mut bytes) == 8).then(|| u64::from_le_bytes(bytes))
    }

    /// Cuts a range at page borders and visits each piece, as its physical address and its place
    /// in the range, until one fails. Returns how many bytes were visited.
    pub fn pages(
        &self,
        address: u64,
        length: usize,
        mut visit: impl FnMut(u64, std::ops::Range<usize>) -> bool,
    ) -> usize {
        let mut done = 0;
        while done < length {
            let at = address.wrapping_add(done as u64);
            let piece = ((PAGE - at % PAGE) as usize).min(length - done);
            match self.translate(at) {
                Some(physical) if visit(physical, done..done + piece) => done += piece,
                _ => break,
            }
        }
        done
    }
}

#[cfg(test)]
mod tests;
