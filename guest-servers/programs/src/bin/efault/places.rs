//! Wrong addresses, and what is wrong with them.

use crate::raw::{PAGE, map_at, poke};

/// Where the memory of the tests is: far from all else.
pub const FAR: usize = 0x2000_0000_0000;

/// Memory that may be read and written: four pages.
pub const GOOD: usize = FAR;
/// Memory for structures that point on: one page.
pub const SCRATCH: usize = FAR + 0x10_0000;
/// A page that nothing follows.
pub const LAST: usize = FAR + 0x20_0000;
const HIDDEN: usize = FAR + 0x30_0000;
const READ_ONLY: usize = FAR + 0x40_0000;
const HOLE: usize = FAR + 0x50_0000;
const FILE: usize = FAR + 0x60_0000;
/// A page that one without access follows.
const FENCED: usize = FAR + 0x70_0000;
/// Memory that the races take away: two pages.
pub const MOVING: usize = FAR + 0x80_0000;

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Null.
    Null,
    /// 8: a field of a null structure.
    Small,
    /// The highest address that no program may map.
    Low,
    /// In the kernel's half.
    Kernel,
    /// In the kernel's text, if there is any there.
    KernelText,
    /// Not canonical.
    NotCanonical,
    /// One past the lower half.
    Top,
    /// The last address of all.
    End,
    /// So that it wraps around.
    Wrapping,
    /// Nothing mapped.
    Hole,
    /// A page without access.
    Hidden,
    /// A page beyond the end of its file.
    Beyond,
    /// The last byte before a hole.
    Edge,
    /// All but one byte before a hole.
    Short,
    /// The last byte before a page without access.
    Fence,
    /// Where only reading is allowed.
    ReadOnly,
    /// The program's own text.
    Text,
    /// At an odd address: all right but for words that several threads use.
    Odd,
    /// Right before a hole: all right.
    Fitting,
    /// Across two good pages: all right.
    Crossing,
    /// Ferrix: text of the personality.
    Personality,
    /// Ferrix: its data.
    PersonalData,
    /// Ferrix: what it maps.
    Window,
    /// Ferrix: what the thread shares with the kernel.
    Utcb,
    /// Ferrix: the kernel's information page.
    Information,
}

/// Those that are right.
pub const RIGHT: u32 = bits(&[Kind::Odd, Kind::Fitting, Kind::Crossing]);
/// Those that only Ferrix has.
pub const FERRIX: u32 = bits(&[
    Kind::Personality,
    Kind::PersonalData,
    Kind::Window,
    Kind::Utcb,
    Kind::Information,
]);

/// A few of each sort, for what takes long.
pub const FEW: u32 = bits(&[
    Kind::Null,
    Kind::Kernel,
    Kind::NotCanonical,
    Kind::Wrapping,
    Kind::Hole,
    Kind::Hidden,
    Kind::Edge,
    Kind::ReadOnly,
    Kind::Odd,
    Kind::PersonalData,
    Kind::Utcb,
]);

/// All kinds.
pub const ALL: &[Kind] = &[
    Kind::Null,
    Kind::Small,
    Kind::Low,
    Kind::Kernel,
    Kind::KernelText,
    Kind::NotCanonical,
    Kind::Top,
    Kind::End,
    Kind::Wrapping,
    Kind::Hole,
    Kind::Hidden,
    Kind::Beyond,
    Kind::Edge,
    Kind::Short,
    Kind::Fence,
    Kind::ReadOnly,
    Kind::Text,
    Kind::Odd,
    Kind::Fitting,
    Kind::Crossing,
    Kind::Personality,
    Kind::PersonalData,
    Kind::Window,
    Kind::Utcb,
    Kind::Information,
];

/// A set of kinds.
pub const fn bits(kinds: &[Kind]) -> u32 {
    let (mut set, mut index) = (0, 0);
    while index < kinds.len() {
        set |= 1 << kinds[index] as u8;
        index += 1;
    }
    set
}

impl Kind {
    /// As a set.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The address of `size` bytes (at least 1) that are wrong in this way.
    pub fn address(self, size: usize) -> usize {
        match self {
            Kind::Null => 0,
            Kind::Small => 8,
            Kind::Low => 0xfff8,
            Kind::Kernel => 0xffff_8880_0000_1000,
            Kind::KernelText => 0xffff_ffff_8100_0000,
            Kind::NotCanonical => 0x1234_5678_9abc_d000,
            Kind::Top => 0x8000_0000_0000,
            Kind::End => usize::MAX,
            Kind::Wrapping => usize::MAX - (size - 1) / 2,
            Kind::Hole => HOLE,
            Kind::Hidden => HIDDEN,
            Kind::Beyond => FILE + PAGE,
            Kind::Edge => LAST + PAGE - 1,
            Kind::Short => LAST + PAGE - (size - 1).max(1),
            Kind::Fence => FENCED + PAGE - 1,
            Kind::ReadOnly => READ_ONLY,
            Kind::Text => own_text(),
            Kind::Odd => GOOD + 1,
            Kind::Fitting => LAST + PAGE - size,
            Kind::Crossing => GOOD + PAGE - size / 2,
            Kind::Personality => 0x7ff0_0000_0000,
            Kind::PersonalData => 0x7ff0_0004_0000,
            Kind::Window => 0x7ff1_0000_0000,
            Kind::Utcb => 0x7fff_0000_0000,
            Kind::Information => 0x7fff_f000_0000,
        }
    }

    /// How many of the bytes from [`address`](Self::address) on may be written by the test itself.
    pub fn room(self, size: usize) -> usize {
        match self {
            Kind::Odd | Kind::Crossing | Kind::Fitting => size,
            Kind::Short => (size - 1).max(1),
            Kind::Edge | Kind::Fence => 1,
            _ => 0,
        }
    }
}

fn own_text() -> usize {
    extern "C" fn marker() {}
    marker as *const () as usize
}

/// Makes the memory; `file` has one byte.
pub fn make(file: i32) {
    let both = libc::PROT_READ | libc::PROT_WRITE;
    map_at(GOOD, 4 * PAGE, both, -1);
    map_at(SCRATCH, PAGE, both, -1);
    map_at(LAST, PAGE, both, -1);
    map_at(HIDDEN, PAGE, libc::PROT_NONE, -1);
    map_at(READ_ONLY, PAGE, libc::PROT_READ, -1);
    map_at(FILE, 2 * PAGE, both, file);
    map_at(FENCED, PAGE, both, -1);
    map_at(FENCED + PAGE, PAGE, libc::PROT_NONE, -1);
}

/// Fills what may be written with a byte: no NUL ends a string too early if it is none.
pub fn fill(byte: u8) {
    for (start, length) in [(GOOD, 4 * PAGE), (LAST, PAGE), (FENCED, PAGE)] {
        // SAFETY: mapped by `make` for nothing else.
        unsafe { std::ptr::write_bytes(start as *mut u8, byte, length) };
    }
}

/// Writes what a call shall read, as far as the kind of place allows.
pub fn put(kind: Option<Kind>, address: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let room = kind.map_or(bytes.len(), |kind| kind.room(bytes.len()));
    // SAFETY: as in `fill`.
    unsafe { poke(address, &bytes[..room]) };
}
