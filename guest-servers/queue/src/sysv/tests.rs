use super::messages::{Ask, Message, Queue, Woken};
use super::semaphores::{Operation, Set};
use super::*;
use crate::errno::*;
use ferrix_proto::sysv::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const ME: Who = Who { uid: 1, gid: 1 };
const OTHER: Who = Who { uid: 2, gid: 2 };

fn get(all: &mut Registry<u8>, key: u32, flags: u32, who: Who) -> Result<u32> {
    all.get(key, flags, who, |_| Ok(()), || Ok(0))
}

#[test]
fn keys_lead_to_what_their_owner_allows() {
    let mut all = Registry::new(2);
    assert_eq!(get(&mut all, 5, 0, ME), Err(ENOENT));
    let id = get(&mut all, 5, CREATE | 0o640, ME).unwrap();
    assert_eq!(get(&mut all, 5, 0o600, ME), Ok(id));
    assert_eq!(get(&mut all, 5, CREATE | EXCLUSIVE, ME), Err(EEXIST));
    assert_eq!(get(&mut all, 5, 0o004, OTHER), Err(EACCES));
    assert_eq!(get(&mut all, 5, 0, OTHER), Ok(id));
    let private = get(&mut all, PRIVATE, 0o600, ME).unwrap();
    assert_ne!(id, private);
    assert_eq!(get(&mut all, PRIVATE, 0o600, ME), Err(ENOSPC));
    assert_eq!(all.remove(id, OTHER).err(), Some(EPERM));
    all.remove(id, ME).unwrap();
    assert_eq!(all.find(id, ME, 0).err(), Some(EINVAL));
    let again = get(&mut all, 5, CREATE, ME).unwrap();
    assert_ne!(again, id);
    assert_eq!(all.find(id, ME, 0).err(), Some(EIDRM));
}

fn message(kind: i64, byte: u8) -> Message {
    Message {
        kind,
        bytes: vec![byte],
        charge: None,
    }
}

fn ask(kind: i64, flags: u32) -> Ask {
    Ask {
        kind,
        room: 9,
        flags,
    }
}

#[test]
fn types_choose_among_messages() {
    let mut queue = Queue::<u8>::new(100);
    for (at, kind) in [3, 1, 2, 1].into_iter().enumerate() {
        queue.admit(message(kind, at as u8));
    }
    let mut take = |kind, flags| queue.receive(&ask(kind, flags)).map(|got| got.bytes[0]);
    assert_eq!(take(9, 0), Err(ENOMSG));
    assert_eq!(take(2, 0), Ok(2));
    assert_eq!(take(-2, 0), Ok(1));
    assert_eq!(take(3, MESSAGE_EXCEPT), Ok(3));
    assert_eq!(take(0, 0), Ok(0));
    assert_eq!(take(0, 0), Err(ENOMSG));
}

#[test]
fn a_long_message_is_cut_or_stays() {
    let mut queue = Queue::<u8>::new(100);
    queue.admit(Message {
        kind: 1,
        bytes: vec![7; 20],
        charge: None,
    });
    assert_eq!(queue.receive(&ask(0, 0)), Err(E2BIG));
    assert_eq!(queue.bytes(), 20);
    let whole = queue.receive(&ask(0, MESSAGE_TRUNCATE)).unwrap();
    assert_eq!(whole.bytes.len(), 20, "it may have to be put back");
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn who_waits_goes_on_when_it_can() {
    let mut queue = Queue::<u8>::new(2);
    queue.wait_to_receive(1, ask(5, 0));
    queue.admit(message(4, 0));
    assert_eq!(queue.next_ready(), None);
    queue.admit(message(5, 1));
    assert_eq!(
        queue.next_ready(),
        Some(Woken::Receiver(1, ask(5, 0), Ok(message(5, 1))))
    );
    queue.admit(message(4, 2));
    queue.wait_to_send(2, message(6, 3));
    assert_eq!(queue.next_ready(), None);
    queue.receive(&ask(0, 0)).unwrap();
    assert_eq!(queue.next_ready(), Some(Woken::Sender(2, message(6, 3))));
    assert_eq!(queue.waiting(), []);
}

#[test]
fn a_message_put_back_is_offered_again() {
    let mut queue = Queue::<u8>::new(100);
    queue.admit(message(4, 0));
    let taken = queue.receive(&ask(0, 0)).unwrap();
    queue.wait_to_receive(1, ask(4, 0));
    assert_eq!(queue.next_ready(), None);
    queue.put_back(taken);
    let woken = Woken::Receiver(1, ask(4, 0), Ok(message(4, 0)));
    assert_eq!(queue.next_ready(), Some(woken));
}

#[test]
fn many_messages_and_receivers_cost_no_more_than_their_pairs() {
    // Each message is looked at once by each receiver: much more would take hours here.
    let mut queue = Queue::<u32>::new(1 << 20);
    for who in 0..3000 {
        queue.wait_to_receive(who, ask(9, 0));
    }
    for _ in 0..3000 {
        queue.admit(message(1, 0));
        assert_eq!(queue.next_ready(), None);
    }
    queue.admit(message(9, 0));
    assert!(matches!(queue.next_ready(), Some(Woken::Receiver(0, ..))));
}

fn op(number: u16, change: i16, flags: u32) -> Operation {
    Operation {
        number,
        change,
        flags,
    }
}

#[test]
fn operations_are_done_all_or_none() {
    let mut set = Set::<u8>::new(2);
    assert_eq!(
        set.operate(1, &[op(0, 1, 0), op(1, -1, NO_WAIT)]),
        Err(EAGAIN)
    );
    assert_eq!(set.semaphores[0].value, 0);
    assert_eq!(set.operate(1, &[op(0, 1, 0), op(1, -1, 0)]), Ok(false));
    set.wait(7, 1, vec![op(0, 1, 0), op(1, -1, 0)]);
    assert_eq!(set.waiters(1), [1, 0]);
    assert_eq!(set.next_ready(), None);
    assert_eq!(set.operate(2, &[op(1, 2, 0)]), Ok(true));
    let finished = set.next_ready().unwrap();
    assert_eq!(
        (finished.who, finished.pid, finished.result),
        (7, 1, Ok(()))
    );
    assert_eq!([set.semaphores[0].value, set.semaphores[1].value], [1, 1]);
    set.wait(8, 1, vec![op(0, 0, 0)]);
    assert_eq!(set.waiters(0), [0, 1]);
    assert_eq!(set.operate(1, &[op(0, 32767, 0)]), Err(ERANGE));
    assert_eq!(set.operate(1, &[op(2, 1, 0)]), Err(EFBIG));
}

#[test]
fn the_end_of_a_process_undoes_what_it_did() {
    let mut set = Set::<u8>::new(1);
    set.set(0, 3, 9).unwrap();
    set.operate(1, &[op(0, -2, UNDO)]).unwrap();
    set.operate(1, &[op(0, 1, UNDO)]).unwrap();
    set.operate(2, &[op(0, -1, UNDO)]).unwrap();
    assert!(set.process_ended(1) && !set.process_ended(1));
    assert_eq!(set.semaphores[0].value, 2);
    set.set(0, 9, 9).unwrap();
    set.process_ended(2);
    assert_eq!(set.semaphores[0].value, 9, "what was set is not undone");
}

#[test]
fn a_wake_of_many_looks_at_each_once() {
    // 20,000 that wait at a set of 4,096 semaphores: with a look at all for each of them this takes minutes.
    const COUNT: u16 = 20_000;
    let mut set = Set::<u16>::new(4096);
    for who in 0..COUNT {
        assert_eq!(set.operate(1, &[op(who % 2, -1, 0)]), Ok(false));
        set.wait(who, 1, vec![op(who % 2, -1, 0)]);
    }
    for number in 0..2 {
        set.operate(2, &[op(number, (COUNT / 2) as i16, 0)])
            .unwrap();
    }
    for who in 0..COUNT {
        assert_eq!(set.next_ready().map(|done| done.who), Some(who));
    }
    assert_eq!(set.next_ready(), None);
}

#[test]
fn who_came_before_goes_on_when_a_later_one_makes_it_possible() {
    let mut set = Set::<u8>::new(2);
    set.wait(1, 1, vec![op(0, -2, 0)]);
    set.wait(2, 1, vec![op(0, 0, 0), op(1, -1, 0)]);
    set.wait(3, 1, vec![op(1, -1, 0), op(0, 2, 0)]);
    set.operate(9, &[op(1, 1, 0)]).unwrap();
    let order = core::iter::from_fn(|| set.next_ready().map(|done| done.who));
    assert_eq!(order.collect::<Vec<_>>(), [2]);
    set.operate(9, &[op(1, 1, 0)]).unwrap();
    let order = core::iter::from_fn(|| set.next_ready().map(|done| done.who));
    assert_eq!(order.collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn less_is_more_for_who_takes_some_away_and_waits_for_zero() {
    let mut set = Set::<u8>::new(2);
    set.operate(9, &[op(0, 2, 0)]).unwrap();
    set.wait(1, 1, vec![op(0, -1, 0), op(0, 0, 0)]);
    set.wait(2, 1, vec![op(1, -1, 0), op(0, -1, 0)]);
    set.operate(9, &[op(1, 2, 0)]).unwrap();
    let done: Vec<u8> = core::iter::from_fn(|| set.next_ready())
        .map(|one| one.who)
        .collect();
    assert_eq!(done, [2, 1]);
    assert_eq!(set.semaphores[0].value, 0);
}

#[test]
fn operations_on_one_semaphore_add_up() {
    let mut set = Set::<u8>::new(1);
    set.wait(1, 1, vec![op(0, 1, 0), op(0, -3, 0)]);
    set.operate(2, &[op(0, 1, 0)]).unwrap();
    assert_eq!(set.next_ready(), None);
    set.operate(2, &[op(0, 1, 0)]).unwrap();
    assert_eq!(set.next_ready().map(|done| done.who), Some(1));
    assert_eq!(set.semaphores[0].value, 0);
}

#[test]
fn what_undoes_nothing_is_not_kept() {
    let mut set = Set::<u8>::new(2);
    set.operate(1, &[op(0, 3, UNDO)]).unwrap();
    assert_eq!(set.undoing(), 1);
    set.operate(1, &[op(0, -3, UNDO)]).unwrap();
    assert_eq!(set.undoing(), 0);
    set.operate(1, &[op(0, 1, UNDO), op(1, 1, UNDO)]).unwrap();
    set.set(0, 0, 9).unwrap();
    assert_eq!(set.undoing(), 1);
    set.set_all(&[4, 4], 9).unwrap();
    assert_eq!(set.undoing(), 0);
    assert_eq!(
        set.operate(1, &[op(0, 1, UNDO), op(1, -9, NO_WAIT)]),
        Err(EAGAIN)
    );
    assert_eq!((set.undoing(), set.semaphores[0].value), (0, 4));
}

proptest! {
    /// After all processes have ended, everything done with `SEM_UNDO` is as before.
    #[test]
    fn undo_is_complete(steps in prop::collection::vec((1u32..4, 0u16..2, -3i16..4), 0..80)) {
        let mut set = Set::<u32>::new(2);
        set.set(0, 100, 0).unwrap();
        set.set(1, 100, 0).unwrap();
        for (pid, number, change) in steps {
            let _ = set.operate(pid, &[op(number, change, UNDO | NO_WAIT)]);
        }
        for pid in 1..4 {
            set.process_ended(pid);
        }
        let values: Vec<u16> = set.semaphores.iter().map(|one| one.value).collect();
        prop_assert_eq!(values, vec![100, 100]);
    }
}
