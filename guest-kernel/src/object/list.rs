//! Intrusive doubly linked lists: pushing, popping and removing allocate nothing.
//!
//! An item has one [`Links`] for each list that it can be in at the same time; the type
//! parameter `K` of [`Linked`] says which. Items are type-stable and live for good (see
//! [`pool`](super::pool)), so lists hold plain static references.

use core::fmt;

use super::core_lock::{Core, CoreCell};

/// The neighbours of an item in one list.
pub struct Links<T: 'static> {
    next: CoreCell<Option<&'static T>>,
    previous: CoreCell<Option<&'static T>>,
}

impl<T> Links<T> {
    /// In no list.
    pub const fn new() -> Links<T> {
        Links {
            next: CoreCell::new(None),
            previous: CoreCell::new(None),
        }
    }
}

impl<T> Links<T> {
    /// For debuggers: where the next item is named.
    pub const NEXT: usize = core::mem::offset_of!(Links<T>, next);
}

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Links<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

/// An item of lists of kind `K`.
pub trait Linked<K>: Sized + Sync + 'static {
    /// Its place in that list.
    fn links(&self) -> &Links<Self>;
}

/// A list of kind `K`; first in, first out.
pub struct List<T: 'static, K> {
    head: CoreCell<Option<&'static T>>,
    tail: CoreCell<Option<&'static T>>,
    kind: core::marker::PhantomData<fn() -> K>,
}

impl<T: Linked<K>, K> List<T, K> {
    /// For debuggers: where the first item is named.
    pub const HEAD: usize = core::mem::offset_of!(List<T, K>, head);

    /// An empty list.
    pub const fn new() -> List<T, K> {
        List {
            head: CoreCell::new(None),
            tail: CoreCell::new(None),
            kind: core::marker::PhantomData,
        }
    }

    /// Whether there is no item.
    #[inline(always)]
    pub fn is_empty(&self, core: &Core) -> bool {
        self.head.get(core).is_none()
    }

    /// The first item.
    #[inline(always)]
    pub fn first(&self, core: &Core) -> Option<&'static T> {
        self.head.get(core)
    }

    /// The last item.
    #[inline(always)]
    pub fn last(&self, core: &Core) -> Option<&'static T> {
        self.tail.get(core)
    }

    /// Appends an item that is in no list of this kind.
    #[inline(always)]
    pub fn push_back(&self, core: &Core, item: &'static T) {
        let links = item.links();
        let last = self.tail.replace(core, Some(item));
        links.next.set(core, None);
        links.previous.set(core, last);
        match last {
            Some(last) => last.links().next.set(core, Some(item)),
            None => self.head.set(core, Some(item)),
        }
    }

    /// Puts an item that is in no list of this kind in front.
    #[inline(always)]
    pub fn push_front(&self, core: &Core, item: &'static T) {
        let links = item.links();
        let first = self.head.replace(core, Some(item));
        links.next.set(core, first);
        links.previous.set(core, None);
        match first {
            Some(first) => first.links().previous.set(core, Some(item)),
            None => self.tail.set(core, Some(item)),
        }
    }

    /// Takes the first item out.
    #[inline(always)]
    pub fn pop_front(&self, core: &Core) -> Option<&'static T> {
        let first = self.head.get(core)?;
        let next = first.links().next.get(core);
        self.head.set(core, next);
        match next {
            Some(next) => next.links().previous.set(core, None),
            None => self.tail.set(core, None),
        }
        Some(first)
    }

    /// Takes everything out.
    #[inline(always)]
    pub fn clear(&self, core: &Core) {
        self.head.set(core, None);
        self.tail.set(core, None);
    }

    /// Takes `first`, the first item, out, and appends one that is in no list of this kind.
    #[inline(always)]
    pub fn exchange(&self, core: &Core, first: &'static T, item: &'static T) {
        if first.links().next.get(core).is_some() {
            let _ = self.pop_front(core);
            self.push_back(core, item);
        } else {
            item.links().next.set(core, None);
            item.links().previous.set(core, None);
            self.head.set(core, Some(item));
            self.tail.set(core, Some(item));
        }
    }

    /// Takes an item of *this* list out.
    #[inline(always)]
    pub fn remove(&self, core: &Core, item: &'static T) {
        let links = item.links();
        let (next, previous) = (links.next.get(core), links.previous.get(core));
        match next {
            Some(next) => next.links().previous.set(core, previous),
            None => self.tail.set(core, previous),
        }
        match previous {
            Some(previous) => previous.links().next.set(core, next),
            None => self.head.set(core, next),
        }
    }

    /// The items from first to last. The item just yielded may be removed.
    pub fn iter<'a>(&self, core: &'a Core) -> impl Iterator<Item = &'static T> + use<'a, T, K> {
        let mut next = self.head.get(core);
        core::iter::from_fn(move || {
            let item = next?;
            next = item.links().next.get(core);
            Some(item)
        })
    }

    /// The item behind `item` (`None`: the first).
    pub fn after(&self, core: &Core, item: Option<&'static T>) -> Option<&'static T> {
        match item {
            Some(item) => item.links().next.get(core),
            None => self.head.get(core),
        }
    }
}

impl<T: Linked<K>, K> Default for List<T, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, K> fmt::Debug for List<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("List")
    }
}

/// A stack of kind `K`: last in, first out. Cheaper than a [`List`] at both ends of an item's stay,
/// dearer when an item is taken out from the middle.
pub struct Stack<T: 'static, K> {
    top: CoreCell<Option<&'static T>>,
    kind: core::marker::PhantomData<fn() -> K>,
}

impl<T: Linked<K>, K> Stack<T, K> {
    /// An empty stack.
    pub const fn new() -> Stack<T, K> {
        Stack {
            top: CoreCell::new(None),
            kind: core::marker::PhantomData,
        }
    }

    /// The item that came last.
    #[inline(always)]
    pub fn top(&self, core: &Core) -> Option<&'static T> {
        self.top.get(core)
    }

    /// Adds an item that is in no list of this kind.
    #[inline(always)]
    pub fn push(&self, core: &Core, item: &'static T) {
        item.links().next.set(core, self.top.get(core));
        self.top.set(core, Some(item));
    }

    /// Takes the top item, `item`, out.
    #[inline(always)]
    pub fn pop(&self, core: &Core, item: &'static T) {
        self.top.set(core, item.links().next.get(core));
    }

    /// Takes an item of *this* stack out, wherever it is.
    pub fn remove(&self, core: &Core, item: &'static T) {
        let next = item.links().next.get(core);
        let above = self.iter(core).find(|above| {
            above
                .links()
                .next
                .get(core)
                .is_some_and(|below| core::ptr::eq(below, item))
        });
        match above {
            Some(above) => above.links().next.set(core, next),
            None => self.top.set(core, next),
        }
    }

    /// The items from the last to the first.
    pub fn iter<'a>(&self, core: &'a Core) -> impl Iterator<Item = &'static T> + use<'a, T, K> {
        let mut next = self.top.get(core);
        core::iter::from_fn(move || {
            let item = next?;
            next = item.links().next.get(core);
            Some(item)
        })
    }
}

impl<T: Linked<K>, K> Default for Stack<T, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, K> fmt::Debug for Stack<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack")
    }
}

#[cfg(test)]
mod tests {
    use super::super::core_lock::lock;
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    struct Item(u8, Links<Item>);

    impl Linked<()> for Item {
        fn links(&self) -> &Links<Item> {
            &self.1
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_deque(steps in prop::collection::vec((0u8..4, 0u8..8), 0..100)) {
            let items: &'static [Item] =
                Vec::leak((0..8).map(|n| Item(n, Links::new())).collect::<Vec<_>>());
            let list: List<Item, ()> = List::new();
            let mut model: VecDeque<u8> = VecDeque::new();
            let core = lock();
            for (step, n) in steps {
                let item = &items[n as usize];
                let inside = model.contains(&n);
                match step {
                    0 if !inside => { list.push_back(&core, item); model.push_back(n); }
                    1 if !inside => { list.push_front(&core, item); model.push_front(n); }
                    2 if inside => { list.remove(&core, item); model.retain(|&m| m != n); }
                    3 => assert_eq!(list.pop_front(&core).map(|item| item.0), model.pop_front()),
                    _ => {}
                }
                let order: Vec<u8> = list.iter(&core).map(|item| item.0).collect();
                prop_assert_eq!(order, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
