//! `/proc/PID/maps`, and the sums over mappings that `status` and `statm` show.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use ferrix_abi::layout::{MMAP_BASE, STACK_TOP, SYSTEM_BASE};
use ferrix_abi::vm::{MapFlags, Prot, Region};

/// Where the name of a mapping stands in its line.
const NAME_COLUMN: usize = 73;
/// How far below [`STACK_TOP`] a main thread's stack may end.
const STACKS: u64 = 512 << 20;

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Everything.
    pub all: u64,
    /// Private and writable, but for the stack.
    pub data: u64,
    /// The main thread's stack.
    pub stack: u64,
    /// Executable.
    pub text: u64,
}

fn has(region: &Region, flag: MapFlags) -> bool {
    region.flags & flag.bits() != 0
}

fn may(region: &Region, prot: Prot) -> bool {
    region.prot & prot.bits() != 0
}

fn is_stack(region: &Region) -> bool {
    let ends = STACK_TOP - STACKS..=STACK_TOP;
    region.object == 0 && ends.contains(&region.end) && may(region, Prot::WRITE)
}

fn name(region: &Region) -> &'static str {
    let anonymous = region.object == 0 && may(region, Prot::WRITE);
    if is_stack(region) {
        "[stack]"
    } else if anonymous && region.start < MMAP_BASE {
        "[heap]"
    } else {
        ""
    }
}

/// What a program sees of its mappings: not the personality's.
pub fn of_program(mut regions: Vec<Region>) -> Vec<Region> {
    regions.retain(|region| region.start < SYSTEM_BASE);
    regions
}

/// Sums over mappings.
pub fn sums(regions: &[Region]) -> Sums {
    let mut sums = Sums::default();
    for region in regions {
        let bytes = region.end - region.start;
        sums.all += bytes;
        if is_stack(region) {
            sums.stack += bytes;
        } else if may(region, Prot::EXEC) {
            sums.text += bytes;
        } else if may(region, Prot::WRITE) && has(region, MapFlags::PRIVATE) {
            sums.data += bytes;
        }
    }
    sums
}

/// proc(5), `/proc/[pid]/maps`. The inode is the number of the memory object.
pub fn text(regions: &[Region]) -> String {
    let mut text = String::new();
    for region in regions {
        let begin = text.len();
        let letter = |prot, letter| if may(region, prot) { letter } else { '-' };
        let shared = if has(region, MapFlags::PRIVATE) {
            'p'
        } else {
            's'
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{:08x}-{:08x} {}{}{}{shared} {:08x} 00:00 {} ",
            region.start,
            region.end,
            letter(Prot::READ, 'r'),
            letter(Prot::WRITE, 'w'),
            letter(Prot::EXEC, 'x'),
            region.offset,
            region.object,
        );
        let name = name(region);
        if !name.is_empty() {
            while text.len() - begin < NAME_COLUMN {
                text.push(' ');
            }
        }
        text.push_str(name);
        text.push('\n');
    }
    text
}
