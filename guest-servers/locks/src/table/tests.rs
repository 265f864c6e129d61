//! The table against a model that knows bytes, not ranges.

use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use proptest::prelude::*;

/// Bytes of a model's file.
const BYTES: u64 = 12;
const OWNERS: u32 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Lock(Lock<u8>, Wait),
    Unlock(Lock<u8>),
    Release(Owner),
    Cancel(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    No,
    Yes,
}

fn owner(number: u32) -> Owner {
    if number < OWNERS {
        Owner::Process(number)
    } else {
        Owner::Description(number)
    }
}

fn lock() -> impl Strategy<Value = Lock<u8>> {
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    (0..2u8, 0..OWNERS + 2, 0..BYTES, 1..BYTES, mode).prop_map(|(key, who, first, length, mode)| {
        let length = length.min(BYTES - first);
        let range = Range::new(0, first as i64, length as i64).unwrap();
        let owner = owner(who);
        Lock {
            key,
            held: Held { owner, range, mode },
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => lock().prop_map(|lock| Step::Lock(lock, Wait::No)),
        4 => lock().prop_map(|lock| Step::Lock(lock, Wait::Yes)),
        4 => lock().prop_map(Step::Unlock),
        1 => (0..OWNERS + 2).prop_map(|who| Step::Release(owner(who))),
        1 => (0..20u32).prop_map(Step::Cancel),
    ]
}

/// Who has which byte how, and who waits.
#[derive(Default)]
struct Model {
    bytes: BTreeMap<(u8, u64, Owner), Mode>,
    waiting: Vec<(Lock<u8>, u32)>,
}

impl Model {
    fn cells(lock: &Lock<u8>) -> impl Iterator<Item = (u8, u64, Owner)> {
        let (key, Held { owner, range, .. }) = (lock.key, lock.held);
        (range.first()..=range.last()).map(move |at| (key, at, owner))
    }

    fn against(&self, lock: &Lock<u8>) -> BTreeSet<Owner> {
        let range = lock.held.range;
        let hit = |(&(key, at, owner), &mode): (&(u8, u64, Owner), &Mode)| {
            let here = key == lock.key && (range.first()..=range.last()).contains(&at);
            let both = mode == Mode::Shared && lock.held.mode == Mode::Shared;
            (here && owner != lock.held.owner && !both).then_some(owner)
        };
        self.bytes.iter().filter_map(hit).collect()
    }

    /// Everyone that `from` waits for, by any way.
    fn reaches(&self, from: BTreeSet<Owner>, to: Owner) -> bool {
        let mut all = from;
        loop {
            let more: BTreeSet<Owner> = (self.waiting.iter())
                .filter(|(lock, _)| all.contains(&lock.held.owner))
                .flat_map(|(lock, _)| self.against(lock))
                .collect();
            let before = all.len();
            all.extend(more);
            if all.len() == before {
                return all.contains(&to);
            }
        }
    }

    fn take(&mut self, lock: &Lock<u8>) {
        self.bytes
            .extend(Model::cells(lock).map(|cell| (cell, lock.held.mode)));
    }

    fn lock(&mut self, lock: &Lock<u8>, ticket: Option<u32>) -> Answer {
        let against = self.against(lock);
        if against.is_empty() {
            self.take(lock);
            return Answer::Granted;
        }
        let Some(ticket) = ticket else {
            return Answer::Refused;
        };
        let is_process = matches!(lock.held.owner, Owner::Process(_));
        if is_process && self.reaches(against, lock.held.owner) {
            return Answer::Deadlock;
        }
        self.waiting.push((*lock, ticket));
        Answer::Waits
    }

    fn grant(&mut self) -> Vec<u32> {
        let mut granted = vec![];
        while let Some(at) =
            (0..self.waiting.len()).find(|&at| self.against(&self.waiting[at].0).is_empty())
        {
            let (lock, ticket) = self.waiting.remove(at);
            self.take(&lock);
            granted.push(ticket);
        }
        granted
    }
}

/// Bytes as the table has them; no two ranges of one owner and mode may touch.
fn bytes(table: &Table<u8, u32>) -> BTreeMap<(u8, u64, Owner), Mode> {
    let mut bytes = BTreeMap::new();
    for key in 0..2 {
        let locks: Vec<&Held> = table.locks(&key).collect();
        assert!(locks.is_sorted_by_key(|held| held.range.first()));
        for (index, one) in locks.iter().enumerate() {
            for other in &locks[..index] {
                let same = one.owner == other.owner && one.mode == other.mode;
                assert!(!same || !one.range.joins(other.range), "{one:?} {other:?}");
                assert!(!one.conflicts(other), "{one:?} {other:?}");
            }
            for at in one.range.first()..=one.range.last() {
                let old = bytes.insert((key, at, one.owner), one.mode);
                assert_eq!(old, None, "two locks of {:?} on byte {at}", one.owner);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_table_is_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let (mut table, mut model) = (Table::<u8, u32>::default(), Model::default());
        for (ticket, step) in (0u32..).zip(steps) {
            match step {
                Step::Lock(lock, wait) => {
                    let ticket = (wait == Wait::Yes).then_some(ticket);
                    prop_assert_eq!(table.lock(&lock, ticket), model.lock(&lock, ticket));
                }
                Step::Unlock(lock) => {
                    table.unlock(lock.key, lock.held.owner, lock.held.range);
                    for cell in Model::cells(&lock) {
                        model.bytes.remove(&cell);
                    }
                }
                Step::Release(owner) => {
                    table.release(owner);
                    model.bytes.retain(|cell, _| cell.2 != owner);
                    model.waiting.retain(|(lock, _)| lock.held.owner != owner);
                }
                Step::Cancel(ticket) => {
                    let was = model.waiting.iter().any(|waiting| waiting.1 == ticket);
                    model.waiting.retain(|waiting| waiting.1 != ticket);
                    prop_assert_eq!(table.cancel(&ticket), was.then_some(ticket));
                }
            }
            prop_assert_eq!(table.grant(), model.grant());
            prop_assert_eq!(bytes(&table), model.bytes.clone());
        }
    }
}

fn whole(owner: Owner, mode: Mode) -> Lock<u8> {
    let range = Range::ALL;
    Lock {
        key: 0,
        held: Held { owner, range, mode },
    }
}

#[test]
fn a_file_has_only_so_many_locks() {
    let mut table = Table::<u8, u32>::default();
    let owner = Owner::Process(1);
    let at = |at: i64| {
        let range = Range::new(0, 2 * at, 1).unwrap();
        let mode = Mode::Shared;
        Lock {
            key: 0,
            held: Held { owner, range, mode },
        }
    };
    let granted =
        (0..2 * LOCKS_MAX as i64).take_while(|&n| table.lock(&at(n), None) == Answer::Granted);
    let granted = granted.count();
    assert!(granted > LOCKS_MAX - 3 && granted <= LOCKS_MAX);
    assert_eq!(table.unlock(0, owner, Range::ALL), Answer::Granted);
    assert_eq!(table.lock(&at(0), None), Answer::Granted);
}

#[test]
fn who_waits_for_a_file_that_goes_is_told() {
    let mut table = Table::default();
    table.lock(&whole(Owner::Process(1), Mode::Exclusive), None);
    let waits = table.lock(&whole(Owner::Process(2), Mode::Shared), Some(7));
    assert_eq!(waits, Answer::Waits);
    assert_eq!(table.forget(|key| *key == 0), [7]);
    assert!(!table.is_used(&0));
}
