//! Inheritance against its definition: the highest base of all who wait, directly or not.

use ferrix_abi::sched::Policy;
use proptest::prelude::*;

use super::super::Parameters;
use super::*;
use crate::object::core_lock::lock;

struct Waiter {
    entity: Entity,
    inheritance: Inheritance<Waiter>,
    /// Waits for this one without lending.
    callee: CoreCell<Option<&'static Waiter>>,
}

impl Linked<InDonors> for Waiter {
    fn links(&self) -> &Links<Waiter> {
        &self.inheritance.links
    }
}

impl Inheritor for Waiter {
    fn inheritance(&self) -> &Inheritance<Waiter> {
        &self.inheritance
    }

    fn entity(&self) -> &Entity {
        &self.entity
    }

    fn note_lending(&self, _: &Core, _: Lending) {}

    fn requeue(&'static self, _: &Core, change: impl FnOnce()) {
        change();
    }

    fn waits_for(&self, core: &Core) -> Option<&'static Waiter> {
        self.callee.get(core)
    }
}

fn waiters(count: usize) -> &'static [Waiter] {
    let make = |_| Waiter {
        entity: Entity::new(),
        inheritance: Inheritance::new(),
        callee: CoreCell::new(None),
    };
    Vec::leak((0..count).map(make).collect())
}

fn set(core: &Core, waiter: &'static Waiter, base: u8) {
    let parameters = Parameters::new(Policy::Fifo, base).unwrap();
    waiter.entity.set_parameters(core, parameters);
    changed(core, waiter);
}

fn priorities(core: &Core, waiters: &'static [Waiter]) -> Vec<u8> {
    waiters.iter().map(|waiter| waiter.priority(core)).collect()
}

/// By the definition; `waits[n]`: for whom n waits.
fn expected(bases: &[u8], waits: &[Option<usize>]) -> Vec<u8> {
    let mut priorities = bases.to_vec();
    for _ in bases {
        for (waiter, target) in waits.iter().enumerate() {
            if let Some(target) = *target {
                priorities[target] = priorities[target].max(priorities[waiter]);
            }
        }
    }
    priorities
}

fn is_in_chain(waits: &[Option<usize>], from: usize, sought: usize) -> bool {
    let mut next = Some(from);
    while let Some(current) = next {
        if current == sought {
            return true;
        }
        next = waits[current];
    }
    false
}

proptest! {
    #[test]
    fn a_thread_has_the_priority_of_all_who_wait_for_it(
        steps in prop::collection::vec((0u8..6, 0usize..12, 0usize..12, 88u8..120), 1..200),
    ) {
        let core = lock();
        let all = waiters(12);
        let mut bases = vec![88; 12];
        let mut waits = vec![None; 12];
        all.iter().for_each(|waiter| set(&core, waiter, 88));
        for (step, from, to, base) in steps {
            match step {
                0 | 1 if waits[from].is_none() => {
                    let result = donate(&core, &all[from], &all[to]);
                    let cycle = is_in_chain(&waits, to, from);
                    prop_assert_eq!(result, if cycle { Err(Error::Deadlock) } else { Ok(()) });
                    if !cycle {
                        waits[from] = Some(to);
                    }
                }
                2 => {
                    withdraw(&core, &all[from]);
                    waits[from] = None;
                }
                3 => {
                    set(&core, &all[from], base);
                    bases[from] = base;
                }
                4 if !is_in_chain(&waits, to, from) && waits[to] != Some(from) => {
                    // Only the donors of `from` that `to` does not wait for.
                    let safe = |donor: &'static Waiter| {
                        let index = all.iter().position(|other| core::ptr::eq(other, donor)).unwrap();
                        !is_in_chain(&waits, to, index)
                    };
                    move_donors(&core, &all[from], Some(&all[to]), safe);
                    let moved: Vec<usize> = (0..12)
                        .filter(|&donor| waits[donor] == Some(from) && !is_in_chain(&waits, to, donor))
                        .collect();
                    moved.into_iter().for_each(|donor| waits[donor] = Some(to));
                }
                5 => {
                    ended(&core, &all[from]);
                    waits[from] = None;
                    waits.iter_mut().filter(|wait| **wait == Some(from)).for_each(|wait| *wait = None);
                }
                _ => {}
            }
            prop_assert_eq!(priorities(&core, all), expected(&bases, &waits));
        }
    }
}

#[test]
fn a_loan_follows_calls_that_lent_nothing() {
    let core = lock();
    let all = waiters(3);
    let [holder, server, urgent] = [&all[0], &all[1], &all[2]];
    set(&core, holder, 90);
    set(&core, server, 95);
    set(&core, urgent, 100);
    holder.callee.set(&core, Some(server));
    donate(&core, urgent, holder).unwrap();
    assert_eq!(priorities(&core, all), [100, 100, 100]);
    withdraw(&core, urgent);
    assert_eq!(priorities(&core, all), [90, 95, 100]);
}
