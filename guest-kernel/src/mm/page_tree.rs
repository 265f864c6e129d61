//! Page index → frame: the pages of an anonymous or paged object, and which of them were written.
//!
//! A radix tree that is as tall as its largest index needs: leaves of 32 frames, inner nodes of
//! 16 children. Frame 0 stands for "no page". A leaf has a bit for each page that is dirty.

use alloc::boxed::Box;
use core::ops::Range;

use ferrix_abi::error::Result;

use super::frame;
use super::heap::try_box;
use super::phys::Frame;

const LEAF_BITS: u32 = 5;
const INNER_BITS: u32 = 4;
const LEAF: usize = 1 << LEAF_BITS;
const INNER: usize = 1 << INNER_BITS;

#[derive(Debug)]
struct Leaf {
    frames: [u32; LEAF],
    /// Bit n: page n was written since it was last clean.
    dirty: u32,
}

#[derive(Debug)]
enum Node {
    Leaf(Leaf),
    Inner([Option<Box<Node>>; INNER]),
}

/// The pages of an object.
#[derive(Debug, Default)]
pub struct PageTree {
    root: Option<Box<Node>>,
    /// Inner levels above the leaves.
    height: u32,
    pages: u64,
}

/// Bits of the index below those that select a child of a node with `height` levels under it.
const fn shift(height: u32) -> u32 {
    LEAF_BITS + INNER_BITS * (height - 1)
}

fn new_node(height: u32) -> Result<Box<Node>> {
    frame::ensure_reserve()?;
    try_box(match height {
        0 => Node::Leaf(Leaf {
            frames: [0; LEAF],
            dirty: 0,
        }),
        _ => Node::Inner([const { None }; INNER]),
    })
}

impl PageTree {
    /// A tree without pages.
    pub const fn new() -> PageTree {
        PageTree {
            root: None,
            height: 0,
            pages: 0,
        }
    }

    /// Pages present.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The page at `index`.
    pub fn get(&self, index: u64) -> Option<Frame> {
        let leaf = self.leaf(index)?;
        let frame = leaf[index as usize % LEAF];
        (frame != 0).then_some(Frame(frame))
    }

    /// Writes the frames at `first` and the following indices to `frames` (0: no page).
    pub fn get_run(&self, first: u64, frames: &mut [u32]) {
        let mut index = first;
        let mut rest = frames;
        while !rest.is_empty() {
            let slot = index as usize % LEAF;
            let (now, later) = rest.split_at_mut(rest.len().min(LEAF - slot));
            match self.leaf(index) {
                Some(leaf) => now.copy_from_slice(&leaf[slot..slot + now.len()]),
                None => now.fill(0),
            }
            index += now.len() as u64;
            rest = later;
        }
    }

    fn leaf(&self, index: u64) -> Option<&[u32; LEAF]> {
        let mut height = self.height;
        if height == 0 && index >= LEAF as u64
            || height != 0 && index >> shift(height) >= INNER as u64
        {
            return None;
        }
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(&leaf.frames),
                Node::Inner(children) => {
                    node = children[(index >> shift(height)) as usize % INNER].as_deref()?;
                    height -= 1;
                }
            }
        }
    }

    /// Notes that the page at `index` is written, if it is `frame`; whether it is.
    pub fn mark_dirty(&mut self, index: u64, frame: Frame) -> bool {
        let slot = index as usize % LEAF;
        match self.leaf_mut(index) {
            Some(leaf) if leaf.frames[slot] == frame.0 => {
                leaf.dirty |= 1 << slot;
                true
            }
            _ => false,
        }
    }

    /// The leaf of an index, if it has one.
    fn leaf_mut(&mut self, index: u64) -> Option<&mut Leaf> {
        let mut height = self.height;
        if index >> (LEAF_BITS + INNER_BITS * height) != 0 {
            return None;
        }
        let mut node = self.root.as_deref_mut()?;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Inner(children) => {
                    node = children[(index >> shift(height)) as usize % INNER].as_deref_mut()?;
                    height -= 1;
                }
            }
        }
    }

    /// Makes the pages of a range clean; hands the index of each that was dirty to `visit`.
    pub fn take_dirty(&mut self, range: Range<u64>, mut visit: impl FnMut(u64)) {
        let mut each = |base, leaf: &mut Leaf| {
            let mut dirty = leaf.dirty & within(base, &range);
            leaf.dirty &= !dirty;
            while dirty != 0 {
                visit(base + dirty.trailing_zeros() as u64);
                dirty &= dirty - 1;
            }
        };
        if let Some(root) = &mut self.root {
            leaves(root, self.height, 0, &range, &mut each);
        }
    }

    /// Takes out the pages of a range that `choose` (index, whether it is dirty) picks, and hands them to
    /// `taken`.
    pub fn remove(
        &mut self,
        range: Range<u64>,
        mut choose: impl FnMut(u64, bool) -> bool,
        mut taken: impl FnMut(Frame),
    ) {
        let pages = &mut self.pages;
        let mut each = |base, leaf: &mut Leaf| {
            let mut rest = within(base, &range);
            while rest != 0 {
                let slot = rest.trailing_zeros();
                rest &= rest - 1;
                let entry = &mut leaf.frames[slot as usize];
                if *entry != 0 && choose(base + slot as u64, leaf.dirty & 1 << slot != 0) {
                    *pages -= 1;
                    leaf.dirty &= !(1 << slot);
                    taken(Frame(core::mem::take(entry)));
                }
            }
        };
        if let Some(root) = &mut self.root
            && leaves(root, self.height, 0, &range, &mut each) == Left::Nothing
        {
            self.root = None;
            self.height = 0;
        }
    }

    /// Puts a page at an index, and returns the one that it replaces.
    pub fn insert(&mut self, index: u64, frame: Frame) -> Result<Option<Frame>> {
        self.grow(index)?;
        let mut height = self.height;
        let mut slot = &mut self.root;
        loop {
            let node = match slot {
                Some(node) => node,
                empty => empty.insert(new_node(height)?),
            };
            match &mut **node {
                Node::Leaf(leaf) => {
                    let slot = index as usize % LEAF;
                    leaf.dirty &= !(1 << slot);
                    let old = core::mem::replace(&mut leaf.frames[slot], frame.0);
                    self.pages += (old == 0) as u64;
                    return Ok((old != 0).then_some(Frame(old)));
                }
                Node::Inner(children) => {
                    slot = &mut children[(index >> shift(height)) as usize % INNER];
                    height -= 1;
                }
            }
        }
    }

    /// Makes the tree tall enough for `index`.
    fn grow(&mut self, index: u64) -> Result<()> {
        while index >> (LEAF_BITS + INNER_BITS * self.height) != 0 {
            if self.root.is_some() {
                let mut node = new_node(self.height + 1)?;
                if let Node::Inner(children) = &mut *node {
                    children[0] = self.root.take();
                }
                self.root = Some(node);
            }
            self.height += 1;
        }
        Ok(())
    }

    /// Hands every page to `visit` with its index, in ascending order.
    pub fn for_each(&self, mut visit: impl FnMut(u64, Frame)) {
        if let Some(root) = &self.root {
            walk(root, self.height, 0, &mut visit);
        }
    }
}

fn walk(node: &Node, height: u32, base: u64, visit: &mut impl FnMut(u64, Frame)) {
    match node {
        Node::Leaf(leaf) => {
            for (slot, &frame) in leaf.frames.iter().enumerate() {
                if frame != 0 {
                    visit(base + slot as u64, Frame(frame));
                }
            }
        }
        Node::Inner(children) => {
            for (slot, child) in children.iter().enumerate() {
                if let Some(child) = child {
                    walk(
                        child,
                        height - 1,
                        base + ((slot as u64) << shift(height)),
                        visit,
                    );
                }
            }
        }
    }
}

/// The slots of the leaf at `base` that a range covers.
fn within(base: u64, range: &Range<u64>) -> u32 {
    let first = range.start.saturating_sub(base);
    let last = range.end.saturating_sub(base).min(LEAF as u64);
    if first >= last {
        return 0;
    }
    u32::MAX << first & u32::MAX >> (LEAF as u64 - last)
}

/// What a node holds after a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

/// Shows `visit` the leaves that a range touches, with their first index, and frees nodes that become
/// empty; what is left of this node.
fn leaves(
    node: &mut Node,
    height: u32,
    base: u64,
    range: &Range<u64>,
    visit: &mut impl FnMut(u64, &mut Leaf),
) -> Left {
    let left = match node {
        Node::Leaf(leaf) => {
            visit(base, leaf);
            leaf.frames.iter().any(|&entry| entry != 0)
        }
        Node::Inner(children) => {
            for (slot, child) in children.iter_mut().enumerate() {
                let start = base + ((slot as u64) << shift(height));
                let end = start + (1 << shift(height));
                if start < range.end
                    && range.start < end
                    && let Some(below) = child
                    && leaves(below, height - 1, start, range, visit) == Left::Nothing
                {
                    *child = None;
                }
            }
            children.iter().any(Option::is_some)
        }
    };
    if left { Left::Something } else { Left::Nothing }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::mm::host;

    proptest! {
        #[test]
        fn behaves_like_a_map(
            inserts in proptest::collection::vec((0u64..1 << 34, 0u32..40, 1u32..1000), 1..host::most(60)),
        ) {
            let _memory = host::memory();
            let mut tree = PageTree::new();
            let mut model = BTreeMap::new();
            for (index, shift, frame) in inserts {
                let index = index >> shift;
                let old = tree.insert(index, Frame(frame)).unwrap();
                prop_assert_eq!(old, model.insert(index, Frame(frame)));
                prop_assert_eq!(tree.get(index + 1), model.get(&(index + 1)).copied());
            }
            let mut seen = Vec::new();
            tree.for_each(|index, frame| seen.push((index, frame)));
            prop_assert_eq!(tree.pages(), model.len() as u64);
            prop_assert_eq!(seen, model.into_iter().collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn removes_and_tells_what_is_dirty(
            inserts in proptest::collection::vec((0u64..3000, any::<bool>()), 1..host::most(60)),
            ranges in proptest::collection::vec((0u64..3000, 0u64..900, any::<bool>()), 1..6),
            cleaned in (0u64..3000, 0u64..900),
        ) {
            let _memory = host::memory();
            let mut tree = PageTree::new();
            let mut model = BTreeMap::new();
            for (index, dirty) in inserts {
                let frame = Frame(index as u32 + 1);
                tree.insert(index, frame).unwrap();
                prop_assert!(!tree.mark_dirty(index, Frame(index as u32 + 2)));
                prop_assert!(!dirty || tree.mark_dirty(index, frame));
                model.insert(index, dirty);
            }
            let cleaned = cleaned.0..cleaned.0 + cleaned.1;
            tree.take_dirty(cleaned.clone(), |index| {
                assert_eq!(model.insert(index, false), Some(true));
                assert!(cleaned.contains(&index));
            });
            prop_assert!(model.range(cleaned).all(|(_, dirty)| !dirty));
            for (first, count, only_clean) in ranges {
                let range = first..first + count;
                let mut taken = Vec::new();
                let choose = |_, dirty: bool| !(dirty && only_clean);
                tree.remove(range.clone(), choose, |frame| taken.push(u64::from(frame.0) - 1));
                let chosen = |(index, dirty): (&u64, &bool)| {
                    (range.contains(index) && choose(*index, *dirty)).then_some(*index)
                };
                let expected: Vec<u64> = model.iter().filter_map(chosen).collect();
                model.retain(|index, _| !expected.contains(index));
                prop_assert_eq!(taken, expected);
            }
            let mut dirty = Vec::new();
            tree.take_dirty(0..3000, |index| dirty.push(index));
            tree.take_dirty(0..3000, |_| panic!("clean already"));
            let expected = model.iter().filter_map(|(index, dirty)| dirty.then_some(*index));
            prop_assert_eq!(dirty, expected.collect::<Vec<_>>());
            (0..3000).step_by(if cfg!(miri) { 7 } else { 1 }).for_each(|index| {
                assert_eq!(tree.get(index).is_some(), model.contains_key(&index));
            });
            prop_assert_eq!(tree.pages(), model.len() as u64);
            let last = 0..u64::MAX;
            tree.remove(last, |_, _| true, |_| {});
            prop_assert!(tree.root.is_none() && tree.pages() == 0);
        }
    }

    #[test]
    fn an_index_beyond_the_tree_has_no_page() {
        let _memory = host::memory();
        let mut tree = PageTree::new();
        assert_eq!(tree.get(0), None);
        tree.insert(3, Frame(9)).unwrap();
        assert_eq!(tree.get(3 + 32), None);
        assert_eq!(tree.get(3 + (1 << 40)), None);
    }
}
