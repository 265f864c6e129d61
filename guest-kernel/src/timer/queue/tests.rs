//! The queue against a sorted list.

use super::*;
use crate::object::core_lock::lock;
use proptest::prelude::*;

proptest! {
    #[test]
    fn expires_in_order(steps in prop::collection::vec((0u8..3, 0usize..16, 0u64..50), 0..200)) {
        let queue: &'static DeadlineQueue<usize> = Box::leak(Box::new(DeadlineQueue::new()));
        let timers: &'static [Timer<usize>] = Vec::leak((0..16).map(|_| Timer::new()).collect());
        let mut armed: Vec<(u64, usize)> = Vec::new();
        let core = lock();
        for (step, which, time) in steps {
            let inside = armed.iter().any(|&(_, owner)| owner == which);
            prop_assert_eq!(timers[which].is_armed(&core), inside);
            match step {
                0 if !inside => {
                    queue.insert(&core, &timers[which], time, which);
                    armed.push((time, which));
                }
                1 => {
                    timers[which].cancel(&core);
                    armed.retain(|&(_, owner)| owner != which);
                }
                _ => match queue.pop_due(&core, time) {
                    Some(owner) => {
                        let deadline = timers[owner].deadline(&core);
                        prop_assert!(deadline <= time);
                        prop_assert_eq!(armed.iter().map(|&(at, _)| at).min(), Some(deadline));
                        armed.retain(|&pair| pair != (deadline, owner));
                    }
                    None => prop_assert!(armed.iter().all(|&(at, _)| at > time)),
                },
            }
            prop_assert_eq!(queue.earliest(&core), armed.iter().map(|&(at, _)| at).min());
        }
    }
}
