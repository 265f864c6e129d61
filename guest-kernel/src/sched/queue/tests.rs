//! The queue against a list of (effective priority, arrival) that is searched.

use super::*;
use crate::object::core_lock::lock;
use proptest::prelude::*;

struct Item {
    number: usize,
    queue: QueuePlace<Item>,
}

impl Linked<InQueue> for Item {
    fn links(&self) -> &Links<Item> {
        &self.queue.links
    }
}

impl Runnable for Item {
    fn place(&self) -> &CoreCell<u8> {
        &self.queue.place
    }
}

/// Threads in order: the first of the highest priority runs next.
#[derive(Default)]
struct Model(Vec<(u8, usize)>);

impl Model {
    fn top(&self) -> Option<u8> {
        self.0.iter().map(|&(priority, _)| priority).max()
    }

    fn pop(&mut self) -> Option<usize> {
        let top = self.top()?;
        let index = self.0.iter().position(|&(priority, _)| priority == top)?;
        Some(self.0.remove(index).1)
    }

    /// Those that reach the top of the range stay behind those that are there.
    fn age(&mut self) {
        self.0
            .sort_by_key(|&(priority, _)| core::cmp::Reverse(priority));
        for (priority, _) in &mut self.0 {
            if NORMAL.contains(priority) {
                *priority = (*priority + 1).min(*NORMAL.end());
            }
        }
    }
}

proptest! {
    #[test]
    fn picks_the_highest_and_ages(
        steps in prop::collection::vec((0u8..9, 0usize..24, 0u8..128), 1..400),
    ) {
        let items: &'static [Item] =
            Vec::leak((0..24).map(|number| Item { number, queue: QueuePlace::new() }).collect());
        let queue: RunQueue<Item> = RunQueue::new();
        let mut model = Model::default();
        let core = lock();
        for (step, number, priority) in steps {
            let inside = model.0.iter().any(|&(_, other)| other == number);
            match step {
                0 | 1 if !inside => {
                    queue.push_back(&core, &items[number], priority);
                    model.0.push((priority, number));
                }
                2 if !inside => {
                    queue.push_front(&core, &items[number], priority);
                    model.0.insert(0, (priority, number));
                }
                3 if inside => {
                    queue.remove(&core, &items[number]);
                    model.0.retain(|&(_, other)| other != number);
                }
                4 | 5 => {
                    queue.age(&core);
                    model.age();
                }
                7 if !inside && !model.0.is_empty() => {
                    let top = model.top().unwrap();
                    let first = queue.first(&core).unwrap();
                    queue.exchange(&core, first, &items[number]);
                    prop_assert_eq!(Some(first.number), model.pop());
                    model.0.push((top, number));
                }
                6 => prop_assert_eq!(queue.pop(&core).map(|item| item.number), model.pop()),
                _ => {}
            }
            prop_assert_eq!(queue.top(&core), model.top());
            prop_assert_eq!(queue.length(&core) as usize, model.0.len());
        }
        while let Some(number) = model.pop() {
            prop_assert_eq!(queue.pop(&core).map(|item| item.number), Some(number));
        }
        prop_assert!(queue.pop(&core).is_none());
    }
}

#[test]
fn the_lowest_thread_overtakes_after_as_many_slices_as_it_is_below() {
    let items: &'static [Item] = Vec::leak(
        (0..2)
            .map(|number| Item {
                number,
                queue: QueuePlace::new(),
            })
            .collect(),
    );
    let queue: RunQueue<Item> = RunQueue::new();
    let core = lock();
    queue.push_back(&core, &items[0], 4);
    (0..20).for_each(|_| queue.age(&core));
    assert_eq!(queue.top(&core), Some(24));
    (0..100).for_each(|_| queue.age(&core));
    assert_eq!(queue.top(&core), Some(*NORMAL.end()));
    queue.push_back(&core, &items[1], 46);
    assert_eq!(queue.pop(&core).map(|item| item.number), Some(1));
}
