//! What a process may use, and how often it wanted more.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{MEMORY_LIMITS, MemoryInfo, MemoryLimit};
use ferrix_abi::vm::MapFlags;

use super::{AddressSpace, FaultError, Inner};
use crate::mm::entry::VmEntry;

/// An address space's limits, indexed by [`MemoryLimit`].
#[derive(Clone, Debug)]
pub struct Limits {
    most: [u64; MEMORY_LIMITS],
    violations: [u64; MEMORY_LIMITS],
}

impl Limits {
    /// No limits.
    pub const fn none() -> Limits {
        Limits {
            most: [u64::MAX; MEMORY_LIMITS],
            violations: [0; MEMORY_LIMITS],
        }
    }

    /// A child's: the same, with nothing counted yet.
    pub fn inherited(&self) -> Limits {
        Limits {
            most: self.most,
            violations: [0; MEMORY_LIMITS],
        }
    }

    /// Whether so much may be used; counts a violation if not.
    pub fn check(&mut self, which: MemoryLimit, wanted: u64) -> Result<()> {
        if wanted > self.most[which as usize] {
            self.violations[which as usize] += 1;
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Whether there may be one page more than are present.
    #[inline]
    pub fn is_resident_allowed(&self, present: u64) -> bool {
        present < self.most[MemoryLimit::Resident as usize]
    }

    /// The same; counts a violation if not.
    #[inline]
    pub fn check_resident(&mut self, present: u64) -> core::result::Result<(), FaultError> {
        if !self.is_resident_allowed(present) {
            self.violations[MemoryLimit::Resident as usize] += 1;
            return Err(FaultError::Limit);
        }
        Ok(())
    }
}

impl Inner {
    /// Whether `more` bytes may be mapped.
    pub(super) fn check_more(&mut self, more: u64) -> Result<()> {
        let wanted = self.map.mapped().saturating_add(more);
        self.limits.check(MemoryLimit::Mapped, wanted)
    }

    /// Pages in locked mappings.
    pub(super) fn locked_pages(&self) -> u64 {
        let locked = |entry: &&VmEntry| entry.flags.contains(MapFlags::LOCKED);
        let entries = self.map.entries().iter().filter(locked);
        entries.map(|entry| entry.length() / PAGE_SIZE).sum()
    }
}

impl AddressSpace {
    /// Sets a limit, which children inherit. What is used already stays.
    pub fn set_limit(&self, which: MemoryLimit, most: u64) {
        self.lock().limits.most[which as usize] = most;
    }

    /// What is used, may be used, and was refused.
    pub fn memory_info(&self) -> MemoryInfo {
        let inner = self.lock();
        MemoryInfo {
            used: [
                inner.map.mapped(),
                inner.pmap.resident(),
                inner.locked_pages(),
            ],
            limits: inner.limits.most,
            violations: inner.limits.violations,
        }
    }
}
