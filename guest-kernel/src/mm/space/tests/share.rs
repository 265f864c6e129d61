//! Page tables that `fork` lets two address spaces share.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::mm::pmap::{Progress, TableCopy, table_pages};

/// Bytes under one table.
const REGION: u64 = 512 * PAGE_SIZE;

/// A mapping of so many regions, with every page touched and holding its number.
fn full(space: &AddressSpace, regions: u64) -> u64 {
    let request = MapRequest {
        address: MMAP_BASE + 7 * REGION,
        ..request(
            regions * REGION,
            RW,
            MapFlags::PRIVATE | MapFlags::NO_REPLACE,
        )
    };
    let start = space.map(request).unwrap();
    (0..regions * 512).for_each(|page| write(space, start, page, page as u8));
    start
}

fn write(space: &AddressSpace, start: u64, page: u64, value: u8) {
    space.write(start + page * PAGE_SIZE, &[value]).unwrap();
}

#[test]
fn fork_costs_tables_of_tables_only() {
    let _memory = host::memory();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 3);
    let (frames, tables) = (free(), table_pages());
    let child = parent.fork().unwrap();
    // A root, the two levels below it, and those that show the information page.
    assert!(table_pages() - tables <= 4);
    assert_eq!(child.usage().resident_pages, parent.usage().resident_pages);
    write(&child, start, 600, 77);
    // The page, and the table that shows it.
    assert_eq!(frames - free(), table_pages() - tables + 1);
    assert_eq!(byte(&parent, start + 600 * PAGE_SIZE), 600u64 as u8);
    assert_eq!(byte(&child, start + 600 * PAGE_SIZE), 77);
    assert_eq!(byte(&child, start + 601 * PAGE_SIZE), 601u64 as u8);
    drop(child);
    assert_eq!((free(), table_pages()), (frames, tables));
}

#[test]
fn who_is_left_alone_copies_nothing() {
    let _memory = host::memory();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 2);
    let frames = free();
    drop(parent.fork().unwrap());
    write(&parent, start, 3, 1);
    write(&parent, start, 515, 1);
    assert_eq!(free(), frames);
}

#[test]
fn a_child_that_unmaps_leaves_the_tables_to_the_parent() {
    let _memory = host::memory();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 2);
    let child = parent.fork().unwrap();
    let tables = table_pages();
    child.unmap(start + REGION, REGION).unwrap();
    assert_eq!(child.usage().resident_pages, 512);
    assert_eq!(
        table_pages(),
        tables,
        "a table that the parent has is not freed"
    );
    child.unmap(start + PAGE_SIZE, PAGE_SIZE).unwrap();
    assert_eq!(table_pages(), tables + 1, "one is copied to lose a page");
    assert_eq!(byte(&parent, start + PAGE_SIZE), 1);
    drop(parent);
    assert_eq!(byte(&child, start + 2 * PAGE_SIZE), 2);
    assert_eq!(child.usage().resident_pages, 511);
}

#[test]
fn without_memory_for_a_table_nothing_changes() {
    let _memory = host::memory();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 1);
    let child = parent.fork().unwrap();
    let taken: Vec<_> = core::iter::from_fn(|| frame::alloc(0)).collect();
    let part = (start + PAGE_SIZE, PAGE_SIZE);
    let refused = [
        child.unmap(part.0, part.1),
        child.protect(part.0, part.1, Prot::READ),
        child.discard(part.0, part.1),
        child.write(start, b"x"),
    ];
    taken.into_iter().for_each(|frame| frame::free(frame, 0));
    assert_eq!(refused, [Err(Error::NoMemory); 4]);
    assert_eq!(child.query(start).unwrap().end, start + REGION);
    assert!((0..512).all(|page| byte(&child, start + page * PAGE_SIZE) == page as u8));
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u8),
    Unmap(u64, u64),
    Discard(u64, u64),
    Protect(u64, u64, Prot),
    Map(u64, u64),
    Fork,
    Drop,
}

/// Pages around a border of two tables.
const PAGES: u64 = 16;

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..PAGES, 1..6u64).prop_map(|(first, count)| (first, count.min(PAGES - first)));
    prop_oneof![
        8 => (0..PAGES, any::<u8>()).prop_map(|(page, value)| Step::Write(page, value)),
        1 => range().prop_map(|(first, count)| Step::Unmap(first, count)),
        1 => range().prop_map(|(first, count)| Step::Discard(first, count)),
        1 => (range(), any::<bool>()).prop_map(|((first, count), writable)| {
            Step::Protect(first, count, if writable { RW } else { Prot::READ })
        }),
        2 => range().prop_map(|(first, count)| Step::Map(first, count)),
        3 => Just(Step::Fork),
        2 => Just(Step::Drop),
    ]
}

/// What a page holds, and whether it may be written.
type Model = BTreeMap<u64, (u8, Prot)>;

fn apply(space: &AddressSpace, model: &mut Model, start: u64, step: &Step) {
    let at = |page: u64| start + page * PAGE_SIZE;
    match *step {
        Step::Write(page, value) => {
            let known = model.get_mut(&page).filter(|known| known.1 == RW);
            let may = known.map(|known| known.0 = value).is_some();
            assert_eq!(space.write(at(page), &[value]).is_ok(), may);
        }
        Step::Unmap(first, count) => {
            space.unmap(at(first), count * PAGE_SIZE).unwrap();
            model.retain(|page, _| !(first..first + count).contains(page));
        }
        Step::Discard(first, count) => {
            space.discard(at(first), count * PAGE_SIZE).unwrap();
            model
                .range_mut(first..first + count)
                .for_each(|(_, known)| known.0 = 0);
        }
        Step::Protect(first, count, prot) => {
            let covered = model.range(first..first + count).count() as u64 == count;
            let result = space.protect(at(first), count * PAGE_SIZE, prot);
            assert_eq!(result.is_ok(), covered);
            if covered {
                model
                    .range_mut(first..first + count)
                    .for_each(|(_, known)| known.1 = prot);
            }
        }
        Step::Map(first, count) => {
            let request = MapRequest {
                address: at(first),
                ..request(count * PAGE_SIZE, RW, MapFlags::PRIVATE | MapFlags::FIXED)
            };
            space.map(request).unwrap();
            model.extend((first..first + count).map(|page| (page, (0, RW))));
        }
        Step::Fork | Step::Drop => {}
    }
}

proptest! {
    #[test]
    fn shared_tables_behave_like_copies(
        steps in proptest::collection::vec((0..4usize, step()), 1..120),
    ) {
        let _memory = host::memory();
        let before = (free(), table_pages());
        let start = MMAP_BASE + REGION - PAGES / 2 * PAGE_SIZE;
        let (first, mut model) = (AddressSpace::new().unwrap(), Model::new());
        apply(&first, &mut model, start, &Step::Map(0, PAGES));
        let mut family = vec![(first, model)];
        for (who, step) in steps {
            let who = who % family.len();
            match step {
                Step::Fork if family.len() < 4 => {
                    let child = family[who].0.fork().unwrap();
                    let model = family[who].1.clone();
                    family.push((child, model));
                }
                Step::Drop if family.len() > 1 => drop(family.swap_remove(who)),
                step => {
                    let (space, model) = &mut family[who];
                    apply(space, model, start, &step);
                }
            }
            for (space, model) in &family {
                for (page, known) in model {
                    prop_assert_eq!(byte(space, start + page * PAGE_SIZE), known.0);
                }
                prop_assert!(space.usage().resident_pages <= PAGES);
            }
        }
        drop(family);
        prop_assert_eq!((free(), table_pages()), before);
    }
}

/// What a fault does with the table, step by step.
fn steps(space: &AddressSpace, address: u64, most: usize) -> Option<TableCopy> {
    let mut copy = None;
    for _ in 0..most {
        let progress = space.lock().pmap.own_some(address, &mut copy).unwrap();
        if progress == Progress::Own {
            break;
        }
    }
    copy
}

#[test]
fn a_table_is_copied_a_part_at_a_time() {
    let _memory = host::memory();
    let all = free();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 1);
    let child = parent.fork().unwrap();
    let (frames, tables) = (free(), table_pages());
    assert!(steps(&child, start, usize::MAX).is_none());
    assert_eq!((free(), table_pages()), (frames - 1, tables + 1));
    write(&child, start, 5, 99);
    assert_eq!(byte(&parent, start + 5 * PAGE_SIZE), 5);
    write(&parent, start, 6, 98);
    for page in (0..512).filter(|page| *page != 5) {
        assert_eq!(byte(&child, start + page * PAGE_SIZE), page as u8);
    }
    drop((child, parent));
    assert_eq!(free(), all, "every page is given back");
}

#[test]
fn a_table_that_all_others_leave_meanwhile_is_given_back_with_the_copy() {
    let _memory = host::memory();
    let all = free();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 1);
    let child = parent.fork().unwrap();
    let copy = steps(&child, start, 3);
    drop(parent);
    let mut copy = copy;
    let frames = free();
    for _ in 0..32 {
        // The copy counts as one of those that use the table, so it goes on.
        if child.lock().pmap.own_some(start, &mut copy) == Ok(Progress::Own) {
            break;
        }
    }
    assert!(copy.is_some());
    drop(copy);
    assert!(free() > frames, "the shared table is given back");
    assert!((0..512).all(|page| byte(&child, start + page * PAGE_SIZE) == page as u8));
    drop(child);
    assert_eq!(free(), all, "every page is given back");
}

#[test]
fn a_copy_of_another_table_is_given_back_first() {
    let _memory = host::memory();
    let all = free();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 2);
    let child = parent.fork().unwrap();
    let mut copy = steps(&child, start, 2);
    let progress = child.lock().pmap.own_some(start + REGION, &mut copy);
    assert_eq!(progress, Ok(Progress::Stale));
    drop(copy);
    write(&child, start, 512, 99);
    assert_eq!(byte(&parent, start + REGION), 512u64 as u8);
    drop((child, parent));
    assert_eq!(free(), all, "every page is given back");
}

#[test]
fn who_is_left_alone_with_a_table_unmaps_it_in_parts() {
    let _memory = host::memory();
    let all = free();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 2);
    let child = parent.fork().unwrap();
    let range = start..start + 2 * REGION;
    assert_eq!(child.lock().pmap.some_pages(&range, 2), start + REGION);
    drop(parent);
    assert!(child.lock().pmap.some_pages(&range, 2) < start + REGION);
    child.unmap(start, 2 * REGION).unwrap();
    drop(child);
    assert_eq!(free(), all, "every page is given back");
}

#[test]
fn a_copy_that_comes_too_late_changes_nothing() {
    let _memory = host::memory();
    let all = free();
    let parent = AddressSpace::new().unwrap();
    let start = full(&parent, 1);
    let child = parent.fork().unwrap();
    // Both are in the midst of it when another thread of the child is done, and the child's memory goes.
    let (ours, theirs) = (steps(&child, start, 3), steps(&parent, start, 2));
    assert!(ours.is_some() && theirs.is_some());
    write(&child, start, 7, 1);
    assert_eq!(byte(&parent, start + 7 * PAGE_SIZE), 7);
    let progress = child.lock().pmap.own_some(start, &mut { ours });
    assert_eq!(progress, Ok(Progress::Own));
    child.unmap(start, REGION).unwrap();
    write(&parent, start, 8, 2);
    drop(theirs);
    assert!(
        (0..512).all(|page| byte(&parent, start + page * PAGE_SIZE)
            == if page == 8 { 2 } else { page as u8 })
    );
    drop((child, parent));
    assert_eq!(free(), all, "every page is given back");
}
