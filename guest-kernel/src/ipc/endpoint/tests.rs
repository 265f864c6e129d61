//! The endpoint, driven as the system calls drive it, against queues of numbers.

use super::*;
use crate::object::core_lock::lock;
use crate::object::list::Links;
use proptest::prelude::*;
use std::collections::VecDeque;

struct Thread {
    id: u32,
    only: u32,
    links: Links<Thread>,
}

impl Linked<InQueue> for Thread {
    fn links(&self) -> &Links<Thread> {
        &self.links
    }
}

impl Party for Thread {
    fn id(&self, _: &Core) -> u32 {
        self.id
    }

    fn only(&self, _: &Core) -> u32 {
        self.only
    }
}

struct Event(u32, Links<Event>);

impl Linked<InEvents> for Event {
    fn links(&self) -> &Links<Event> {
        &self.1
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32),
    Receive { only: u32 },
    Notify,
    GiveUp(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u32..5).prop_map(Step::Send),
        prop_oneof![Just(0), 1u32..5].prop_map(|only| Step::Receive { only }),
        Just(Step::Notify),
        any::<prop::sample::Index>().prop_map(Step::GiveUp),
    ]
}

/// What has met: a message from a thread, or an event.
#[derive(Debug, PartialEq)]
enum Met {
    Message(u32),
    Event(u32),
    Nothing,
}

fn takes(only: u32, sender: u32) -> bool {
    only == 0 || only == sender
}

fn leak(id: u32, only: u32) -> &'static Thread {
    Box::leak(Box::new(Thread {
        id,
        only,
        links: Links::new(),
    }))
}

proptest! {
    #[test]
    fn matches_as_queues_do(steps in prop::collection::vec(step(), 0..80)) {
        let endpoint: Endpoint<Thread, Event> = Endpoint::new();
        let mut senders: VecDeque<&'static Thread> = VecDeque::new();
        let mut receivers: VecDeque<&'static Thread> = VecDeque::new();
        let mut events: VecDeque<u32> = VecDeque::new();
        let core = lock();
        for (number, step) in steps.into_iter().enumerate() {
            let number = number as u32;
            match step {
                Step::Send(id) => {
                    let expected = receivers.iter().rposition(|r| takes(r.only, id));
                    let found = endpoint.receiver_for(&core, id);
                    prop_assert_eq!(found.map(|r| r.links() as *const _), expected.map(|i| receivers[i].links() as *const _));
                    match (found, expected) {
                        (Some(receiver), Some(index)) => {
                            endpoint.remove_receiver(&core, receiver);
                            receivers.remove(index);
                        }
                        _ => {
                            let sender = leak(id, 0);
                            endpoint.add_sender(&core, sender);
                            senders.push_back(sender);
                        }
                    }
                }
                Step::Receive { only } => {
                    let expected = match events.front() {
                        Some(&event) if only == 0 => Met::Event(event),
                        _ => match senders.iter().find(|s| takes(only, s.id)) {
                            Some(sender) => Met::Message(sender.id),
                            None => Met::Nothing,
                        },
                    };
                    let met = match endpoint.arrival(&core, only) {
                        Some(Arrival::Event(event)) => { events.pop_front(); Met::Event(event.0) }
                        Some(Arrival::Sender(sender)) => {
                            endpoint.remove_sender(&core, sender);
                            senders.retain(|s| !core::ptr::eq(*s, sender));
                            Met::Message(sender.id)
                        }
                        None => {
                            let receiver = leak(100 + number, only);
                            endpoint.add_receiver(&core, receiver);
                            receivers.push_back(receiver);
                            Met::Nothing
                        }
                    };
                    prop_assert_eq!(met, expected);
                }
                Step::Notify => {
                    let found = endpoint.receiver_for_event(&core);
                    let expected = receivers.iter().rposition(|r| r.only == 0);
                    prop_assert_eq!(found.is_some(), expected.is_some());
                    match (found, expected) {
                        (Some(receiver), Some(index)) => {
                            endpoint.remove_receiver(&core, receiver);
                            receivers.remove(index);
                        }
                        _ => {
                            endpoint.add_event(&core, Box::leak(Box::new(Event(number, Links::new()))));
                            events.push_back(number);
                        }
                    }
                }
                Step::GiveUp(which) => {
                    if !senders.is_empty() {
                        let index = which.index(senders.len());
                        endpoint.remove_sender(&core, senders.remove(index).unwrap());
                    } else if !receivers.is_empty() {
                        let index = which.index(receivers.len());
                        endpoint.remove_receiver(&core, receivers.remove(index).unwrap());
                    }
                }
            }
        }
    }
}
