//! Jobs: the processes of a pipeline, and what became of them. Pure bookkeeping; the system
//! calls are in [`super::wait`].

use super::ast::Bytes;
use crate::sys::process::{Change, Pid};

/// A job's number, as `%1` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub usize);

/// State of a process or a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// This signal stopped it.
    Stopped(i32),
    /// It ended with this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

impl State {
    /// Whether it has ended.
    pub fn ended(self) -> bool {
        matches!(self, Self::Exited(_) | Self::Killed(_))
    }

    /// `$?` for it.
    pub fn status(self) -> i32 {
        match self {
            Self::Running => 0,
            Self::Exited(status) => status,
            Self::Stopped(signal) | Self::Killed(signal) => 128 + signal,
        }
    }
}

/// A pipeline's processes.
#[derive(Debug)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its process group, if it has one of its own.
    pub group: Option<Pid>,
    /// Its processes; the last one's status is the job's.
    members: Vec<(Pid, State)>,
    /// As it was written.
    pub text: Bytes,
    /// The state that the user was told of last.
    pub announced: State,
}

impl Job {
    /// The state of the whole: running while any process runs.
    pub fn state(&self) -> State {
        let mut states = self.members.iter().map(|(_, state)| *state);
        if states.clone().any(|state| state == State::Running) {
            return State::Running;
        }
        let stopped = states
            .clone()
            .find(|state| matches!(state, State::Stopped(_)));
        stopped.or(states.next_back()).unwrap_or(State::Exited(0))
    }

    /// The process that `$!` names.
    pub fn last_pid(&self) -> Option<Pid> {
        self.members.last().map(|(pid, _)| *pid)
    }

    /// Where a signal for the job goes, as kill(2) takes it.
    pub fn target(&self) -> Option<Pid> {
        self.group.map(|group| -group).or(self.last_pid())
    }

    /// What is stopped runs again.
    pub fn mark_running(&mut self) {
        for (_, state) in &mut self.members {
            if matches!(state, State::Stopped(_)) {
                *state = State::Running;
            }
        }
        self.announced = State::Running;
    }
}

/// All jobs of a shell.
#[derive(Debug, Default)]
pub struct Jobs {
    list: Vec<Job>,
}

impl Jobs {
    /// A new job without processes.
    pub fn add(&mut self, text: Bytes) -> JobId {
        let id = JobId(self.list.last().map_or(1, |job| job.id.0 + 1));
        let job = Job {
            id,
            group: None,
            members: Vec::new(),
            text,
            announced: State::Running,
        };
        self.list.push(job);
        id
    }

    /// A process joins a job.
    pub fn join(&mut self, id: JobId, pid: Pid) {
        if let Some(job) = self.get_mut(id) {
            job.members.push((pid, State::Running));
        }
    }

    /// A job by number.
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.list.iter().find(|job| job.id == id)
    }

    /// A job by number.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.list.iter_mut().find(|job| job.id == id)
    }

    /// All, by number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.list.iter()
    }

    /// Forgets a job.
    pub fn remove(&mut self, id: JobId) {
        self.list.retain(|job| job.id != id);
    }

    /// Forgets all: they are the parent's, not this process's.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The job that `%`, `%+`, `%%`, `%-`, `%N` or a process id names; without a name the one
    /// that was stopped or started last.
    pub fn find(&self, name: Option<&[u8]>) -> Option<JobId> {
        let current = || {
            let stopped = self
                .list
                .iter()
                .rev()
                .find(|job| matches!(job.state(), State::Stopped(_)));
            stopped.or(self.list.last()).map(|job| job.id)
        };
        match name {
            None | Some(b"%" | b"%%" | b"%+") => current(),
            Some(b"%-") => {
                let newest = current();
                self.list
                    .iter()
                    .rev()
                    .map(|job| job.id)
                    .find(|id| Some(*id) != newest)
            }
            Some([b'%', digits @ ..]) => {
                let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
                self.get(JobId(number)).map(|job| job.id)
            }
            Some(pid) => {
                let pid: Pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
                let has = |job: &&Job| job.members.iter().any(|(member, _)| *member == pid);
                self.list.iter().find(has).map(|job| job.id)
            }
        }
    }

    /// Notes what happened to a process.
    pub fn record(&mut self, pid: Pid, change: Change) {
        let state = match change {
            Change::Exited(status) => State::Exited(status),
            Change::Killed(signal) => State::Killed(signal),
            Change::Stopped(signal) => State::Stopped(signal),
            Change::Continued => State::Running,
        };
        let members = self.list.iter_mut().flat_map(|job| &mut job.members);
        for (_, old) in members.filter(|(member, old)| *member == pid && !old.ended()) {
            *old = state;
        }
    }

    /// There are no children: whatever seemed to run was taken by somebody else.
    pub fn all_gone(&mut self) {
        let members = self.list.iter_mut().flat_map(|job| &mut job.members);
        for (_, state) in members.filter(|(_, state)| !state.ended()) {
            *state = State::Exited(127);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_process_decides_and_all_must_end() {
        let mut jobs = Jobs::default();
        let id = jobs.add(b"a | b".into());
        jobs.join(id, 10);
        jobs.join(id, 11);
        jobs.record(11, Change::Exited(3));
        assert_eq!(jobs.get(id).unwrap().state(), State::Running);
        jobs.record(10, Change::Killed(9));
        assert_eq!(jobs.get(id).unwrap().state(), State::Exited(3));
    }

    #[test]
    fn names_of_jobs() {
        let mut jobs = Jobs::default();
        let ids: Vec<JobId> = (0..3)
            .map(|n| {
                let id = jobs.add(Bytes::new());
                jobs.join(id, 100 + n);
                id
            })
            .collect();
        jobs.record(101, Change::Stopped(20));
        assert_eq!(jobs.find(None), Some(ids[1]));
        assert_eq!(jobs.find(Some(b"%-")), Some(ids[2]));
        assert_eq!(jobs.find(Some(b"%1")), Some(ids[0]));
        assert_eq!(jobs.find(Some(b"102")), Some(ids[2]));
        assert_eq!(jobs.find(Some(b"%9")), None);
    }
}
