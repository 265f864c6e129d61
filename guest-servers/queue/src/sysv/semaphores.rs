//! One set of semaphores (`semop`, `semctl`), and what is undone when a process ends.

use crate::errno::{EAGAIN, EFBIG, ENOSPC, ERANGE, Result};
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

/// The set; `W` is somebody who waits.
#[derive(Debug)]
pub struct Set<W> {
    /// They.
    pub semaphores: Vec<Semaphore>,
    waiting: VecDeque<Waiting<W>>,
    /// What is added when a process ends.
    undo: BTreeMap<u32, Vec<i32>>,
    /// `sem_otime`, `sem_ctime`.
    pub times: [i64; 2],
}

impl<W: PartialEq> Set<W> {
    /// So many semaphores, all 0.
    pub fn new(count: usize) -> Set<W> {
        Set {
            semaphores: vec![Semaphore::default(); count],
            waiting: VecDeque::new(),
            undo: BTreeMap::new(),
            times: [0; 2],
        }
    }

    /// Does all operations, or none; whether they are done.
    ///
    /// # Errors
    /// `EAGAIN` for one that may not wait, `EFBIG`, `ERANGE`.
    pub fn operate(&mut self, pid: u32, operations: &[Operation]) -> Result<bool> {
        Ok(self.attempt(pid, operations)? == Step::Done)
    }

    fn attempt(&mut self, pid: u32, operations: &[Operation]) -> Result<Step> {
        if operations
            .iter()
            .any(|op| usize::from(op.number) >= self.semaphores.len())
        {
            return Err(EFBIG);
        }
        let mut values: Vec<i32> = self.semaphores.iter().map(|one| one.value.into()).collect();
        let mut undo = self.undo.get(&pid).cloned();
        for op in operations {
            let value = &mut values[usize::from(op.number)];
            let new = *value + i32::from(op.change);
            if op.change == 0 && *value != 0 || new < 0 {
                return match op.flags & NO_WAIT {
                    0 => Ok(Step::Waits(*op)),
                    _ => Err(EAGAIN),
                };
            }
            if new > i32::from(SEMAPHORE_MAX) {
                return Err(ERANGE);
            }
            *value = new;
            if op.flags & UNDO != 0 && op.change != 0 {
                if undo.is_none() && self.undo.len() >= UNDO_MAX {
                    return Err(ENOSPC);
                }
                let count = self.semaphores.len();
                let undo = undo.get_or_insert_with(|| vec![0; count]);
                let change = &mut undo[usize::from(op.number)];
                *change -= i32::from(op.change);
                if change.abs() > i32::from(SEMAPHORE_MAX) {
                    return Err(ERANGE);
                }
            }
        }
        for (semaphore, value) in self.semaphores.iter_mut().zip(values) {
            semaphore.value = value as u16;
        }
        for op in operations {
            self.semaphores[usize::from(op.number)].last = pid;
        }
        if let Some(undo) = undo {
            self.undo.insert(pid, undo);
        }
        Ok(Step::Done)
    }

    /// Operations that are not done yet wait.
    pub fn wait(&mut self, who: W, pid: u32, operations: Vec<Operation>) {
        if let Ok(Step::Waits(at)) = self.attempt(pid, &operations) {
            self.waiting.push_back(Waiting {
                who,
                pid,
                operations,
                at,
            });
        }
    }

    /// Somebody whose operations are done now, or failed. The order is that in which they came.
    pub fn next_ready(&mut self) -> Option<Finished<W>> {
        for index in 0..self.waiting.len() {
            let (pid, operations) = {
                let waiting = &self.waiting[index];
                (waiting.pid, waiting.operations.clone())
            };
            match self.attempt(pid, &operations) {
                Ok(Step::Waits(at)) => self.waiting[index].at = at,
                done => {
                    let waiting = self.waiting.remove(index)?;
                    return Some(Finished {
                        who: waiting.who,
                        pid,
                        operations,
                        result: done.map(|_| ()),
                    });
                }
            }
        }
        None
    }

    /// Who was to be told that its operations are done has died: they are taken back.
    pub fn take_back(&mut self, pid: u32, operations: &[Operation]) {
        for op in operations {
            let semaphore = &mut self.semaphores[usize::from(op.number)];
            let value = i32::from(semaphore.value) - i32::from(op.change);
            semaphore.value = value.clamp(0, SEMAPHORE_MAX.into()) as u16;
            if op.flags & UNDO != 0
                && let Some(undo) = self.undo.get_mut(&pid)
            {
                undo[usize::from(op.number)] += i32::from(op.change);
            }
        }
    }

    /// Somebody waits no longer.
    pub fn forget(&mut self, who: &W) {
        self.waiting.retain(|waiting| waiting.who != *who);
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
        for undo in self.undo.values_mut() {
            undo[number] = 0;
        }
        Ok(())
    }

    /// A process has ended: what it did with `SEM_UNDO` is undone. Whether there was anything.
    pub fn process_ended(&mut self, pid: u32) -> bool {
        let Some(undo) = self.undo.remove(&pid) else {
            return false;
        };
        for (semaphore, change) in self.semaphores.iter_mut().zip(undo) {
            if change != 0 {
                let value = i32::from(semaphore.value) + change;
                semaphore.value = value.clamp(0, SEMAPHORE_MAX.into()) as u16;
                semaphore.last = pid;
            }
        }
        true
    }
}
