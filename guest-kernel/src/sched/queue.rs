//! A CPU's run queue: a FIFO list for each of the 128 priorities, and bitmaps of the lists in use.
//!
//! Priorities 4 to 45 age: [`age`](RunQueue::age) raises every thread that waits there by one, all at
//! once, by turning the ring of their lists one step. So adding, taking the highest and
//! ageing all take constant time, and the effective priority of a thread that waits is its own plus the slices
//! waited, bounded by the range.

use ferrix_abi::sched::{NORMAL, PRIORITIES};

use crate::object::list::{Linked, Links, List};
use crate::object::{Core, CoreCell};

/// The kind of the list links that run queues use (and waits: a thread is in one queue at most).
#[derive(Debug)]
pub struct InQueue;

/// What a run queue needs to note in its items.
pub trait Runnable: Linked<InQueue> {
    /// Which list of the queue it is in.
    fn place(&self) -> &CoreCell<u8>;
}

const LOWEST: u8 = *NORMAL.start();
const RING: usize = (*NORMAL.end() - LOWEST) as usize + 1;
const TOP: usize = RING - 1;
/// Places from here on are the ring's, those below are priorities.
const RING_PLACES: usize = PRIORITIES;
const PLACES: usize = PRIORITIES + RING;
/// The ring's bits in their word.
const RING_BITS: u64 = (1 << RING) - 1;

/// Whether threads that wait at this priority age.
#[inline(always)]
pub const fn ages(priority: u8) -> bool {
    priority.wrapping_sub(LOWEST) < RING as u8
}

/// A run queue.
#[derive(Debug)]
pub struct RunQueue<T: 'static> {
    lists: [List<T, InQueue>; PLACES],
    /// One bit for each place whose list is not empty.
    used: [CoreCell<u64>; 3],
    /// The place in the ring that holds priority 4.
    first: CoreCell<u8>,
    length: CoreCell<u32>,
}

impl<T: Runnable> RunQueue<T> {
    /// An empty queue.
    pub const fn new() -> RunQueue<T> {
        RunQueue {
            lists: [const { List::new() }; PLACES],
            used: [const { CoreCell::new(0) }; 3],
            first: CoreCell::new(0),
            length: CoreCell::new(0),
        }
    }

    /// Threads that wait.
    #[inline(always)]
    pub fn length(&self, core: &Core) -> u32 {
        self.length.get(core)
    }

    /// Whether threads wait that age.
    #[inline(always)]
    pub fn has_ageing(&self, core: &Core) -> bool {
        self.used[2].get(core) != 0
    }

    /// The place of a priority.
    #[inline(always)]
    fn place(&self, core: &Core, priority: u8) -> usize {
        if ages(priority) {
            self.ring_place(core, (priority - LOWEST) as usize)
        } else {
            priority as usize
        }
    }

    /// The place of the ring's n-th priority.
    #[inline(always)]
    fn ring_place(&self, core: &Core, level: usize) -> usize {
        let index = self.first.get(core) as usize + level;
        RING_PLACES + if index >= RING { index - RING } else { index }
    }

    #[inline(always)]
    fn mark(&self, core: &Core, place: usize) {
        let word = &self.used[place / 64];
        word.set(core, word.get(core) | 1 << (place % 64));
    }

    /// A thread has left a place.
    #[inline(always)]
    fn left(&self, core: &Core, place: usize) {
        if self.lists[place].is_empty(core) {
            let word = &self.used[place / 64];
            word.set(core, word.get(core) & !(1 << (place % 64)));
        }
    }

    /// Adds a thread behind those of its priority.
    #[inline(always)]
    pub fn push_back(&self, core: &Core, item: &'static T, priority: u8) {
        let place = self.place(core, priority);
        self.lists[place].push_back(core, item);
        self.added(core, item, place);
    }

    /// Adds a thread before those of its priority: it was preempted.
    pub fn push_front(&self, core: &Core, item: &'static T, priority: u8) {
        let place = self.place(core, priority);
        self.lists[place].push_front(core, item);
        self.added(core, item, place);
    }

    #[inline(always)]
    fn added(&self, core: &Core, item: &'static T, place: usize) {
        item.place().set(core, place as u8);
        self.mark(core, place);
        self.length.add(core, 1);
    }

    /// Takes a thread of this queue out.
    pub fn remove(&self, core: &Core, item: &'static T) {
        let place = item.place().get(core) as usize;
        self.lists[place].remove(core, item);
        self.left(core, place);
        self.length.decrement(core);
    }

    /// The highest effective priority that waits.
    #[inline(always)]
    pub fn top(&self, core: &Core) -> Option<u8> {
        if self.length.get(core) == 0 {
            return None;
        }
        let high = self.used[1].get(core);
        Some(if high != 0 {
            64 + highest(high)
        } else {
            self.top_below_64(core)
        })
    }

    #[inline(always)]
    fn top_below_64(&self, core: &Core) -> u8 {
        let low = self.used[0].get(core);
        let ring = self.used[2].get(core);
        if ring == 0 || low >> (LOWEST as usize + RING) != 0 {
            return highest(low);
        }
        let first = self.first.get(core) as u32;
        let turned = (ring >> first | ring << (RING as u32 - first)) & RING_BITS;
        LOWEST + highest(turned)
    }

    /// Takes the first thread of the highest priority out.
    #[inline(always)]
    pub fn pop(&self, core: &Core) -> Option<&'static T> {
        let priority = self.top(core)?;
        Some(self.pop_from(core, priority))
    }

    /// Takes the first thread of a priority out.
    ///
    /// # Panics
    /// If none waits there.
    #[inline(always)]
    pub fn pop_from(&self, core: &Core, priority: u8) -> &'static T {
        let place = self.place(core, priority);
        let Some(item) = self.lists[place].pop_front(core) else {
            unreachable!("the bitmaps tell which lists are used")
        };
        self.left(core, place);
        self.length.decrement(core);
        item
    }

    /// A slice has passed: every thread that waits in the ageing range rises by one priority.
    pub fn age(&self, core: &Core) {
        if !self.has_ageing(core) {
            return;
        }
        let (oldest, below) = (self.ring_place(core, TOP), self.ring_place(core, TOP - 1));
        self.first.set(core, (oldest - RING_PLACES) as u8);
        // The top cannot rise: it joins, in front, those that have just come up.
        while let Some(item) = self.lists[oldest].last(core) {
            self.lists[oldest].remove(core, item);
            self.lists[below].push_front(core, item);
            item.place().set(core, below as u8);
            self.mark(core, below);
        }
        self.left(core, oldest);
    }

    /// A waiting thread that `allowed` accepts, the least urgent first: for another CPU to take.
    pub fn find(&self, core: &Core, allowed: impl Fn(&T) -> bool) -> Option<&'static T> {
        (0..PRIORITIES as u8).find_map(|priority| {
            let list = &self.lists[self.place(core, priority)];
            list.iter(core).find(|item| allowed(item))
        })
    }
}

/// The number of the highest bit of a word that is not zero.
#[inline(always)]
const fn highest(word: u64) -> u8 {
    63 - word.leading_zeros() as u8
}

impl<T: Runnable> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a thread is in its queue; part of the thread.
#[derive(Debug, Default)]
pub struct QueuePlace<T: 'static> {
    /// Its neighbours.
    pub links: Links<T>,
    /// Its list.
    pub place: CoreCell<u8>,
}

impl<T> QueuePlace<T> {
    /// In no queue.
    pub const fn new() -> QueuePlace<T> {
        QueuePlace {
            links: Links::new(),
            place: CoreCell::new(0),
        }
    }
}

#[cfg(test)]
mod tests;
