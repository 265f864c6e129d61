use proptest::prelude::*;

use super::*;
use crate::mm::host;

proptest! {
    /// Objects do not overlap, keep what is written to them, and all slabs but one go in the end.
    #[test]
    fn objects_are_exclusive(
        class in 0..SIZES.len(),
        steps in proptest::collection::vec(proptest::option::weighted(0.4, any::<usize>()), 1..host::most(400)),
    ) {
        let _memory = host::memory();
        let size = SIZES[class] as usize;
        let mut slabs = Slabs::new(class);
        let mut objects: Vec<(*mut u8, u8)> = Vec::new();
        for (step, free) in steps.into_iter().enumerate() {
            if let (Some(which), false) = (free, objects.is_empty()) {
                let (object, tag) = objects.swap_remove(which % objects.len());
                // SAFETY: the object was handed out with `size` bytes and is not yet freed.
                let bytes = unsafe { core::slice::from_raw_parts(object, size) };
                prop_assert!(bytes.iter().all(|&byte| byte == tag));
                slabs.free(object);
            } else {
                let object = slabs.alloc().unwrap();
                prop_assert_eq!(object as usize % 16, 0);
                prop_assert!(!size.is_power_of_two() || (object as usize).is_multiple_of(size.min(4096)));
                // SAFETY: the object has `size` bytes, and is ours.
                unsafe { core::ptr::write_bytes(object, step as u8, size) };
                objects.push((object, step as u8));
            }
        }
        objects.into_iter().for_each(|(object, _)| slabs.free(object));
        prop_assert!(slabs.frames() <= 1);
    }
}

#[test]
fn classes_are_served_by_slabs_of_several_objects() {
    assert!((0..SIZES.len()).all(|class| Slabs::new(class).capacity() >= 2));
    assert!(SIZES.iter().all(|size| size % 16 == 0));
}
