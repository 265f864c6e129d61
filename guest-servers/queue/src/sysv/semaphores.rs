//! One set of semaphores (`semop`, `semctl`), and what is undone when a process ends.

use crate::errno::{EAGAIN, EFBIG, EINVAL, ENOSPC, ERANGE, Result};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use ferrix_proto::sysv::{NO_WAIT, SEMAPHORE_MAX, UNDO, UNDO_MAX};

/// `struct sembuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which semaphore.
    pub number: u16,
    /// What is added; 0 waits for 0.
    pub change: i16,
    /// `IPC_NOWAIT`, `SEM_UNDO`.
    pub flags: u32,
}

/// A semaphore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Semaphore {
    /// Its value.
    pub value: u16,
    /// Process that changed it last.
    pub last: u32,
}

/// What operations come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    /// This one has to wait.
    Waits(Operation),
}

#[derive(Debug)]
struct Waiting<W> {
    who: W,
    pid: u32,
    operations: Vec<Operation>,
    /// The one that cannot be done.
    at: Operation,
    /// What those before it add to its semaphore.
    before: i32,
}

impl<W> Waiting<W> {
    /// Whether it still cannot be done: the value decides alone, whatever the others are.
    fn is_blocked(&self, semaphores: &[Semaphore]) -> bool {
        let value = i32::from(semaphores[usize::from(self.at.number)].value) + self.before;
        self.at.blocks(value)
    }
}

impl Operation {
    fn blocks(&self, value: i32) -> bool {
        self.change == 0 && value != 0 || value + i32::from(self.change) < 0
    }
}

/// Somebody who waits no longer.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<W> {
    /// It.
    pub who: W,
    /// Its process.
    pub pid: u32,
    /// What it waited for.
    pub operations: Vec<Operation>,
    /// Whether it is done.
    pub result: Result<()>,
}

/// What is added when a process ends, by semaphore; without those of which nothing is left to undo.
type Undo = BTreeMap<u16, i32>;

/// The set; `W` is somebody who waits.
#[derive(Debug)]
pub struct Set<W> {
    /// They.
    pub semaphores: Vec<Semaphore>,
    waiting: VecDeque<Waiting<W>>,
    /// Those before this one have been looked at since something changed.
    looked_at: usize,
    /// By process.
    undo: BTreeMap<u32, Undo>,
    /// `sem_otime`, `sem_ctime`.
    pub times: [i64; 2],
}

impl<W: PartialEq> Set<W> {
    /// So many semaphores, all 0.
    pub fn new(count: usize) -> Set<W> {
        Set {
            semaphores: vec![Semaphore::default(); count],
            waiting: VecDeque::new(),
            looked_at: 0,
            undo: BTreeMap::new(),
            times: [0; 2],
        }
    }

    /// Does all operations, or none; whether they are done.
    ///
    /// # Errors
    /// `EAGAIN` for one that may not wait, `EFBIG`, `ERANGE`, `ENOSPC`.
    pub fn operate(&mut self, pid: u32, operations: &[Operation]) -> Result<bool> {
        let done = self.attempt(pid, operations)? == Step::Done;
        if done {
            self.looked_at = 0;
        }
        Ok(done)
    }

    fn attempt(&mut self, pid: u32, operations: &[Operation]) -> Result<Step> {
        let count = self.semaphores.len();
        if operations.iter().any(|op| usize::from(op.number) >= count) {
            return Err(EFBIG);
        }
        for (index, op) in operations.iter().enumerate() {
            let step = self.apply(pid, op);
            if step != Ok(Step::Done) {
                let done = operations[..index].iter().rev();
                done.for_each(|op| self.revert(pid, op));
                return step;
            }
        }
        for op in operations {
            self.semaphores[usize::from(op.number)].last = pid;
        }
        Ok(Step::Done)
    }

    fn apply(&mut self, pid: u32, op: &Operation) -> Result<Step> {
        let value = i32::from(self.semaphores[usize::from(op.number)].value);
        if op.blocks(value) {
            return match op.flags & NO_WAIT {
                0 => Ok(Step::Waits(*op)),
                _ => Err(EAGAIN),
            };
        }
        let new = value + i32::from(op.change);
        if new > i32::from(SEMAPHORE_MAX) {
            return Err(ERANGE);
        }
        if op.flags & UNDO != 0 {
            self.add_undo(pid, op.number, -i32::from(op.change))?;
        }
        self.semaphores[usize::from(op.number)].value = new as u16;
        Ok(Step::Done)
    }

    fn revert(&mut self, pid: u32, op: &Operation) {
        let semaphore = &mut self.semaphores[usize::from(op.number)];
        let value = i32::from(semaphore.value) - i32::from(op.change);
        semaphore.value = value.clamp(0, SEMAPHORE_MAX.into()) as u16;
        if op.flags & UNDO != 0 {
            // It was less, or as much, before: that was allowed.
            let _ = self.add_undo(pid, op.number, op.change.into());
        }
    }

    fn add_undo(&mut self, pid: u32, number: u16, change: i32) -> Result<()> {
        if self.undo.len() >= UNDO_MAX && !self.undo.contains_key(&pid) {
            return Err(ENOSPC);
        }
        let of_process = self.undo.entry(pid).or_default();
        let sum = of_process.get(&number).copied().unwrap_or(0) + change;
        let fits = sum.abs() <= i32::from(SEMAPHORE_MAX);
        if fits && sum != 0 {
            of_process.insert(number, sum);
        } else if fits {
            of_process.remove(&number);
        }
        if of_process.is_empty() {
            self.undo.remove(&pid);
        }
        fits.then_some(()).ok_or(ERANGE)
    }

    /// Processes that have something to undo.
    pub fn undoing(&self) -> usize {
        self.undo.len()
    }

    /// Operations that are not done yet wait.
    pub fn wait(&mut self, who: W, pid: u32, operations: Vec<Operation>) {
        if let Ok(Step::Waits(at)) = self.attempt(pid, &operations) {
            let before = before(&operations, at);
            self.waiting.push_back(Waiting {
                who,
                pid,
                operations,
                at,
                before,
            });
        }
    }

    /// Somebody whose operations are done now, or failed. The order is that in which they came. All calls after one
    /// change look at each that waits once, unless those that are done let others go on that came before them.
    pub fn next_ready(&mut self) -> Option<Finished<W>> {
        while let Some(waiting) = self.waiting.get(self.looked_at) {
            if waiting.is_blocked(&self.semaphores) {
                self.looked_at += 1;
                continue;
            }
            let mut waiting = self.waiting.remove(self.looked_at)?;
            match self.attempt(waiting.pid, &waiting.operations) {
                Ok(Step::Waits(at)) => {
                    waiting.before = before(&waiting.operations, at);
                    waiting.at = at;
                    self.waiting.insert(self.looked_at, waiting);
                    self.looked_at += 1;
                }
                done => {
                    if done.is_ok() && self.frees_others(&waiting.operations) {
                        self.looked_at = 0;
                    }
                    return Some(Finished {
                        who: waiting.who,
                        pid: waiting.pid,
                        operations: waiting.operations,
                        result: done.map(|_| ()),
                    });
                }
            }
        }
        None
    }

    /// Whether somebody who was still blocked before these operations may not be now: that takes more, or nothing at all,
    /// or less for who takes some away itself before it waits for 0.
    fn frees_others(&self, operations: &[Operation]) -> bool {
        let at = |op: &Operation| self.semaphores[usize::from(op.number)].value;
        let waits_for_less = |op: &Operation| {
            let looked_at = self.waiting.iter().take(self.looked_at);
            let here = |waiting: &Waiting<W>| waiting.at.number == op.number;
            let mut here = looked_at.filter(|waiting| here(waiting));
            here.any(|waiting| waiting.at.change == 0 && waiting.before < 0)
        };
        let frees =
            |op: &Operation| op.change > 0 || op.change < 0 && (at(op) == 0 || waits_for_less(op));
        operations.iter().any(frees)
    }

    /// Who was to be told that its operations are done has died: they are taken back.
    pub fn take_back(&mut self, pid: u32, operations: &[Operation]) {
        operations.iter().rev().for_each(|op| self.revert(pid, op));
        self.looked_at = 0;
    }

    /// Somebody waits no longer.
    pub fn forget(&mut self, who: &W) {
        self.waiting.retain(|waiting| waiting.who != *who);
        self.looked_at = 0;
    }

    /// All that wait, when the set goes.
    pub fn waiting(&mut self) -> Vec<W> {
        self.waiting.drain(..).map(|waiting| waiting.who).collect()
    }

    /// Those that wait for a semaphore to become greater, and to become 0.
    pub fn waiters(&self, number: u16) -> [usize; 2] {
        let here = self
            .waiting
            .iter()
            .filter(|waiting| waiting.at.number == number);
        let zero = here
            .clone()
            .filter(|waiting| waiting.at.change == 0)
            .count();
        [here.count() - zero, zero]
    }

    /// Sets a semaphore's value: nothing of it is undone any more.
    ///
    /// # Errors
    /// `ERANGE`.
    pub fn set(&mut self, number: usize, value: u64, pid: u32) -> Result<()> {
        if value > u64::from(SEMAPHORE_MAX) {
            return Err(ERANGE);
        }
        let semaphore = &mut self.semaphores[number];
        (semaphore.value, semaphore.last) = (value as u16, pid);
        self.undo.retain(|_, undo| {
            undo.remove(&(number as u16));
            !undo.is_empty()
        });
        self.looked_at = 0;
        Ok(())
    }

    /// Sets all values.
    ///
    /// # Errors
    /// `EINVAL` for another number of them, `ERANGE`.
    pub fn set_all(&mut self, values: &[u16], pid: u32) -> Result<()> {
        if values.len() != self.semaphores.len() {
            return Err(EINVAL);
        }
        if values.iter().any(|&value| value > SEMAPHORE_MAX) {
            return Err(ERANGE);
        }
        for (semaphore, &value) in self.semaphores.iter_mut().zip(values) {
            (semaphore.value, semaphore.last) = (value, pid);
        }
        self.undo.clear();
        self.looked_at = 0;
        Ok(())
    }

    /// A process has ended: what it did with `SEM_UNDO` is undone. Whether there was anything.
    pub fn process_ended(&mut self, pid: u32) -> bool {
        let Some(undo) = self.undo.remove(&pid) else {
            return false;
        };
        for (number, change) in undo {
            let semaphore = &mut self.semaphores[usize::from(number)];
            let value = i32::from(semaphore.value) + change;
            semaphore.value = value.clamp(0, SEMAPHORE_MAX.into()) as u16;
            semaphore.last = pid;
        }
        self.looked_at = 0;
        true
    }
}

/// What the operations before `at` add to its semaphore.
fn before(operations: &[Operation], at: Operation) -> i32 {
    let earlier = operations.iter().take_while(|op| **op != at);
    let same = earlier.filter(|op| op.number == at.number);
    same.map(|op| i32::from(op.change)).sum()
}
