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
const RING: u8 = *NORMAL.end() - LOWEST + 1;
/// Places that the ring has, a power of two, so that it turns by a mask: the priorities use as many of them in a row.
const SLOTS: u8 = 64;
/// Places from here on are the ring's, those below are priorities.
const RING_PLACES: u8 = PRIORITIES as u8;
/// As many as a byte can name, so that none has to be checked; the last ones are not used.
const PLACES: usize = 256;
/// The ring's bits in their word.
const RING_BITS: u64 = (1 << RING) - 1;

/// Whether threads that wait at this priority age.
#[inline(always)]
pub const fn ages(priority: u8) -> bool {
    priority.wrapping_sub(LOWEST) < RING
}

/// A run queue.
#[derive(Debug)]
pub struct RunQueue<T: 'static> {
    lists: [List<T, InQueue>; PLACES],
    /// One bit for each place that may have threads: set when one comes, cleared when a search finds none.
    used: [CoreCell<u64>; PLACES / 64],
    /// The place in the ring that holds priority 4.
    first: CoreCell<u8>,
    /// One more than the highest priority that waits; 0: nobody waits.
    above: CoreCell<u8>,
    /// The place of the highest priority that waits, or that waited last. Its bit is set, except that of the
    /// lowest place, which is where a search ends anyway.
    best: CoreCell<u8>,
    length: CoreCell<u32>,
}

impl<T: Runnable> RunQueue<T> {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 8] = [
        ("queue.lists", core::mem::offset_of!(RunQueue<T>, lists)),
        ("queue.places", PLACES),
        ("queue.list_size", size_of::<List<T, InQueue>>()),
        ("queue.first", core::mem::offset_of!(RunQueue<T>, first)),
        ("queue.ring_places", RING_PLACES as usize),
        ("queue.ring", SLOTS as usize),
        ("queue.lowest", LOWEST as usize),
        ("queue.length", core::mem::offset_of!(RunQueue<T>, length)),
    ];

    /// An empty queue.
    pub const fn new() -> RunQueue<T> {
        RunQueue {
            lists: [const { List::new() }; PLACES],
            used: [const { CoreCell::new(0) }; PLACES / 64],
            first: CoreCell::new(0),
            above: CoreCell::new(0),
            best: CoreCell::new(0),
            length: CoreCell::new(0),
        }
    }

    /// Threads that wait.
    #[inline(always)]
    pub fn length(&self, core: &Core) -> u32 {
        self.length.get(core)
    }

    /// The place of a priority.
    #[inline(always)]
    fn place(&self, core: &Core, priority: u8) -> u8 {
        if ages(priority) {
            self.ring_place(core, priority - LOWEST)
        } else {
            priority
        }
    }

    /// The place of the ring's n-th priority.
    #[inline(always)]
    fn ring_place(&self, core: &Core, level: u8) -> u8 {
        slot(self.first.get(core) + level)
    }

    #[inline(always)]
    fn list(&self, place: u8) -> &List<T, InQueue> {
        &self.lists[place as usize]
    }

    #[inline(always)]
    fn mark(&self, core: &Core, place: u8) {
        let word = &self.used[place as usize / 64];
        word.set(core, word.get(core) | 1 << (place % 64));
    }

    /// A thread has left a place: it may have been the last one there.
    #[inline(always)]
    fn left(&self, core: &Core, place: u8) {
        if self.length.get(core) == 0 {
            self.above.set(core, 0);
        } else if self.list(place).is_empty(core) {
            self.look(core);
        }
    }

    /// Finds the highest priority that waits; somebody does.
    #[inline(never)]
    fn look(&self, core: &Core) {
        loop {
            let high = self.used[1].get(core);
            let top = if high != 0 {
                64 + highest(high)
            } else {
                self.top_below_64(core)
            };
            let place = self.place(core, top);
            if !self.list(place).is_empty(core) {
                self.above.set(core, top + 1);
                self.best.set(core, place);
                return;
            }
            let word = &self.used[place as usize / 64];
            word.set(core, word.get(core) & !(1 << (place % 64)));
        }
    }

    /// Adds a thread behind those of its priority.
    #[inline(always)]
    pub fn push_back(&self, core: &Core, item: &'static T, priority: u8) {
        let place = self.place(core, priority);
        self.list(place).push_back(core, item);
        self.added(core, item, place, priority);
    }

    /// Adds a thread before those of its priority: it was preempted.
    pub fn push_front(&self, core: &Core, item: &'static T, priority: u8) {
        let place = self.place(core, priority);
        self.list(place).push_front(core, item);
        self.added(core, item, place, priority);
    }

    #[inline(always)]
    fn added(&self, core: &Core, item: &'static T, place: u8, priority: u8) {
        item.place().set(core, place);
        if place != self.best.get(core) {
            self.mark(core, place);
        }
        self.length.add(core, 1);
        if priority >= self.above.get(core) {
            self.above.set(core, priority + 1);
            self.best.set(core, place);
        }
    }

    /// Takes a thread of this queue out.
    pub fn remove(&self, core: &Core, item: &'static T) {
        let place = item.place().get(core);
        self.list(place).remove(core, item);
        self.length.decrement(core);
        self.left(core, place);
    }

    /// The highest effective priority that waits.
    #[inline(always)]
    pub fn top(&self, core: &Core) -> Option<u8> {
        self.above.get(core).checked_sub(1)
    }

    /// One more than that; 0: nobody waits.
    #[inline(always)]
    pub fn above(&self, core: &Core) -> u8 {
        self.above.get(core)
    }

    fn top_below_64(&self, core: &Core) -> u8 {
        let low = self.used[0].get(core);
        // A place that has just left the ring's part in use may have its bit still.
        let ring = self.used[2].get(core);
        let turned = ring.rotate_right(self.first.get(core).into()) & RING_BITS;
        if turned == 0 || low >> (LOWEST + RING) != 0 {
            return highest(low | 1);
        }
        LOWEST + highest(turned)
    }

    /// Takes the first thread of the highest priority out.
    #[inline(always)]
    pub fn pop(&self, core: &Core) -> Option<&'static T> {
        if self.above.get(core) == 0 {
            return None;
        }
        let place = self.best.get(core);
        let item = self.list(place).pop_front(core)?;
        self.length.decrement(core);
        self.left(core, place);
        Some(item)
    }

    /// The first thread of the highest priority, if anybody waits.
    #[inline(always)]
    pub fn first(&self, core: &Core) -> Option<&'static T> {
        self.list(self.best.get(core)).first(core)
    }

    /// Takes `first` out, which is [that](Self::first), and adds `item`, whose priority that is, behind the others there.
    #[inline(always)]
    pub fn exchange(&self, core: &Core, first: &'static T, item: &'static T) {
        let place = self.best.get(core);
        self.list(place).exchange(core, first, item);
        item.place().set(core, place);
    }

    /// Takes the only thread that waits out.
    #[inline(always)]
    pub fn clear(&self, core: &Core) {
        self.list(self.best.get(core)).clear(core);
        self.length.set(core, 0);
        self.above.set(core, 0);
    }

    /// A slice has passed: every thread that waits in the ageing range rises by one priority.
    #[inline(always)]
    pub fn age(&self, core: &Core) {
        if self.age_below_top(core).is_none() {
            self.age_with_top(core);
        }
    }

    /// As [`age`](Self::age), and says what is [above](Self::above) then. None: nothing has changed, for somebody is at
    /// the top already.
    #[inline(always)]
    pub fn age_below_top(&self, core: &Core) -> Option<u8> {
        let (above, first) = (self.above.get(core), self.first.get(core));
        if above <= LOWEST {
            return Some(above);
        }
        let top = usize::from(first.wrapping_add(RING - 1) % SLOTS);
        if !self.lists[usize::from(RING_PLACES) + top].is_empty(core) {
            return None;
        }
        // The ring turns down by one. The places stay; what they mean has changed.
        self.first.set(core, first.wrapping_sub(1) % SLOTS);
        if above > *NORMAL.end() {
            return Some(above);
        }
        self.above.set(core, above + 1);
        Some(above + 1)
    }

    /// As [`age`](Self::age), where somebody is at the top: who cannot rise joins, in front, those that have just come up.
    #[cold]
    #[inline(never)]
    fn age_with_top(&self, core: &Core) {
        self.first
            .set(core, self.first.get(core).wrapping_sub(1) % SLOTS);
        let (oldest, top) = (self.ring_place(core, RING), self.ring_place(core, RING - 1));
        while let Some(item) = self.list(oldest).last(core) {
            self.list(oldest).remove(core, item);
            self.list(top).push_front(core, item);
            item.place().set(core, top);
        }
        self.mark(core, top);
        if self.above.get(core) == *NORMAL.end() + 1 {
            self.best.set(core, top);
        }
    }

    /// A waiting thread that `allowed` accepts, the least urgent first: for another CPU to take.
    pub fn find(&self, core: &Core, allowed: impl Fn(&T) -> bool) -> Option<&'static T> {
        (0..PRIORITIES as u8).find_map(|priority| {
            let list = self.list(self.place(core, priority));
            list.iter(core).find(|item| allowed(item))
        })
    }
}

/// The place of the ring that is so many after its begin.
#[inline(always)]
const fn slot(index: u8) -> u8 {
    RING_PLACES + index % SLOTS
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
