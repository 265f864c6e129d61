use std::collections::BTreeMap;

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use proptest::prelude::*;

use super::*;
use crate::mm::entry::{Inherit, Kind};
use crate::mm::host;

fn entry(range: Range<u64>, prot: Prot) -> VmEntry {
    VmEntry {
        start: range.start,
        end: range.end,
        object: None,
        offset: 0,
        prot,
        max: Prot::all(),
        kind: Kind::Private,
        inherit: Inherit::ByKind,
        flags: MapFlags::empty(),
    }
}

fn pages(start: u64, count: u64) -> Range<u64> {
    MMAP_BASE + start * PAGE_SIZE..MMAP_BASE + (start + count) * PAGE_SIZE
}

/// Unmaps; returns whether something was there.
fn take(map: &mut VmMap, range: &Range<u64>) -> bool {
    let cut = map.cut(range).unwrap();
    cut.map(|indices| map.delete(indices)).is_some()
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, Prot),
    Unmap(u64, u64),
    Protect(u64, u64, Prot),
    Place(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let prot = prop_oneof![Just(Prot::READ), Just(Prot::READ | Prot::WRITE)];
    let range = (0..60u64, 1..12u64);
    proptest::collection::vec(
        prop_oneof![
            (range.clone(), prot.clone()).prop_map(|((s, c), p)| Step::Map(s, c, p)),
            range.clone().prop_map(|(s, c)| Step::Unmap(s, c)),
            (range, prot).prop_map(|((s, c), p)| Step::Protect(s, c, p)),
            (1..20u64).prop_map(Step::Place),
        ],
        1..host::most(80),
    )
}

fn check(map: &mut VmMap, model: &BTreeMap<u64, Prot>) -> core::result::Result<(), TestCaseError> {
    let mut seen = BTreeMap::new();
    for pair in map.entries().windows(2) {
        prop_assert!(pair[0].end <= pair[1].start);
        prop_assert!(!pair[0].joins(&pair[1]));
    }
    for entry in map.entries() {
        for page in (entry.start..entry.end).step_by(PAGE_SIZE as usize) {
            seen.insert(page, entry.prot);
        }
    }
    prop_assert_eq!(&seen, model);
    prop_assert_eq!(map.mapped(), model.len() as u64 * PAGE_SIZE);
    for page in 0..80 {
        let address = pages(page, 1).start;
        prop_assert_eq!(
            map.find(address + 5).is_some(),
            model.contains_key(&address)
        );
    }
    Ok(())
}

proptest! {
    /// Against a plain map from page to protection.
    #[test]
    fn behaves_like_a_map_of_pages(steps in steps()) {
        let _memory = host::memory();
        let (mut map, mut model) = (VmMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Map(start, count, prot) => {
                    let range = pages(start, count);
                    take(&mut map, &range);
                    map.insert(entry(range.clone(), prot)).unwrap();
                    model.extend(range.step_by(PAGE_SIZE as usize).map(|page| (page, prot)));
                }
                Step::Unmap(start, count) => {
                    let range = pages(start, count);
                    let before = model.len();
                    model.retain(|page, _| !range.contains(page));
                    prop_assert_eq!(take(&mut map, &range), before != model.len());
                }
                Step::Protect(start, count, prot) => {
                    let range = pages(start, count);
                    let indices = map.isolate(&range).unwrap();
                    map.entries_mut(indices.clone()).iter_mut().for_each(|entry| entry.prot = prot);
                    map.join(indices);
                    model.range_mut(range).for_each(|(_, old)| *old = prot);
                }
                Step::Place(count) => {
                    let length = count * PAGE_SIZE;
                    let start = map.find_gap(Zone::Program, length).unwrap();
                    let range = start..start + length;
                    prop_assert!(map.is_free(&range));
                    map.insert(entry(range.clone(), Prot::READ)).unwrap();
                    model.extend(range.step_by(PAGE_SIZE as usize).map(|page| (page, Prot::READ)));
                }
            }
            check(&mut map, &model)?;
        }
    }
}

#[test]
fn a_freed_gap_is_used_again() {
    let _memory = host::memory();
    let mut map = VmMap::new();
    for _ in 0..4 {
        let start = map.find_gap(Zone::Program, PAGE_SIZE).unwrap();
        map.insert(entry(start..start + PAGE_SIZE, Prot::READ))
            .unwrap();
    }
    take(&mut map, &pages(1, 1));
    assert_eq!(
        map.find_gap(Zone::Program, PAGE_SIZE),
        Ok(pages(1, 1).start)
    );
    assert_eq!(
        map.find_gap(Zone::Program, 2 * PAGE_SIZE),
        Ok(pages(4, 1).start)
    );
}

#[test]
fn a_zone_that_is_full_gives_no_memory() {
    let _memory = host::memory();
    let mut map = VmMap::new();
    let Range { start, end } = Zone::System.range();
    map.insert(entry(start..end - PAGE_SIZE, Prot::READ))
        .unwrap();
    assert_eq!(map.find_gap(Zone::System, PAGE_SIZE), Ok(end - PAGE_SIZE));
    assert_eq!(
        map.find_gap(Zone::System, 2 * PAGE_SIZE),
        Err(Error::NoMemory)
    );
}

#[test]
fn ranges_are_checked() {
    assert_eq!(check_range(USER_BASE, 0), Err(Error::Invalid));
    assert_eq!(check_range(USER_BASE + 1, PAGE_SIZE), Err(Error::Invalid));
    assert_eq!(check_range(0, PAGE_SIZE), Err(Error::Invalid));
    assert_eq!(check_range(MAP_TOP, PAGE_SIZE), Err(Error::Invalid));
    assert_eq!(check_range(u64::MAX - 4095, PAGE_SIZE), Err(Error::Invalid));
    assert_eq!(
        check_range(MAP_TOP - PAGE_SIZE, PAGE_SIZE),
        Ok(MAP_TOP - PAGE_SIZE..MAP_TOP)
    );
}
