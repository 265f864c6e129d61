//! What the loader passed: PVH start information (Xen `include/public/arch-x86/hvm/start_info.h`).

use crate::arch::{phys, start};

/// `XEN_HVM_START_MAGIC_VALUE`.
pub const MAGIC: u32 = 0x336e_c578;
/// A memory map entry's type: RAM.
pub const RAM: u32 = 1;
/// Longest command line that is read.
const MOST_TEXT: usize = 4096;

/// The start information at an address.
#[derive(Clone, Copy, Debug)]
pub struct StartInfo(u64);

/// An entry of the memory map.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// 1 is RAM.
    pub kind: u32,
}

impl Region {
    /// One past the last address.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }
}

/// A boot module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Address of its command line, 0 without one.
    pub text: u64,
}

impl StartInfo {
    /// Where the entry state says.
    pub fn find() -> Self {
        Self(start::entry_state().start_info.into())
    }

    /// Its address.
    pub fn address(self) -> u64 {
        self.0
    }

    fn word(self, offset: u64) -> u32 {
        phys::read(self.0 + offset)
    }

    fn long(self, offset: u64) -> u64 {
        long(self.0 + offset)
    }

    /// `magic`.
    pub fn magic(self) -> u32 {
        self.word(0)
    }

    /// `version`.
    pub fn version(self) -> u32 {
        self.word(4)
    }

    /// `rsdp_paddr`.
    pub fn rsdp(self) -> u64 {
        self.long(32)
    }

    /// `cmdline_paddr` and the text there.
    pub fn command_line(self) -> (u64, Option<&'static str>) {
        let address = self.long(24);
        (address, phys::text(address, MOST_TEXT))
    }

    /// `modlist_paddr`, `nr_modules`.
    pub fn modules(self) -> impl Iterator<Item = Module> {
        let list = self.long(16);
        (0..u64::from(self.word(12))).map(move |index| {
            let at = list + 32 * index;
            Module {
                base: long(at),
                size: long(at + 8),
                text: long(at + 16),
            }
        })
    }

    /// `memmap_paddr`, `memmap_entries`: since version 1.
    pub fn memory_map(self) -> impl Iterator<Item = Region> + Clone {
        let (list, count) = (self.long(40), self.word(48));
        (0..u64::from(count)).map(move |index| {
            let at = list + 24 * index;
            Region {
                base: long(at),
                size: long(at + 8),
                kind: phys::read(at + 16),
            }
        })
    }

    /// Whether all of a range is RAM.
    pub fn is_ram(self, base: u64, size: u64) -> bool {
        let end = base.saturating_add(size);
        let mut covered = base;
        // Regions may adjoin in any order: as many rounds as there are regions.
        for _ in self.memory_map() {
            for region in self.memory_map().filter(|region| region.kind == RAM) {
                if region.base <= covered && covered < region.end() {
                    covered = region.end();
                }
            }
        }
        covered >= end
    }
}

/// A 64-bit field, which loaders align to 4 bytes only.
fn long(address: u64) -> u64 {
    u64::from(phys::read::<u32>(address)) | u64::from(phys::read::<u32>(address + 4)) << 32
}

/// The value of `key=value` on the command line.
pub fn option(line: &'static str, key: &str) -> Option<&'static str> {
    options(line, key).next()
}

/// The values of a key that may occur more than once.
pub fn options<'a>(line: &'static str, key: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    line.split(' ')
        .filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
}
