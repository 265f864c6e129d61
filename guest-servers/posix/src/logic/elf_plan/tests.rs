use super::*;
use std::vec::Vec;

struct Segment(u32, u32, u64, u64, u64, u64);

/// A file head with segments (type, flags, offset, address, file size, memory size).
fn image(kind: u16, segments: &[Segment]) -> Vec<u8> {
    let mut bytes = std::vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(kind.to_le_bytes());
    bytes.extend(EM_X86_64.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for word in [0x1040u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, segments.len() as u16, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for Segment(kind, flags, offset, address, file, memory) in segments {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for word in [*offset, *address, *address, *file, *memory, 0x1000] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}

const RX: u32 = PF_R | PF_X;
const RW: u32 = PF_R | PF_W;

#[test]
fn a_static_program_with_relro() {
    let head = image(
        ET_EXEC,
        &[
            Segment(PT_LOAD, RX, 0, 0x40_0000, 0x5123, 0x5123),
            Segment(PT_LOAD, RW, 0x5f00, 0x40_6f00, 0x2200, 0x9000),
            Segment(PT_GNU_RELRO, PF_R, 0x5f00, 0x40_6f00, 0x1100, 0x1100),
        ],
    );
    let plan = plan(&head, 0x9000).unwrap();
    let map = |address, length, prot, source| Map {
        address,
        length,
        prot,
        source,
    };
    let write = Prot::READ | Prot::WRITE;
    assert_eq!(
        plan.maps[..],
        [
            map(
                0x40_0000,
                0x6000,
                Prot::READ | Prot::EXEC,
                Source::Shared(0)
            ),
            map(0x40_6000, 0x2000, write, Source::Private(0x5000)),
            map(0x40_8000, 0x8000, write, Source::Memory),
        ]
    );
    assert_eq!(
        plan.copies[..],
        [Copy {
            address: 0x40_8000,
            offset: 0x7000,
            length: 0x1100
        }]
    );
    assert_eq!(
        (plan.entry, plan.headers, plan.header_count),
        (0x1040, 0x40_0040, 3)
    );
    assert_eq!(plan.end, 0x40_ff00);
}

#[test]
fn a_position_independent_program_is_moved_and_its_data_copied() {
    let head = image(
        ET_DYN,
        &[
            Segment(PT_LOAD, RX, 0, 0, 0x2000, 0x2000),
            Segment(PT_LOAD, RW, 0x2010, 0x3010, 0x100, 0x100),
        ],
    );
    let plan = plan(&head, 0x3000).unwrap();
    assert_eq!(plan.entry, PIE_BASE + 0x1040);
    assert_eq!(plan.maps[1].address, PIE_BASE + 0x3000);
    assert_eq!(plan.maps[1].source, Source::Memory);
    assert_eq!(
        plan.copies[..],
        [Copy {
            address: PIE_BASE + 0x3010,
            offset: 0x2010,
            length: 0x100
        }]
    );
}

#[test]
fn what_cannot_be_executed() {
    let good = Segment(PT_LOAD, RX, 0, 0x40_0000, 0x100, 0x100);
    let text = |segment| plan(&image(ET_EXEC, &[segment]), 0x1000);
    assert!(text(good).is_ok());
    assert_eq!(
        text(Segment(PT_LOAD, RX, 1, 0x40_0000, 0x100, 0x100)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(
        text(Segment(PT_LOAD, RX, 0, 0x40_0000, 0x2000, 0x2000)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(
        text(Segment(PT_LOAD, RX, 0, 0x1000, 0x100, 0x100)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(
        text(Segment(PT_LOAD, RW, 0, 0x40_0000, 0x100, u64::MAX)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(
        text(Segment(PT_LOAD, RX, 0, 0x7ff0_0000_0000, 0x100, 0x100)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(
        text(Segment(PT_INTERP, PF_R, 0, 0x40_0000, 0x10, 0x10)),
        Err(Errno::ENOEXEC)
    );
    assert_eq!(plan(b"#!/bin/sh\n", 10), Err(Errno::ENOEXEC));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(mut head in proptest::collection::vec(proptest::num::u8::ANY, 64..400)) {
        head[..20].copy_from_slice(&image(ET_EXEC, &[])[..20]);
        head[54] = 56;
        head[55] = 0;
        head[56] %= 6;
        head[57] = 0;
        if let Ok(plan) = plan(&head, 1 << 30) {
            for map in plan.maps {
                proptest::prop_assert!(map.address >= USER_BASE && map.address + map.length < STACK_TOP);
                proptest::prop_assert_eq!(map.address % PAGE_SIZE, 0);
            }
        }
    }
}
