//! Page tables of the guest, walked without its help (Intel SDM volume 3, chapter 4).

use kvm_bindings::kvm_sregs;
use vm_memory::{Bytes, GuestAddress};

use crate::memory::Ram;

const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_LA57: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;

const PRESENT: u64 = 1 << 0;
/// In an entry above the last level: it maps a large page.
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const INDEX_BITS: u32 = 9;
const PAGE_BITS: u32 = 12;
/// A large page is mapped at level 2 (2 MiB) or 3 (1 GiB).
const HIGHEST_LARGE: u32 = 3;

/// How a vCPU translates addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Addresses are physical ones.
    Identity,
    /// Paging is off.
    Physical,
    /// Long mode with this many levels from this root.
    Long {
        /// 4 or 5.
        levels: u32,
        /// Physical address of the top table.
        root: u64,
    },
    /// 32-bit PAE paging.
    Pae {
        /// Physical address of the page-directory-pointer table.
        root: u64,
    },
    /// 32-bit paging without PAE: not supported, nothing is mapped.
    Legacy,
}

impl Mode {
    /// The mode that these registers select.
    pub fn of(sregs: &kvm_sregs) -> Self {
        let levels = if sregs.cr4 & CR4_LA57 != 0 { 5 } else { 4 };
        match (
            sregs.cr0 & CR0_PG != 0,
            sregs.efer & EFER_LMA != 0,
            sregs.cr4 & CR4_PAE != 0,
        ) {
            (false, ..) => Self::Physical,
            (true, true, _) => Self::Long {
                levels,
                root: sregs.cr3 & ADDRESS,
            },
            (true, false, true) => Self::Pae {
                root: sregs.cr3 & 0xffff_ffe0,
            },
            (true, false, false) => Self::Legacy,
        }
    }

    /// Physical address behind a virtual one; `None` if it is not mapped.
    pub fn translate(self, ram: &Ram, address: u64) -> Option<u64> {
        match self {
            Self::Identity => Some(address),
            Self::Physical => (address <= u32::MAX.into()).then_some(address),
            Self::Long { levels, root } if is_canonical(address, levels) => {
                walk(ram, root, levels, address)
            }
            Self::Pae { root } if address <= u32::MAX.into() => {
                let entry = entry(ram, root + 8 * (address >> 30))?;
                walk(ram, entry & ADDRESS, 2, address)
            }
            _ => None,
        }
    }
}

/// A range of virtual addresses that is mapped to one of physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First virtual address.
    pub address: u64,
    /// First physical address.
    pub physical: u64,
    /// Bytes.
    pub length: u64,
}

impl Mode {
    /// What the tables map, at most `most` ranges, in the order of their addresses; none without long mode.
    pub fn mappings(self, ram: &Ram, most: usize) -> Vec<Mapping> {
        let mut survey = Survey {
            ram,
            most,
            tables: MOST_TABLES,
            found: Vec::new(),
        };
        if let Self::Long { levels, root } = self {
            survey.table(root, levels, 0);
            let unused = 64 - (PAGE_BITS + levels * INDEX_BITS);
            for mapping in &mut survey.found {
                mapping.address = ((mapping.address << unused) as i64 >> unused) as u64;
            }
        }
        survey.found
    }
}

/// A guest's tables can name each other without end: no more are looked at.
const MOST_TABLES: u32 = 1 << 16;

struct Survey<'a> {
    ram: &'a Ram,
    most: usize,
    tables: u32,
    found: Vec<Mapping>,
}

impl Survey<'_> {
    fn table(&mut self, table: u64, level: u32, base: u64) {
        let shift = PAGE_BITS + (level - 1) * INDEX_BITS;
        let Some(left) = self.tables.checked_sub(1) else {
            return;
        };
        self.tables = left;
        for index in 0..1 << INDEX_BITS {
            let Some(entry) = entry(self.ram, table + 8 * index) else {
                continue;
            };
            let address = base | index << shift;
            let is_page = level == 1 || entry & LARGE != 0 && level <= HIGHEST_LARGE;
            match is_page {
                true => self.page(address, entry & ADDRESS & !((1 << shift) - 1), 1 << shift),
                false => self.table(entry & ADDRESS, level - 1, address),
            }
        }
    }

    fn page(&mut self, address: u64, physical: u64, length: u64) {
        let has_room = self.found.len() < self.most;
        match self.found.last_mut() {
            Some(m) if m.address + m.length == address && m.physical + m.length == physical => {
                m.length += length;
            }
            _ if has_room => self.found.push(Mapping {
                address,
                physical,
                length,
            }),
            _ => {}
        }
    }
}

fn is_canonical(address: u64, levels: u32) -> bool {
    let unused = 64 - (PAGE_BITS + levels * INDEX_BITS);
    (address as i64) << unused >> unused == address as i64
}

fn walk(ram: &Ram, root: u64, levels: u32, address: u64) -> Option<u64> {
    let mut table = root;
    for level in (1..=levels).rev() {
        let shift = PAGE_BITS + (level - 1) * INDEX_BITS;
        let index = address >> shift & ((1 << INDEX_BITS) - 1);
        let entry = entry(ram, table + 8 * index)?;
        let large = entry & LARGE != 0 && (2..=HIGHEST_LARGE).contains(&level);
        if level == 1 || large {
            let offset = (1 << shift) - 1;
            return Some(entry & ADDRESS & !offset | address & offset);
        }
        table = entry & ADDRESS;
    }
    None
}

fn entry(ram: &Ram, address: u64) -> Option<u64> {
    let entry: u64 = ram.read_obj(GuestAddress(address)).ok()?;
    (entry & PRESENT != 0).then_some(entry)
}
