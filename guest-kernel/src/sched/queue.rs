//! A CPU's run queue: a FIFO list for each of the 128 priorities, and bitmaps of the lists in use.
//!
//! Priorities 4 to 45 age: [`age`](RunQueue::age) raises every thread that waits there by one, all at
//! once, by turning the ring of their lists one step. So adding, taking the highest and
//! ageing all take constant time, and the effective priority of a thread that waits is its own plus the slices
//! waited, bounded by the range.

use core::ops::RangeInclusive;

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
/// Places from here on are the ring's.
const RING_PLACES: u8 = PRIORITIES as u8;

/// Whether threads that wait at this priority age.
#[inline(always)]
pub const fn ages(priority: u8) -> bool {
    const RANGE: RangeInclusive<u8> = NORMAL;
    priority >= *RANGE.start() && priority <= *RANGE.end()
}

/// A run queue.
#[derive(Debug)]
pub struct RunQueue<T: 'static> {
    fixed: [List<T, InQueue>; PRIORITIES],
    ring: [List<T, InQueue>; RING],
    /// The list of the ring that holds priority 4.
    first: CoreCell<u8>,
    fixed_used: [CoreCell<u64>; 2],
    /// Bit n: priority 4 + n.
    ring_used: CoreCell<u64>,
    length: CoreCell<u32>,
}

impl<T: Runnable> RunQueue<T> {
    /// An empty queue.
    pub const fn new() -> RunQueue<T> {
        RunQueue {
            fixed: [const { List::new() }; PRIORITIES],
            ring: [const { List::new() }; RING],
            first: CoreCell::new(0),
            fixed_used: [const { CoreCell::new(0) }; 2],
            ring_used: CoreCell::new(0),
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
        self.ring_used.get(core) != 0
    }

    /// The list, and its place, for a priority.
    #[inline(always)]
    fn list(&self, core: &Core, priority: u8) -> (&List<T, InQueue>, u8) {
        if !ages(priority) {
            return (&self.fixed[priority as usize], priority);
        }
        let index = self.ring_index(core, (priority - LOWEST) as usize);
        (&self.ring[index], RING_PLACES + index as u8)
    }

    #[inline(always)]
    fn ring_index(&self, core: &Core, level: usize) -> usize {
        let index = self.first.get(core) as usize + level;
        if index >= RING { index - RING } else { index }
    }

    #[inline(always)]
    fn mark(&self, core: &Core, priority: u8) {
        if ages(priority) {
            let used = self.ring_used.get(core) | 1 << (priority - LOWEST);
            self.ring_used.set(core, used);
        } else {
            let word = &self.fixed_used[(priority >> 6) as usize];
            word.set(core, word.get(core) | 1 << (priority & 63));
        }
    }

    #[inline(always)]
    fn unmark(&self, core: &Core, priority: u8) {
        if ages(priority) {
            let used = self.ring_used.get(core) & !(1 << (priority - LOWEST));
            self.ring_used.set(core, used);
        } else {
            let word = &self.fixed_used[(priority >> 6) as usize];
            word.set(core, word.get(core) & !(1 << (priority & 63)));
        }
    }

    /// Adds a thread behind those of its priority.
    pub fn push_back(&self, core: &Core, item: &'static T, priority: u8) {
        let (list, place) = self.list(core, priority);
        list.push_back(core, item);
        self.added(core, item, priority, place);
    }

    /// Adds a thread before those of its priority: it was preempted.
    pub fn push_front(&self, core: &Core, item: &'static T, priority: u8) {
        let (list, place) = self.list(core, priority);
        list.push_front(core, item);
        self.added(core, item, priority, place);
    }

    #[inline(always)]
    fn added(&self, core: &Core, item: &'static T, priority: u8, place: u8) {
        item.place().set(core, place);
        self.mark(core, priority);
        self.length.add(core, 1);
    }

    /// Takes a thread of this queue out.
    pub fn remove(&self, core: &Core, item: &'static T) {
        let place = item.place().get(core);
        let (list, priority) = if place < RING_PLACES {
            (&self.fixed[place as usize], place)
        } else {
            let index = (place - RING_PLACES) as usize;
            let level = (index + RING - self.first.get(core) as usize) % RING;
            (&self.ring[index], LOWEST + level as u8)
        };
        list.remove(core, item);
        if list.is_empty(core) {
            self.unmark(core, priority);
        }
        self.length.decrement(core);
    }

    /// The highest effective priority that waits.
    #[inline(always)]
    pub fn top(&self, core: &Core) -> Option<u8> {
        if self.length.get(core) == 0 {
            return None;
        }
        let [low, high] = [self.fixed_used[0].get(core), self.fixed_used[1].get(core)];
        if high != 0 {
            return Some(127 - high.leading_zeros() as u8);
        }
        let servers = low >> (LOWEST as usize + RING);
        let ring = self.ring_used.get(core);
        Some(match (servers, ring) {
            (0, 0) => 63 - low.leading_zeros() as u8,
            (0, _) => LOWEST + 63 - ring.leading_zeros() as u8,
            _ => 63 - low.leading_zeros() as u8,
        })
    }

    /// Takes the first thread of the highest priority out.
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
        let (list, _) = self.list(core, priority);
        let Some(item) = list.first(core) else {
            unreachable!("the bitmaps tell which lists are used")
        };
        list.remove(core, item);
        if list.is_empty(core) {
            self.unmark(core, priority);
        }
        self.length.decrement(core);
        item
    }

    /// A slice has passed: every thread that waits in the ageing range rises by one priority.
    pub fn age(&self, core: &Core) {
        let used = self.ring_used.get(core);
        if used == 0 {
            return;
        }
        let (oldest, below) = (self.ring_index(core, TOP), self.ring_index(core, TOP - 1));
        self.first.set(core, oldest as u8);
        // The top cannot rise: it joins, in front, those that have just come up.
        let mut queued: Option<&'static T> = None;
        while let Some(item) = self.pop_last(core, oldest) {
            self.ring[below].push_front(core, item);
            item.place().set(core, RING_PLACES + below as u8);
            queued = Some(item);
        }
        let risen = (used << 1) & ((1 << RING) - 1);
        self.ring_used
            .set(core, risen | (queued.is_some() as u64) << TOP);
    }

    fn pop_last(&self, core: &Core, index: usize) -> Option<&'static T> {
        let last = self.ring[index].last(core)?;
        self.ring[index].remove(core, last);
        Some(last)
    }

    /// A waiting thread that `allowed` accepts, the least urgent first: for another CPU to take.
    pub fn find(&self, core: &Core, allowed: impl Fn(&T) -> bool) -> Option<&'static T> {
        (0..PRIORITIES as u8).find_map(|priority| {
            self.list(core, priority)
                .0
                .iter(core)
                .find(|item| allowed(item))
        })
    }
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
