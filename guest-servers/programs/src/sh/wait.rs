//! Starting children and waiting for them.

use std::io;

use super::ast::Bytes;
use super::jobs::{JobId, State};
use super::state::{Flow, Shell, Unwind};
use super::terminal;
use crate::sys::process::{self, Fork, Patience, Pid};
use crate::sys::signal;
use crate::util::signals;

/// Where a job runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The shell waits for it and it has the terminal.
    Fore,
    /// Neither.
    Back,
    /// The shell waits for it, but it stays in the shell's process group.
    Inside,
}

impl Shell {
    /// Starts a process of job `id` that runs `body` and exits with what that returns.
    pub fn start(
        &mut self,
        id: JobId,
        ground: Ground,
        body: impl FnOnce(&mut Self) -> i32,
    ) -> Result<Pid, Unwind> {
        let controls = self.terminal.is_some() && ground != Ground::Inside;
        let group = self.jobs.get(id).and_then(|job| job.group);
        match process::fork() {
            Ok(Fork::Child) => {
                if controls {
                    self.join_group(group.unwrap_or(0), ground);
                }
                self.become_child(ground);
                let status = body(self);
                process::exit(status)
            }
            Ok(Fork::Parent(pid)) => {
                if controls {
                    // The child does the same; whoever is first, the other finds it done.
                    let _ = process::set_group(pid, group.unwrap_or(pid));
                    self.set_group(id, pid, ground);
                }
                self.jobs.join(id, pid);
                Ok(pid)
            }
            Err(why) => Err(self.fail(&format!("cannot fork: {}", crate::cx::cause(&why)))),
        }
    }

    /// In the child: enters the job's group.
    fn join_group(&self, group: Pid, ground: Ground) {
        let _ = process::set_group(0, group);
        if let (Some(terminal), Ground::Fore, 0) = (&self.terminal, ground, group) {
            terminal.give_to(process::group());
        }
    }

    /// In the shell: notes the group of a job whose first process is `pid`.
    fn set_group(&mut self, id: JobId, pid: Pid, ground: Ground) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        if job.group.is_some() {
            return;
        }
        job.group = Some(pid);
        if let (Some(terminal), Ground::Fore) = (&self.terminal, ground) {
            terminal.give_to(pid);
        }
    }

    /// Makes this process a subshell. A ^C that the shell's handler caught on the way ends it.
    fn become_child(&mut self, ground: Ground) {
        let interrupted =
            self.options.interactive && ground != Ground::Back && signal::arrived(libc::SIGINT);
        let controlled = self.terminal.take().is_some();
        if controlled || self.options.interactive {
            terminal::reset_signals();
        } else if ground == Ground::Back {
            // Without job control ^C reaches this process although it is in the background.
            let _ = signal::ignore(libc::SIGINT);
            let _ = signal::ignore(libc::SIGQUIT);
        }
        for (&number, command) in &self.traps {
            if number != 0 && !command.is_empty() {
                signal::restore_default(number);
            }
        }
        signal::forget();
        self.traps.retain(|_, command| command.is_empty());
        self.jobs.clear();
        self.options.interactive = false;
        self.loops = 0;
        if interrupted {
            // Only a process that is not there cannot be killed.
            let _ = process::kill(std::process::id() as Pid, libc::SIGINT);
        }
    }

    /// Passes a ^C on to the job, which came before the job had the terminal.
    fn pass_interrupt(&self, id: JobId) {
        let group = self.jobs.get(id).and_then(|job| job.group);
        if let (Some(group), true) = (group, signal::arrived(libc::SIGINT)) {
            // A group that is gone needs no signal.
            let _ = process::kill(-group, libc::SIGINT);
        }
    }

    /// Waits until the job ends or stops and returns its status.
    pub fn finish(&mut self, id: JobId, ground: Ground) -> Flow {
        if ground == Ground::Fore && self.options.interactive {
            self.pass_interrupt(id);
        }
        let state = loop {
            let state = self
                .jobs
                .get(id)
                .map_or(State::Exited(0), |job| job.state());
            if state != State::Running {
                break state;
            }
            self.wait_once();
        };
        if ground == Ground::Fore
            && let Some(terminal) = &self.terminal
        {
            terminal.take_back();
            if !matches!(state, State::Exited(_)) {
                terminal.restore_modes();
            }
        }
        self.settle(id, state)
    }

    /// Waits for one change of any child. Returns early when a signal is caught.
    pub fn wait_once(&mut self) {
        match process::wait(Patience::Block) {
            Ok(Some((pid, change))) => self.jobs.record(pid, change),
            Ok(None) => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.jobs.all_gone(),
        }
    }

    /// After a foreground job: forgets or reports it.
    fn settle(&mut self, id: JobId, state: State) -> Flow {
        if let State::Stopped(_) = state {
            if let Some(job) = self.jobs.get_mut(id) {
                job.announced = state;
            }
            errln!();
            self.show_job(id);
            return Ok(state.status());
        }
        self.jobs.remove(id);
        match state {
            State::Killed(libc::SIGINT) if self.options.interactive => {
                errln!();
                self.status = state.status();
                if !self.traps.contains_key(&libc::SIGINT) {
                    // The same ^C may have reached the shell, too.
                    signal::take(libc::SIGINT);
                }
                return Err(Unwind::Interrupted);
            }
            State::Killed(libc::SIGINT | libc::SIGPIPE) => {}
            State::Killed(signal) => errln!("{}", signals::description(signal)),
            _ => {}
        }
        Ok(state.status())
    }

    /// Notes what happened to children meanwhile and tells an interactive user.
    pub fn poll_jobs(&mut self) {
        while let Ok(Some((pid, change))) = process::wait(Patience::Poll) {
            self.jobs.record(pid, change);
        }
        let changed: Vec<(JobId, State)> = self
            .jobs
            .iter()
            .filter(|job| job.state() != job.announced)
            .map(|job| (job.id, job.state()))
            .collect();
        for (id, state) in changed {
            if self.options.interactive {
                self.show_job(id);
            }
            if let Some(job) = self.jobs.get_mut(id) {
                job.announced = state;
            }
            // A script may still ask for the status with `wait`.
            if state.ended() && self.options.interactive {
                self.jobs.remove(id);
            }
        }
    }

    /// One line about a job on standard error.
    pub fn show_job(&self, id: JobId) {
        if let Some(line) = self.describe_job(id) {
            errln!("{line}");
        }
    }

    /// One line about a job, as `jobs` prints it.
    pub fn describe_job(&self, id: JobId) -> Option<String> {
        let job = self.jobs.get(id)?;
        let state = match job.state() {
            State::Running => "Running".to_string(),
            State::Stopped(_) => "Stopped".to_string(),
            State::Exited(0) => "Done".to_string(),
            State::Exited(status) => format!("Exit {status}"),
            State::Killed(signal) => signals::description(signal).to_string(),
        };
        let mark = if self.jobs.find(None) == Some(id) {
            '+'
        } else {
            ' '
        };
        Some(format!(
            "[{}]{mark} {state:<12} {}",
            id.0,
            String::from_utf8_lossy(&job.text)
        ))
    }

    /// Starts a job in the background.
    pub fn announce_background(&mut self, id: JobId) {
        self.last_background = self.jobs.get(id).and_then(|job| job.last_pid());
        if let (true, Some(pid)) = (self.options.interactive, self.last_background) {
            errln!("[{}] {pid}", id.0);
        }
    }

    /// A job for something that the user did not write as a command.
    pub fn hidden_job(&mut self) -> JobId {
        self.jobs.add(Bytes::new())
    }
}
