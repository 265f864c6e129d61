use proptest::prelude::*;

use super::*;
use crate::mm::host;

/// An object, and the byte that it is filled with.
struct Object {
    pointer: *mut u8,
    layout: Layout,
    tag: u8,
}

impl Object {
    fn new(layout: Layout, tag: u8) -> Object {
        // SAFETY: the layout is not empty.
        let pointer = unsafe { Heap.alloc(layout) };
        assert!(!pointer.is_null() && pointer.align_offset(layout.align()) == 0);
        let mut object = Object {
            pointer,
            layout,
            tag,
        };
        object.fill();
        object
    }

    fn fill(&mut self) {
        // SAFETY: the object has so many bytes, and nobody else's.
        unsafe { core::ptr::write_bytes(self.pointer, self.tag, self.layout.size()) };
    }

    /// Nobody else has written the first `count` bytes.
    fn check(&self, count: usize) {
        // SAFETY: the object has so many bytes, all written.
        let bytes = unsafe { core::slice::from_raw_parts(self.pointer, count) };
        assert!(bytes.iter().all(|&byte| byte == self.tag));
    }

    fn resize(&mut self, size: usize) {
        let kept = size.min(self.layout.size());
        // SAFETY: allocated with this layout; the size is not 0 and far below the largest.
        self.pointer = unsafe { Heap.realloc(self.pointer, self.layout, size) };
        assert!(!self.pointer.is_null());
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        self.check(kept);
        self.fill();
    }

    fn free(self) {
        self.check(self.layout.size());
        // SAFETY: allocated with this layout, and not used again.
        unsafe { Heap.dealloc(self.pointer, self.layout) };
    }
}

/// Gives all magazines back; frames that are still in slabs.
fn trim_all(cpus: usize) -> u64 {
    (0..cpus).for_each(|cpu| {
        host::run_on(cpu);
        trim();
    });
    host::run_on(0);
    slab_frames()
}

proptest! {
    /// Objects do not overlap, wherever they are allocated and freed, and are all given back.
    #[test]
    fn magazines_of_several_cpus_hold_each_object_once(
        steps in proptest::collection::vec(
            (0..3usize, 0..3u8, 1..5000usize, 0..7u32, any::<usize>()), 1..host::most(400)),
    ) {
        let _memory = host::memory();
        trim_all(3);
        let before = (frame::statistics().0, slab_frames());
        let mut objects: Vec<Object> = Vec::new();
        for (number, (cpu, what, size, shift, which)) in steps.into_iter().enumerate() {
            host::run_on(cpu);
            // Small ones are the most frequent.
            let size = if which % 4 == 0 { size } else { 1 + size % 300 };
            match what {
                0 if !objects.is_empty() => objects.swap_remove(which % objects.len()).free(),
                1 if !objects.is_empty() => {
                    let place = which % objects.len();
                    objects[place].resize(size);
                }
                _ => {
                    let layout = Layout::from_size_align(size, 1 << shift).unwrap();
                    objects.push(Object::new(layout, number as u8));
                }
            }
        }
        objects.into_iter().for_each(Object::free);
        let kept = trim_all(3);
        // A class keeps one slab at most that has room.
        prop_assert!(kept <= before.1 + 4 * CLASSES as u64);
        prop_assert_eq!(frame::statistics().0 + kept, before.0 + before.1);
    }
}
