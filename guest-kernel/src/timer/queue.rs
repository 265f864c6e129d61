//! A queue of deadlines: a pairing heap through nodes that live in what they belong to.
//!
//! Arming is a handful of instructions, the earliest deadline is at hand, and taking a node out
//! (most timers never expire) costs the logarithm of the queue's length. Nothing is allocated.

use crate::object::{Core, CoreCell};

/// A timer: a deadline, and whose it is.
#[derive(Debug)]
pub struct Timer<O: Copy + 'static> {
    deadline: CoreCell<u64>,
    owner: CoreCell<Option<O>>,
    /// The queue that the timer is in (its CPU), while it is armed.
    home: CoreCell<Option<&'static DeadlineQueue<O>>>,
    child: CoreCell<Option<&'static Timer<O>>>,
    sibling: CoreCell<Option<&'static Timer<O>>>,
    /// The sibling on the left, or the parent of the leftmost.
    previous: CoreCell<Option<&'static Timer<O>>>,
}

type Node<O> = &'static Timer<O>;

impl<O: Copy + Send> Timer<O> {
    /// Not armed.
    pub const fn new() -> Timer<O> {
        Timer {
            deadline: CoreCell::new(u64::MAX),
            owner: CoreCell::new(None),
            home: CoreCell::new(None),
            child: CoreCell::new(None),
            sibling: CoreCell::new(None),
            previous: CoreCell::new(None),
        }
    }

    /// Whether it will expire.
    #[inline(always)]
    pub fn is_armed(&self, core: &Core) -> bool {
        self.home.get(core).is_some()
    }

    /// When it expires or expired last.
    pub fn deadline(&self, core: &Core) -> u64 {
        self.deadline.get(core)
    }

    /// Disarms it, wherever it is.
    #[inline(always)]
    pub fn cancel(&'static self, core: &Core) {
        if let Some(queue) = self.home.get(core) {
            queue.remove(core, self);
        }
    }
}

impl<O: Copy + Send> Default for Timer<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// Timers by deadline.
#[derive(Debug)]
pub struct DeadlineQueue<O: Copy + 'static> {
    root: CoreCell<Option<Node<O>>>,
}

impl<O: Copy + Send> DeadlineQueue<O> {
    /// An empty queue.
    pub const fn new() -> DeadlineQueue<O> {
        DeadlineQueue {
            root: CoreCell::new(None),
        }
    }

    /// Whether no timer is armed.
    #[inline(always)]
    pub fn is_empty(&self, core: &Core) -> bool {
        self.root.get(core).is_none()
    }

    /// The earliest deadline.
    #[inline(always)]
    pub fn earliest(&self, core: &Core) -> Option<u64> {
        Some(self.root.get(core)?.deadline.get(core))
    }

    /// Arms a timer that is not armed.
    pub fn insert(&'static self, core: &Core, timer: Node<O>, deadline: u64, owner: O) {
        timer.deadline.set(core, deadline);
        timer.owner.set(core, Some(owner));
        timer.home.set(core, Some(self));
        timer.child.set(core, None);
        let root = match self.root.get(core) {
            Some(root) => meld(core, root, timer),
            None => single(core, timer),
        };
        self.root.set(core, Some(root));
    }

    /// Disarms a timer of this queue.
    pub fn remove(&self, core: &Core, timer: Node<O>) {
        let rest = merge_pairs(core, timer.child.take(core));
        timer.home.set(core, None);
        let Some(previous) = timer.previous.get(core) else {
            self.root.set(core, rest);
            return;
        };
        let sibling = timer.sibling.get(core);
        match previous.child.get(core) {
            Some(child) if core::ptr::eq(child, timer) => previous.child.set(core, sibling),
            _ => previous.sibling.set(core, sibling),
        }
        if let Some(sibling) = sibling {
            sibling.previous.set(core, Some(previous));
        }
        if let (Some(rest), Some(root)) = (rest, self.root.get(core)) {
            self.root.set(core, Some(meld(core, root, rest)));
        }
    }

    /// Takes the owner of the earliest timer out if its deadline is not after `now`.
    pub fn pop_due(&self, core: &Core, now: u64) -> Option<O> {
        let first = self
            .root
            .get(core)
            .filter(|first| first.deadline.get(core) <= now)?;
        self.remove(core, first);
        first.owner.take(core)
    }
}

impl<O: Copy + Send> Default for DeadlineQueue<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a node a tree of its own (its children stay).
fn single<O: Copy + Send>(core: &Core, node: Node<O>) -> Node<O> {
    node.sibling.set(core, None);
    node.previous.set(core, None);
    node
}

/// Joins two trees.
fn meld<O: Copy + Send>(core: &Core, a: Node<O>, b: Node<O>) -> Node<O> {
    let first = a.deadline.get(core) <= b.deadline.get(core);
    let (parent, node) = if first { (a, b) } else { (b, a) };
    let eldest = parent.child.replace(core, Some(node));
    node.sibling.set(core, eldest);
    node.previous.set(core, Some(parent));
    if let Some(eldest) = eldest {
        eldest.previous.set(core, Some(node));
    }
    single(core, parent)
}

/// Joins a list of siblings: in pairs from left to right, then from right to left.
fn merge_pairs<O: Copy + Send>(core: &Core, first: Option<Node<O>>) -> Option<Node<O>> {
    let mut next = first;
    let mut pairs: Option<Node<O>> = None;
    while let Some(a) = next {
        let second = a.sibling.get(core);
        next = second.and_then(|b| b.sibling.get(core));
        let pair = match second {
            Some(b) => meld(core, a, b),
            None => single(core, a),
        };
        pair.sibling.set(core, pairs);
        pairs = Some(pair);
    }
    let mut tree = pairs?;
    let mut next = tree.sibling.get(core);
    tree = single(core, tree);
    while let Some(pair) = next {
        next = pair.sibling.get(core);
        tree = meld(core, tree, pair);
    }
    Some(tree)
}

#[cfg(test)]
mod tests;
