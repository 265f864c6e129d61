use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::config::MemorySize;
use crate::memory;

const TOP: u64 = 0x1000;

/// Tables: 0xffff_8000_0000_0000 is mapped by a 4 KiB page to 0x8000, the next 4 KiB to 0x6000;
/// +2 MiB by a large page to 0x20_0000; +1 GiB by a huge page to 0.
fn tables() -> Ram {
    let ram = memory::allocate(MemorySize::mib(4)).unwrap();
    for (at, entry) in [
        (TOP + 8 * 256, 0x2000 | 1),
        (0x2000, 0x3000 | 1),
        (0x2008, 1 << 7 | 1),
        (0x3000, 0x4000 | 1),
        (0x3008, 0x20_0000 | 1 << 7 | 1),
        (0x4000, 0x8000 | 1 | 1 << 63),
        (0x4008, 0x6000 | 1),
    ] {
        ram.write_obj::<u64>(entry, GuestAddress(at)).unwrap();
    }
    ram
}

const BASE: u64 = 0xffff_8000_0000_0000;
const MODE: paging::Mode = paging::Mode::Long {
    levels: 4,
    root: TOP,
};

#[test]
fn pages_of_all_sizes_are_translated() {
    let ram = tables();
    let translate = |offset: u64| MODE.translate(&ram, BASE + offset);
    assert_eq!(translate(0x123), Some(0x8123));
    assert_eq!(translate(0x1fff), Some(0x6fff));
    assert_eq!(translate(0x2000), None);
    assert_eq!(translate((2 << 20) + 0x1_2345), Some(0x21_2345));
    assert_eq!(translate((1 << 30) + 0x3_4567), Some(0x3_4567));
    assert_eq!(
        MODE.translate(&ram, 0x0000_8000_0000_0000),
        None,
        "not canonical"
    );
    assert_eq!(paging::Mode::Physical.translate(&ram, 0x1234), Some(0x1234));
    assert_eq!(paging::Mode::Physical.translate(&ram, BASE), None);
}

#[test]
fn reads_and_writes_cross_pages_and_stop_at_holes() {
    let ram = tables();
    let view = View {
        ram: &ram,
        segments: &[],
        mode: MODE,
    };
    assert_eq!(view.write(BASE + 0xffe, b"abcd"), 4);
    let mut bytes = [0; 4];
    ram.read_slice(&mut bytes[..2], GuestAddress(0x8ffe))
        .unwrap();
    ram.read_slice(&mut bytes[2..], GuestAddress(0x6000))
        .unwrap();
    assert_eq!(&bytes, b"abcd");
    assert_eq!(view.read(BASE + 0x1ffe, &mut bytes), 2);
    assert_eq!(view.read(BASE + 0x2000, &mut bytes), 0);
}

#[test]
fn the_kernel_is_found_before_it_is_mapped() {
    let ram = tables();
    let segment = Segment {
        file_offset: 0,
        file_size: 0,
        memory_size: 0x1000,
        physical: 0x10_0000,
        virtual_address: 0xffff_ffff_8010_0000,
    };
    let view = View {
        ram: &ram,
        segments: &[segment],
        mode: paging::Mode::Physical,
    };
    assert_eq!(view.translate(0xffff_ffff_8010_0010), Some(0x10_0010));
    assert_eq!(view.translate(0xffff_ffff_8010_1000), None);
}

#[test]
fn backtraces_end_at_broken_chains() {
    let ram = tables();
    let view = View {
        ram: &ram,
        segments: &[],
        mode: MODE,
    };
    for (at, next, address) in [(0x100, BASE + 0x200, 11), (0x200, BASE + 0x200, 22)] {
        view.write(BASE + at, &u64::to_le_bytes(next));
        view.write(BASE + at + 8, &u64::to_le_bytes(address));
    }
    let regs = kvm_bindings::kvm_regs {
        rip: 7,
        rbp: BASE + 0x100,
        ..Default::default()
    };
    assert_eq!(backtrace::frames(&view, &regs), [7, 11, 22]);
    let regs = kvm_bindings::kvm_regs {
        rip: 7,
        rbp: 0x5000,
        ..Default::default()
    };
    assert_eq!(backtrace::frames(&view, &regs), [7]);
}

#[test]
fn mappings_are_joined_and_tables_without_end_do_end() {
    use super::paging::{Mapping, Mode};
    let ram = crate::memory::allocate(crate::config::MemorySize::mib(2)).unwrap();
    let put = |address: u64, entry: u64| ram.write_obj(entry, GuestAddress(address)).unwrap();
    // The last entry of the root: the upper half. Two pages in a row, one apart, one large page.
    put(0x1000 + 8 * 511, 0x2003);
    put(0x2000, 0x3003);
    put(0x3000, 0x4003);
    put(0x3008, 0x20_0083);
    for (index, page) in [(0, 0x8000u64), (1, 0x9000), (3, 0xf000)] {
        put(0x4000 + 8 * index, page | 3);
    }
    let mode = Mode::Long {
        levels: 4,
        root: 0x1000,
    };
    let top = 0xffff_ff80_0000_0000u64;
    let expected = [
        (top, 0x8000, 0x2000),
        (top + 0x3000, 0xf000, 0x1000),
        (top + 0x20_0000, 0x20_0000, 0x20_0000),
    ];
    let expected = expected.map(|(address, physical, length)| Mapping {
        address,
        physical,
        length,
    });
    assert_eq!(mode.mappings(&ram, 10), expected);
    assert_eq!(mode.mappings(&ram, 2), expected[..2]);
    // A table of which every entry is the table.
    (0..512).for_each(|index| put(0x5000 + 8 * index, 0x5003));
    assert_eq!(
        Mode::Long {
            levels: 5,
            root: 0x5000
        }
        .mappings(&ram, 7)
        .len(),
        7
    );
}
