//! System V semaphores.

use super::sysv::{halves, now, stat_target, who};
use super::{Place, Server};
use alloc::vec::Vec;
use ferrix_abi::ipc::FOREVER;
use ferrix_proto::attributes::Plain;
use ferrix_proto::sysv::{self as proto, OPERATIONS_MAX, SEMAPHORES_MAX, SET_MAX};
use ferrix_queue::errno::{E2BIG, EAGAIN, EIDRM, EINVAL, ENOSPC, ENOSYS};
use ferrix_queue::names::Who;
use ferrix_queue::parked::Parcel;
use ferrix_queue::sysv::semaphores::{Operation, Set};
use ferrix_queue::sysv::{READ, WRITE};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::service::{Outcome, Reply, Request};

/// Bytes of `struct sembuf`.
const OPERATION: usize = 6;

fn decode(bytes: &[u8]) -> Vec<Operation> {
    let all = bytes.chunks_exact(OPERATION);
    all.map(|one| Operation {
        number: u16::from_le_bytes([one[0], one[1]]),
        change: i16::from_le_bytes([one[2], one[3]]),
        flags: u16::from_le_bytes([one[4], one[5]]).into(),
    })
    .collect()
}

impl Server {
    pub(super) fn dispatch_semaphores(&mut self, operation: u16, request: &Request) -> Outcome {
        match operation {
            proto::SEMAPHORE_GET => self.semaphore_get(request),
            proto::SEMAPHORE_OPERATE => self.semaphore_operate(request),
            proto::SEMAPHORE_STAT => self.semaphore_stat(request),
            proto::SEMAPHORE_SET => self.semaphore_set(request),
            proto::SEMAPHORE_REMOVE => self.semaphore_remove(request),
            proto::SEMAPHORE_LOOK => self.semaphore_look(request),
            proto::SEMAPHORE_ASSIGN => self.semaphore_assign(request),
            proto::SEMAPHORE_SUMMARY => Ok(Some(self.semaphore_summary())),
            proto::SEMAPHORE_VALUES => self.semaphore_values(request),
            proto::SEMAPHORE_ASSIGN_ALL => self.semaphore_assign_all(request),
            _ => Err(ENOSYS),
        }
    }

    /// `semget(2)`.
    fn semaphore_get(&mut self, request: &Request) -> Outcome {
        let ((key, flags), count) = (halves(request.words[0]), request.words[1] as u32 as usize);
        if count > SET_MAX {
            return Err(EINVAL);
        }
        let used: usize = self
            .sysv
            .sets
            .iter_mut()
            .map(|set| set.what.semaphores.len())
            .sum();
        let fits = |set: &Set<u64>| match count > set.semaphores.len() {
            true => Err(EINVAL),
            false => Ok(()),
        };
        let make = || {
            if count == 0 {
                return Err(EINVAL);
            }
            if used + count > SEMAPHORES_MAX {
                return Err(ENOSPC);
            }
            let mut set = Set::new(count);
            set.times[1] = now();
            Ok(set)
        };
        let id = self.sysv.sets.get(key, flags, who(request)?, fits, make)?;
        Ok(Some(Reply::value(0).with_words([id.into(), 0, 0])))
    }

    /// `semtimedop(2)`.
    fn semaphore_operate(&mut self, request: &Request) -> Outcome {
        let ((id, count), deadline) = (halves(request.words[0]), request.words[1]);
        let sent = self.inline_or_deposited(request)?;
        let operations = decode(&sent.bytes);
        if operations.len() > OPERATIONS_MAX {
            return Err(E2BIG);
        }
        if operations.is_empty() || operations.len() != count as usize {
            return Err(EINVAL);
        }
        let changes = operations.iter().any(|operation| operation.change != 0);
        let asked = if changes { WRITE } else { READ };
        let pid = request.caller.pid;
        let set = &mut self.sysv.sets.find(id, who(request)?, asked)?.what;
        if set.operate(pid, &operations)? {
            set.times[0] = now();
            self.wake_semaphores(id);
            return Ok(Some(Reply::value(0)));
        }
        if deadline != FOREVER && deadline <= monotonic_ns() {
            return Err(EAGAIN);
        }
        set.wait(request.caller.token, pid, operations);
        let at = (Place::Semaphores(id), EAGAIN);
        self.wait_with(request.caller, deadline, at, sent.charge);
        Ok(None)
    }

    fn set(&mut self, id: u32) -> Option<&mut Set<u64>> {
        let found = self.sysv.sets.find(id, Who { uid: 0, gid: 0 }, 0);
        found.ok().map(|entry| &mut entry.what)
    }

    /// Those that wait go on as far as they can.
    fn wake_semaphores(&mut self, id: u32) {
        while let Some(finished) = self.set(id).and_then(Set::next_ready) {
            let wait = self.waits.take(finished.who);
            let reply = match finished.result {
                Ok(()) => Reply::value(0),
                Err(errno) => Reply::error(errno),
            };
            let told = wait.is_some_and(|wait| wait.caller.reply(&reply).is_ok());
            let Some(set) = self.set(id) else {
                return;
            };
            match finished.result {
                // Who has died meanwhile has done nothing.
                Ok(()) if !told => set.take_back(finished.pid, &finished.operations),
                Ok(()) => set.times[0] = now(),
                Err(_) => {}
            }
        }
    }

    /// What a process did with `SEM_UNDO` is undone.
    pub(super) fn undo(&mut self, pid: u32) {
        let mut changed = Vec::new();
        for entry in self.sysv.sets.iter_mut() {
            if entry.what.process_ended(pid) {
                changed.push(entry.owned.id);
            }
        }
        changed.into_iter().for_each(|id| self.wake_semaphores(id));
    }

    /// `semctl(IPC_STAT)` and its relatives.
    fn semaphore_stat(&mut self, request: &Request) -> Outcome {
        let (id, asked) = stat_target(&self.sysv.sets, request.words[0])?;
        let entry = self.sysv.sets.find(id, who(request)?, asked)?;
        let stat = proto::SemaphoreSet {
            owned: entry.owned,
            times: entry.what.times,
            count: entry.what.semaphores.len() as u64,
        };
        Ok(Some(Reply::inline(stat.to_bytes())))
    }

    /// `semctl(IPC_SET)`.
    fn semaphore_set(&mut self, request: &Request) -> Outcome {
        let ((id, mode), (uid, gid)) = (halves(request.words[0]), halves(request.words[1]));
        self.sysv
            .sets
            .set_owner(id, who(request)?, Who { uid, gid }, mode)?;
        if let Some(set) = self.set(id) {
            set.times[1] = now();
        }
        Ok(Some(Reply::value(0)))
    }

    /// `semctl(IPC_RMID)`.
    fn semaphore_remove(&mut self, request: &Request) -> Outcome {
        let (id, _) = halves(request.words[0]);
        let mut set = self.sysv.sets.remove(id, who(request)?)?;
        self.end_waits(set.waiting(), EIDRM);
        Ok(Some(Reply::value(0)))
    }

    /// `semctl(GETVAL)`, `GETPID`, `GETNCNT`, `GETZCNT`.
    fn semaphore_look(&mut self, request: &Request) -> Outcome {
        let (id, number) = halves(request.words[0]);
        let set = &self.sysv.sets.find(id, who(request)?, READ)?.what;
        let semaphore = set.semaphores.get(number as usize).ok_or(EINVAL)?;
        let [more, zero] = set.waiters(number as u16);
        let words = [
            semaphore.value.into(),
            semaphore.last.into(),
            more as u64 | (zero as u64) << 32,
        ];
        Ok(Some(Reply::value(0).with_words(words)))
    }

    /// `semctl(SETVAL)`.
    fn semaphore_assign(&mut self, request: &Request) -> Outcome {
        let ((id, number), value) = (halves(request.words[0]), request.words[1]);
        let set = &mut self.sysv.sets.find(id, who(request)?, WRITE)?.what;
        if number as usize >= set.semaphores.len() {
            return Err(EINVAL);
        }
        set.set(number as usize, value, request.caller.pid)?;
        set.times[1] = now();
        self.wake_semaphores(id);
        Ok(Some(Reply::value(0)))
    }

    /// `semctl(GETALL)`.
    fn semaphore_values(&mut self, request: &Request) -> Outcome {
        let (id, _) = halves(request.words[0]);
        let set = &self.sysv.sets.find(id, who(request)?, READ)?.what;
        let values = set
            .semaphores
            .iter()
            .flat_map(|one| one.value.to_le_bytes());
        let bytes: Vec<u8> = values.collect();
        let letter = Parcel {
            room: bytes.len(),
            bytes,
            origin: None,
            charge: None,
        };
        Ok(Some(self.hand(request.caller, letter)))
    }

    /// `semctl(SETALL)`.
    fn semaphore_assign_all(&mut self, request: &Request) -> Outcome {
        let (id, _) = halves(request.words[0]);
        let sent = self.inline_or_deposited(request)?;
        let values: Vec<u16> = sent
            .bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let set = &mut self.sysv.sets.find(id, who(request)?, WRITE)?.what;
        set.set_all(&values, request.caller.pid)?;
        set.times[1] = now();
        self.wake_semaphores(id);
        Ok(Some(Reply::value(0)))
    }

    fn semaphore_summary(&mut self) -> Reply {
        let (count, highest) = self.sysv.sets.count();
        let all: usize = self
            .sysv
            .sets
            .iter_mut()
            .map(|set| set.what.semaphores.len())
            .sum();
        let first = count as u64 | u64::from(highest) << 32;
        Reply::value(0).with_words([first, all as u64, 0])
    }
}
