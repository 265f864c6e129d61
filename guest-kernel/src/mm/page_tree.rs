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

    /// How many pages directly behind the one at `index` are absent; counts up to `most`, and within its leaf.
    pub fn room_behind(&self, index: u64, most: u64) -> u32 {
        let behind = index as usize % LEAF + 1;
        let Some(leaf) = self.leaf(index) else {
            return 0;
        };
        let entries = leaf[behind..].iter().take(most as usize);
        entries.take_while(|&&entry| entry == 0).count() as u32
    }

    /// Enters `count` consecutive frames directly behind the page at `index`, where [`room_behind`](Self::room_behind)
    /// has found room.
    pub fn fill_behind(&mut self, index: u64, first: Frame, count: u32) {
        let behind = index as usize % LEAF + 1;
        let Some(leaf) = self.leaf_mut(index) else {
            return;
        };
        let entries = &mut leaf.frames[behind..behind + count as usize];
        for (entry, frame) in entries.iter_mut().zip(first.0..) {
            *entry = frame;
        }
        let mask = (1u64 << count).wrapping_sub(1) << behind;
        leaf.dirty &= !(mask as u32);
        self.pages += u64::from(count);
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
mod tests;
