//! Page index → frame: the pages of an anonymous object.
//!
//! A radix tree that is as tall as its largest index needs: leaves of 32 frames, inner nodes of
//! 16 children. Frame 0 stands for "no page".

use alloc::boxed::Box;

use ferrix_abi::error::Result;

use super::frame;
use super::phys::Frame;

const LEAF_BITS: u32 = 5;
const INNER_BITS: u32 = 4;
const LEAF: usize = 1 << LEAF_BITS;
const INNER: usize = 1 << INNER_BITS;

#[derive(Debug)]
enum Node {
    Leaf([u32; LEAF]),
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
    Ok(Box::new(match height {
        0 => Node::Leaf([0; LEAF]),
        _ => Node::Inner([const { None }; INNER]),
    }))
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
                Node::Leaf(frames) => return Some(frames),
                Node::Inner(children) => {
                    node = children[(index >> shift(height)) as usize % INNER].as_deref()?;
                    height -= 1;
                }
            }
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
                Node::Leaf(frames) => {
                    let old = core::mem::replace(&mut frames[index as usize % LEAF], frame.0);
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
        Node::Leaf(frames) => {
            for (slot, &frame) in frames.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::mm::host;

    proptest! {
        #[test]
        fn behaves_like_a_map(
            inserts in proptest::collection::vec((0u64..1 << 34, 0u32..40, 1u32..1000), 1..60),
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
