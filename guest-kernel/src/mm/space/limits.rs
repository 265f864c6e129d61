//! What a process may use, and how often it wanted more.
//!
//! Most processes have no limits of size, so one flag tells whether the sums over mappings are needed at all.

use core::ops::Range;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::layout::{PAGE_SIZE, SYSTEM_BASE};
use ferrix_abi::limit::{DEFAULTS, INFINITY, Resource};
use ferrix_abi::process::{MEMORY_LIMITS, MemoryInfo, MemoryLimit};
use ferrix_abi::vm::{MapFlags, Prot};

use super::{AddressSpace, FaultError, Inner};
use crate::mm::entry::{Kind, VmEntry};

/// What an address space has a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Bytes mapped in the program's part.
    Mapped = 0,
    /// Pages present.
    Resident = 1,
    /// Pages in locked mappings.
    Locked = 2,
    /// Bytes of private writable mappings in the program's part, without stacks.
    Data = 3,
    /// Bytes to which a stack grows.
    Stack = 4,
}

/// How many there are.
pub const BOUNDS: usize = 5;

/// The first are those of the system call `MemoryLimit`.
const _: () = assert!(
    MemoryLimit::Mapped as usize == Bound::Mapped as usize
        && MemoryLimit::Resident as usize == Bound::Resident as usize
        && MemoryLimit::Locked as usize == Bound::Locked as usize
);

impl From<MemoryLimit> for Bound {
    fn from(limit: MemoryLimit) -> Bound {
        match limit {
            MemoryLimit::Mapped => Bound::Mapped,
            MemoryLimit::Resident => Bound::Resident,
            MemoryLimit::Locked => Bound::Locked,
        }
    }
}

/// An address space's limits, indexed by [`Bound`].
#[derive(Clone, Debug)]
pub struct Limits {
    most: [u64; BOUNDS],
    violations: [u64; BOUNDS],
    /// Whether `Mapped` or `Data` has a limit.
    sized: bool,
}

impl Limits {
    /// Those of a process that nobody has limited.
    pub const fn none() -> Limits {
        let mut most = [INFINITY; BOUNDS];
        most[Bound::Stack as usize] = DEFAULTS[Resource::Stack as usize].soft;
        Limits {
            most,
            violations: [0; BOUNDS],
            sized: false,
        }
    }

    /// A child's: the same, with nothing counted yet.
    pub fn inherited(&self) -> Limits {
        Limits {
            violations: [0; BOUNDS],
            ..*self
        }
    }

    /// Whether the sums over mappings are limited.
    #[inline]
    pub(super) fn is_sized(&self) -> bool {
        self.sized
    }

    fn set(&mut self, which: Bound, most: u64) {
        self.most[which as usize] = most;
        self.sized = [Bound::Mapped, Bound::Data]
            .iter()
            .any(|&which| self.most[which as usize] != INFINITY);
    }

    /// Whether so much may be used; counts a violation if not.
    pub fn check(&mut self, which: Bound, wanted: u64) -> Result<()> {
        if wanted > self.most[which as usize] {
            self.violations[which as usize] += 1;
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Whether there may be one page more than are present.
    #[inline]
    pub fn is_resident_allowed(&self, present: u64) -> bool {
        present < self.most[Bound::Resident as usize]
    }

    /// The same; counts a violation if not.
    #[inline]
    pub fn check_resident(&mut self, present: u64) -> core::result::Result<(), FaultError> {
        if !self.is_resident_allowed(present) {
            self.violations[Bound::Resident as usize] += 1;
            return Err(FaultError::Limit);
        }
        Ok(())
    }
}

/// What part of some mappings counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    mapped: u64,
    data: u64,
}

impl Sizes {
    /// So many bytes like those of an entry; nothing counts in the system part.
    pub(super) fn like(entry: &VmEntry, bytes: u64) -> Sizes {
        if entry.start >= SYSTEM_BASE {
            return Sizes::default();
        }
        Sizes {
            mapped: bytes,
            data: if is_data(entry, entry.prot) { bytes } else { 0 },
        }
    }
}

/// Whether an entry with this access counts as data.
fn is_data(entry: &VmEntry, prot: Prot) -> bool {
    entry.kind != Kind::Shared
        && prot.contains(Prot::WRITE)
        && !entry.flags.contains(MapFlags::GROWS_DOWN)
}

impl Inner {
    fn sizes(&self, range: &Range<u64>) -> Sizes {
        let from = self.map.lower_bound(range.start);
        let entries = self.map.entries()[from..].iter();
        let mut sizes = Sizes::default();
        for entry in entries.take_while(|entry| entry.start < range.end) {
            let bytes = entry.end.min(range.end) - entry.start.max(range.start);
            sizes.mapped += bytes;
            sizes.data += if is_data(entry, entry.prot) { bytes } else { 0 };
        }
        sizes
    }

    /// Whether an entry may be mapped; `fixed`: at its address, replacing what is there.
    #[inline]
    pub(super) fn check_new(&mut self, entry: &VmEntry, flags: MapFlags) -> Result<()> {
        if self.limits.sized {
            self.check_sizes(entry, flags)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn check_sizes(&mut self, entry: &VmEntry, flags: MapFlags) -> Result<()> {
        let placed = flags.intersects(MapFlags::FIXED | MapFlags::NO_REPLACE);
        if flags.contains(MapFlags::SYSTEM) || placed && entry.start >= SYSTEM_BASE {
            return Ok(());
        }
        let gone = if flags.contains(MapFlags::FIXED) {
            self.sizes(&(entry.start..entry.end))
        } else {
            Sizes::default()
        };
        let length = entry.length();
        let (mapped, data) = if is_data(entry, entry.prot) {
            (length, length)
        } else {
            (length, 0)
        };
        self.check_growth(Sizes { mapped, data }, gone)
    }

    /// Whether so much more may be mapped.
    pub(super) fn check_more(&mut self, more: Sizes) -> Result<()> {
        if self.limits.sized {
            self.check_growth(more, Sizes::default())
        } else {
            Ok(())
        }
    }

    fn check_growth(&mut self, more: Sizes, gone: Sizes) -> Result<()> {
        let now = self.sizes(&(0..SYSTEM_BASE));
        if more.data > gone.data {
            self.limits
                .check(Bound::Data, now.data - gone.data + more.data)?;
        }
        if more.mapped > gone.mapped {
            let wanted = now.mapped - gone.mapped + more.mapped;
            self.limits.check(Bound::Mapped, wanted)?;
        }
        Ok(())
    }

    /// Whether a range may get this access: private memory that becomes writable is data.
    pub(super) fn check_access(&mut self, range: &Range<u64>, prot: Prot) -> Result<()> {
        if !self.limits.sized || !prot.contains(Prot::WRITE) || range.start >= SYSTEM_BASE {
            return Ok(());
        }
        let from = self.map.lower_bound(range.start);
        let entries = self.map.entries()[from..].iter();
        let more = entries
            .take_while(|entry| entry.start < range.end)
            .filter(|entry| is_data(entry, prot) && !is_data(entry, entry.prot))
            .map(|entry| entry.end.min(range.end) - entry.start.max(range.start))
            .sum();
        let more = Sizes {
            mapped: 0,
            data: more,
        };
        self.check_growth(more, Sizes::default())
    }

    /// Pages in locked mappings.
    pub(super) fn locked_pages(&self) -> u64 {
        let locked = |entry: &&VmEntry| entry.flags.contains(MapFlags::LOCKED);
        let entries = self.map.entries().iter().filter(locked);
        entries.map(|entry| entry.length() / PAGE_SIZE).sum()
    }

    /// Bytes of the stacks that grow, the largest.
    fn largest_stack(&self) -> u64 {
        let grows = |entry: &&VmEntry| entry.flags.contains(MapFlags::GROWS_DOWN);
        let stacks = self.map.entries().iter().filter(grows);
        stacks.map(VmEntry::length).max().unwrap_or(0)
    }
}

impl AddressSpace {
    /// Sets a limit, which children inherit. What is used already stays.
    pub fn set_limit(&self, which: Bound, most: u64) {
        self.lock().limits.set(which, most);
    }

    /// What is used, and how often more was refused, by [`Bound`].
    pub fn bounds(&self) -> ([u64; BOUNDS], [u64; BOUNDS]) {
        let inner = self.lock();
        let sizes = inner.sizes(&(0..SYSTEM_BASE));
        let used = [
            sizes.mapped,
            inner.pmap.resident(),
            inner.locked_pages(),
            sizes.data,
            inner.largest_stack(),
        ];
        (used, inner.limits.violations)
    }

    /// From now on the most that is used is counted anew.
    pub fn forget_most(&self) {
        let mut inner = self.lock();
        inner.map.forget_most();
        inner.pmap.forget_most();
    }

    /// What is used, may be used, and was refused.
    pub fn memory_info(&self) -> MemoryInfo {
        let inner = self.lock();
        let first = |all: &[u64; BOUNDS]| {
            let mut some = [0; MEMORY_LIMITS];
            some.copy_from_slice(&all[..MEMORY_LIMITS]);
            some
        };
        MemoryInfo {
            used: [
                inner.map.mapped(),
                inner.pmap.resident(),
                inner.locked_pages(),
            ],
            most: [inner.map.most_mapped(), inner.pmap.most_resident()],
            limits: first(&inner.limits.most),
            violations: first(&inner.limits.violations),
        }
    }
}
