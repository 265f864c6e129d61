use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const BASE: PhysAddr = PhysAddr(0x4000_0000);

fn memory(backing: &mut Vec<u64>) -> DmaMemory {
    let pointer = NonNull::from(backing.as_mut_slice()).cast();
    // SAFETY: the vector outlives the value in these tests and is not touched meanwhile.
    unsafe { DmaMemory::new(pointer, BASE, backing.len() * 8) }
}

#[test]
fn carves_disjoint_aligned_pieces_until_none_is_left() {
    let mut backing = vec![0u64; 16];
    let mut all = memory(&mut backing);
    let head = all.carve(3, 1).unwrap();
    let next = all.carve(8, 8).unwrap();
    assert_eq!(head.segment(0, 3).address(), BASE);
    assert_eq!(next.segment(0, 8).address(), PhysAddr(BASE.0 + 8));
    assert_eq!(all.len(), 112);
    assert!(all.carve(113, 1).is_none());
    assert_eq!(all.carve(112, 1).unwrap().len(), 112);
    assert!(all.is_empty());
}

#[test]
fn values_are_little_endian() {
    let mut backing = vec![0u64; 2];
    let memory = memory(&mut backing);
    memory.store32(0, 0x0403_0201);
    memory.store16(4, 0x0605, Ordering::Relaxed);
    let mut bytes = [0; 6];
    memory.copy_out(0, &mut bytes);
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6]);
}

#[test]
#[should_panic(expected = "outside")]
fn refuses_access_outside() {
    let mut backing = vec![0u64; 2];
    memory(&mut backing).load32(13);
}

#[test]
#[should_panic(expected = "unaligned")]
fn refuses_unaligned_access() {
    let mut backing = vec![0u64; 2];
    memory(&mut backing).load32(2);
}

#[test]
fn segments_stay_inside() {
    // SAFETY: no device is ever given this address.
    let range = unsafe { PhysRange::new(BASE, 0x1000) };
    assert!(range.segment(0xfff, 1).is_some());
    assert!(range.segment(0xfff, 2).is_none());
    assert!(range.segment(u64::MAX, 2).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn copies_any_range(offset in 0usize..40, data in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut backing = vec![0x5555_5555_5555_5555u64; 16];
        let memory = memory(&mut backing);
        memory.copy_in(offset, &data);
        let mut all = vec![0; 128];
        memory.copy_out(0, &mut all);
        let mut expected = vec![0x55; 128];
        expected[offset..offset + data.len()].copy_from_slice(&data);
        prop_assert_eq!(&all, &expected);
        let mut back = vec![0; data.len()];
        memory.copy_out(offset, &mut back);
        prop_assert_eq!(back, data);
    }
}
