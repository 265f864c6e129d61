use super::*;
use proptest::prelude::*;
use std::vec;

const SHAPE: Shape = Shape {
    messages: 3,
    size: 8,
};

fn message(priority: u32, byte: u8) -> Message {
    let bytes = vec![byte];
    Message { priority, bytes }
}

fn full() -> MessageQueue<u32> {
    let mut queue = MessageQueue::new(SHAPE);
    assert_eq!(queue.send(message(1, 1)), Sent::First);
    assert_eq!(queue.send(message(2, 2)), Sent::Queued);
    assert_eq!(queue.send(message(1, 3)), Sent::Queued);
    queue
}

fn drain(queue: &mut MessageQueue<u32>) -> Vec<u8> {
    core::iter::from_fn(|| queue.receive().map(|message| message.bytes[0])).collect()
}

#[test]
fn priorities_go_first_and_equals_keep_their_order() {
    assert_eq!(drain(&mut full()), [2, 1, 3]);
}

#[test]
fn senders_wait_by_rank_and_then_by_age() {
    let mut queue = full();
    for (who, rank) in [(10, 1), (11, 5), (12, 5)] {
        assert!(matches!(queue.send(message(0, who as u8)), Sent::Full(_)));
        queue.wait_to_send(who, rank, message(0, who as u8));
    }
    assert_eq!(queue.next_sender(), None);
    for expected in [11, 12, 10] {
        queue.receive().unwrap();
        let (who, message) = queue.next_sender().unwrap();
        assert_eq!(who, expected);
        queue.admit(message);
    }
    assert_eq!(drain(&mut queue), [11, 12, 10]);
}

#[test]
fn a_receiver_that_waits_gets_the_message_itself() {
    let mut queue = MessageQueue::new(SHAPE);
    queue.wait_to_receive(1, 0);
    queue.wait_to_receive(2, 9);
    assert_eq!(queue.next_receiver(), Some(2));
    assert!(queue.forget(&1) && !queue.forget(&1));
    assert_eq!(queue.send(message(1, 8)), Sent::First);
}

#[test]
fn what_could_not_be_delivered_comes_first_again() {
    let mut queue = full();
    let taken = queue.receive().unwrap();
    assert_eq!(taken, message(2, 2));
    queue.put_back(taken);
    assert_eq!(queue.receive(), Some(message(2, 2)));
    let old = queue.receive().unwrap();
    queue.put_back(old);
    assert_eq!(drain(&mut queue), [1, 3]);
}

#[test]
fn a_slow_subscriber_loses_its_oldest_of_the_least_urgent() {
    let mut queue = full();
    assert_eq!(queue.send_over(message(1, 4)), (Sent::Queued, true));
    assert_eq!(drain(&mut queue), [2, 3, 4]);
}

/// What is done to a queue.
#[derive(Clone, Debug)]
enum Step {
    Send(u32),
    Receive,
    Forget(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u32..4).prop_map(Step::Send),
        Just(Step::Receive),
        (0u32..40).prop_map(Step::Forget),
    ]
}

/// The reference: lists searched from front to back.
#[derive(Default)]
struct Reference {
    messages: Vec<(u32, u8)>,
    senders: Vec<(u32, (u32, u8))>,
    receivers: Vec<u32>,
}

impl Reference {
    fn first(&mut self) -> Option<(u32, u8)> {
        let most = self.messages.iter().map(|message| message.0).max()?;
        let at = self.messages.iter().position(|message| message.0 == most)?;
        Some(self.messages.remove(at))
    }
}

proptest! {
    /// Every message is received once, in order, or still there; nobody waits for what is there.
    #[test]
    fn as_the_reference(steps in prop::collection::vec(step(), 0..200)) {
        let mut queue = MessageQueue::<u32>::new(SHAPE);
        let mut reference = Reference::default();
        for (id, step) in steps.into_iter().enumerate() {
            let id = id as u32;
            match step {
                Step::Send(priority) => {
                    let (new, pair) = (message(priority, id as u8), (priority, id as u8));
                    if let Some(who) = queue.next_receiver() {
                        prop_assert_eq!(who, reference.receivers.remove(0));
                        continue;
                    }
                    match queue.send(new) {
                        Sent::Full(back) => {
                            prop_assert_eq!(reference.messages.len(), SHAPE.messages);
                            queue.wait_to_send(id, 0, back);
                            reference.senders.push((id, pair));
                        }
                        sent => {
                            prop_assert_eq!(sent == Sent::First, reference.messages.is_empty());
                            prop_assert!(reference.receivers.is_empty());
                            reference.messages.push(pair);
                        }
                    }
                }
                Step::Receive => match queue.receive() {
                    Some(taken) => {
                        let (priority, byte) = reference.first().unwrap();
                        prop_assert_eq!(taken, message(priority, byte));
                        let next = queue.next_sender();
                        let expected = (!reference.senders.is_empty()).then(|| reference.senders.remove(0));
                        prop_assert_eq!(next.as_ref().map(|next| next.0), expected.map(|next| next.0));
                        reference.messages.extend(expected.map(|next| next.1));
                        next.into_iter().for_each(|(_, message)| queue.admit(message));
                    }
                    None => {
                        prop_assert!(reference.messages.is_empty());
                        queue.wait_to_receive(id, 0);
                        reference.receivers.push(id);
                    }
                },
                Step::Forget(who) => {
                    let before = reference.senders.len() + reference.receivers.len();
                    reference.senders.retain(|sender| sender.0 != who);
                    reference.receivers.retain(|receiver| *receiver != who);
                    let after = reference.senders.len() + reference.receivers.len();
                    prop_assert_eq!(queue.forget(&who), after < before);
                }
            }
            prop_assert_eq!(queue.len(), reference.messages.len());
            prop_assert_eq!(queue.has_receiver(), !reference.receivers.is_empty());
        }
    }
}
