//! The table against a map from numbers to objects.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn insert(table: &mut HandleTable<u32>, object: u32, rights: Rights) -> Result<Handle> {
    table.reserve(1)?;
    Ok(table.insert(object, rights))
}

proptest! {
    #[test]
    fn a_handle_names_one_object_until_closed(
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<bool>()), 1..300),
    ) {
        let mut table = HandleTable::new();
        let mut live: BTreeMap<u32, (u32, Rights)> = BTreeMap::new();
        let mut closed: Vec<u32> = Vec::new();
        for (number, (open, which, keep)) in steps.into_iter().enumerate() {
            if open || live.is_empty() {
                let rights = if keep { Rights::DUP } else { Rights::NO_INHERIT };
                let handle = insert(&mut table, number as u32, rights).unwrap();
                prop_assert!(handle != Handle::NONE);
                prop_assert!(!live.contains_key(&handle.0));
                prop_assert!(!closed.contains(&handle.0), "a closed handle lives again");
                live.insert(handle.0, (number as u32, rights));
            } else {
                let handle = *which.get(&live.keys().copied().collect::<Vec<_>>());
                let (object, rights) = live.remove(&handle).unwrap();
                prop_assert_eq!(table.remove(Handle(handle)), Some((object, rights)));
                closed.push(handle);
            }
            prop_assert_eq!(table.used() as usize, live.len());
        }
        for (&handle, (object, rights)) in &live {
            prop_assert_eq!(table.get(Handle(handle)), Some((object, *rights)));
        }
        for &handle in &closed {
            prop_assert_eq!(table.get(Handle(handle)), None);
            prop_assert_eq!(table.remove(Handle(handle)), None);
        }
        let mut child = HandleTable::new();
        while table.fork_some(&mut child, 3, |&object, _| object).unwrap() == Copied::Some {}
        let inherited = live.iter().filter(|(_, (_, rights))| *rights == Rights::DUP);
        prop_assert_eq!(child.used() as usize, inherited.count());
        for (&handle, (object, rights)) in &live {
            let kept = (*rights == Rights::DUP).then_some((object, *rights));
            prop_assert_eq!(child.get(Handle(handle)), kept);
        }
        let new = insert(&mut child, 9999, Rights::empty()).unwrap();
        prop_assert!(!live.contains_key(&new.0));
        let mut left = 0;
        while table.pop().is_some() { left += 1; }
        prop_assert_eq!(left, live.len());
        prop_assert_eq!(table.used(), 0);
    }
}

#[test]
fn the_limit_is_an_error() {
    let mut table = HandleTable::new();
    for object in 0..HANDLES_MAX as usize {
        insert(&mut table, object as u32, Rights::empty()).unwrap();
    }
    assert_eq!(
        insert(&mut table, 0, Rights::empty()),
        Err(Error::TooManyHandles)
    );
    table.remove(Handle(1)).unwrap();
    assert!(insert(&mut table, 0, Rights::empty()).is_ok());
}

#[test]
fn zero_names_nothing() {
    let mut table = HandleTable::new();
    insert(&mut table, 5, Rights::all()).unwrap();
    assert_eq!(table.get(Handle::NONE), None);
}
