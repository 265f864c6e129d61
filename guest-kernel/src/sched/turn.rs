//! The end of a time-shared thread's slice, and how long others may have to wait for their turn.
//!
//! With n busy time-shared threads on a CPU each waits at most `TOP - lowest + n - 1` slices, where TOP = 45 and `lowest`
//! is its base less [`BOOST_MAX`](super::entity::BOOST_MAX), but at least 4: it rises by one for every slice that it waits, so after
//! `TOP - lowest` of them it is at the top. From then on nobody comes before it: who rises to the top, or is queued there,
//! goes behind; who runs gives way to an equal when its slice ends. So at most the n - 1 others have a slice each before.

use super::Entity;
use super::queue::{RunQueue, Runnable};
use crate::object::Core;

/// What comes after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first of those who wait takes over.
    Another,
    /// Nobody does yet: the next slice.
    Again,
    /// Nobody waits.
    Alone,
}

/// The slice of the running thread ends: those who wait rise, it sinks.
#[inline(always)]
pub fn end_slice<T: Runnable>(core: &Core, queue: &RunQueue<T>, running: &Entity) -> Turn {
    queue.age(core);
    end_slice_aged(core, queue.above(core), running)
}

/// As [`end_slice`], when those who wait have risen and `above` is one more than the highest of them.
#[inline(always)]
pub fn end_slice_aged(core: &Core, above: u8, running: &Entity) -> Turn {
    running.used_slice(core);
    let priority = running.priority.get(core);
    if above > priority {
        Turn::Another
    } else if above != 0 {
        // Who waits may never come before this thread, but before the one that it hands the CPU over to.
        Turn::Again
    } else {
        Turn::Alone
    }
}

#[cfg(test)]
mod tests {
    use ferrix_abi::sched::{NORMAL, Policy};
    use proptest::prelude::*;

    use super::super::Parameters;
    use super::super::entity::BOOST_MAX;
    use super::super::queue::{InQueue, QueuePlace};
    use super::*;
    use crate::object::CoreCell;
    use crate::object::core_lock::lock;
    use crate::object::list::{Linked, Links};

    struct Busy {
        number: usize,
        base: u8,
        entity: Entity,
        queue: QueuePlace<Busy>,
    }

    impl Linked<InQueue> for Busy {
        fn links(&self) -> &Links<Busy> {
            &self.queue.links
        }
    }

    impl Runnable for Busy {
        fn place(&self) -> &CoreCell<u8> {
            &self.queue.place
        }
    }

    /// As the head of this file derives it.
    fn bound(base: u8, threads: usize) -> usize {
        let lowest = base.saturating_sub(BOOST_MAX as u8).max(*NORMAL.start());
        (*NORMAL.end() - lowest) as usize + threads - 1
    }

    /// Lets busy threads with these bases share a CPU for so many slices; the longest wait of each.
    fn share(
        bases: &[u8],
        slices: usize,
        end: impl Fn(&Core, &RunQueue<Busy>, &Entity) -> Turn,
    ) -> Vec<usize> {
        let core = lock();
        let queue: RunQueue<Busy> = RunQueue::new();
        let threads: &'static [Busy] = Vec::leak(
            bases
                .iter()
                .enumerate()
                .map(|(number, &base)| Busy {
                    number,
                    base,
                    entity: Entity::new(),
                    queue: QueuePlace::new(),
                })
                .collect(),
        );
        for thread in threads {
            let parameters = Parameters::new(Policy::Other, thread.base).unwrap();
            thread.entity.start(&core, parameters, 1);
            queue.push_back(&core, thread, thread.entity.priority.get(&core));
        }
        let (mut ran, mut longest) = (vec![0; bases.len()], vec![0; bases.len()]);
        let mut running = queue.pop(&core).unwrap();
        for slice in 1..=slices {
            if end(&core, &queue, &running.entity) == Turn::Another {
                queue.push_back(&core, running, running.entity.priority.get(&core));
                ran[running.number] = slice;
                running = queue.pop(&core).unwrap();
                let waited = slice - ran[running.number];
                longest[running.number] = longest[running.number].max(waited);
            }
        }
        for thread in threads
            .iter()
            .filter(|thread| thread.number != running.number)
        {
            longest[thread.number] = longest[thread.number].max(slices - ran[thread.number]);
        }
        longest
    }

    #[test]
    fn twenty_busy_threads_all_run_within_the_bound() {
        let bases: Vec<u8> = (0..20).map(|number| 4 + 2 * number).collect();
        for (base, waited) in bases.iter().zip(share(&bases, 100_000, end_slice)) {
            let bound = bound(*base, bases.len());
            assert!(
                waited <= bound,
                "base {base} waited {waited} slices, not {bound}"
            );
        }
    }

    #[test]
    fn without_ageing_the_lowest_starves() {
        let bases: Vec<u8> = (0..20).map(|number| 4 + 2 * number).collect();
        let waits = share(&bases, 10_000, |core, queue, running| {
            running.used_slice(core);
            match queue.above(core) > running.priority.get(core) {
                true => Turn::Another,
                false => Turn::Again,
            }
        });
        assert_eq!(waits[0], 10_000);
    }

    #[test]
    fn who_is_alone_is_not_interrupted() {
        let core = lock();
        let queue: RunQueue<Busy> = RunQueue::new();
        let [busy, other, idle] = [(0, 24), (1, 20), (2, 0)].map(|(number, base)| {
            &*Box::leak(Box::new(Busy {
                number,
                base,
                entity: Entity::new(),
                queue: QueuePlace::new(),
            }))
        });
        busy.entity
            .start(&core, Parameters::new(Policy::Other, busy.base).unwrap(), 1);
        queue.push_back(&core, other, other.base);
        assert_eq!(end_slice(&core, &queue, &busy.entity), Turn::Again);
        assert_eq!(queue.pop(&core).map(|item| item.number), Some(other.number));
        assert_eq!(end_slice(&core, &queue, &busy.entity), Turn::Alone);
        queue.push_back(&core, idle, idle.base);
        assert_eq!(end_slice(&core, &queue, &busy.entity), Turn::Again);
    }

    proptest! {
        #[test]
        fn any_threads_run_within_the_bound(bases in prop::collection::vec(4u8..=45, 2..40)) {
            for (base, waited) in bases.iter().zip(share(&bases, 2_000, end_slice)) {
                prop_assert!(waited <= bound(*base, bases.len()), "base {base}: {waited}");
            }
        }
    }
}
