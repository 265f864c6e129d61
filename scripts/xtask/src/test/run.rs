//! One run of the test program: its lines as they come, and whether its machine still lives.

use super::failures::Failures;
use super::machine::{HEARTBEAT, Machine};
use super::output::{Outcome, Reader};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A machine with a heart beats more often.
const SILENCE: Duration = Duration::from_secs(60);

/// A started program.
pub struct Run {
    child: Child,
    lines: Receiver<String>,
    machine: Machine,
}

/// What came of it.
pub struct Outcomes {
    pub outcomes: BTreeMap<String, Outcome>,
    pub failures: Failures,
    pub end: End,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Status(ExitStatus),
    /// Its machine gave no sign of life any more, in this test.
    Stopped(String),
}

impl Run {
    /// Starts it; a thread reads its lines.
    pub fn start(mut command: Command, machine: Machine) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let mut output = BufReader::new(child.stdout.take().context("the program's output")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output
                .read_until(b'\n', &mut bytes)
                .is_ok_and(|count| count > 0)
            {
                let line = String::from_utf8_lossy(&bytes).into_owned();
                if sender.send(line).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        Ok(Self {
            child,
            lines,
            machine,
        })
    }

    /// Shows the lines behind the machine's name, with the time that each test took, until the end.
    pub fn finish(mut self) -> Result<Outcomes> {
        let mut outcomes = BTreeMap::new();
        let mut reader = Reader::default();
        let mut failures = Failures::default();
        let mut since = Instant::now();
        loop {
            let line = match self.next() {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let test = reader.open_test().unwrap_or("its start").to_string();
                    self.stop()?;
                    let end = End::Stopped(test);
                    return Ok(Outcomes {
                        outcomes,
                        failures,
                        end,
                    });
                }
            };
            let Some(line) = without_heartbeat(&line) else {
                continue;
            };
            let name = self.machine.name();
            failures.line(line);
            match reader.line(line) {
                Some((test, outcome)) => {
                    let seconds = since.elapsed().as_secs_f32();
                    since = Instant::now();
                    println!("{name}: {test} ... {} ({seconds:.1} s)", outcome.word());
                    outcomes.insert(test, outcome);
                }
                None => println!("{name}: {line}"),
            }
        }
        let end = End::Status(self.child.wait()?);
        Ok(Outcomes {
            outcomes,
            failures,
            end,
        })
    }

    fn next(&self) -> Result<String, RecvTimeoutError> {
        match self.machine.has_heartbeat() {
            true => self.lines.recv_timeout(SILENCE),
            false => self
                .lines
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Ends the program and, by it, its machine.
    fn stop(&mut self) -> Result<()> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

/// The line, unless it is nothing but a sign of life.
fn without_heartbeat(line: &str) -> Option<&str> {
    let line = line.trim_end();
    match line.strip_suffix(HEARTBEAT) {
        Some("") => None,
        Some(rest) => Some(rest.trim_end()),
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Outcomes {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let run = Run::start(command, Machine::Kvm).unwrap();
        run.finish().unwrap()
    }

    #[test]
    fn outcomes_are_collected_from_any_bytes() {
        let script =
            r"printf 'running 2 tests\ntest a ... ok\n\377\ntest b ... FAILED\nno newline'; exit 3";
        let run = run(script);
        assert_eq!(run.outcomes["a"], Outcome::Passed);
        assert_eq!(run.outcomes["b"], Outcome::Failed);
        assert_eq!(run.outcomes.len(), 2);
        assert!(matches!(run.end, End::Status(status) if status.code() == Some(3)));
    }

    #[test]
    fn signs_of_life_are_not_shown() {
        let beat = format!("test a ... {HEARTBEAT}\n");
        assert_eq!(without_heartbeat(&beat), Some("test a ..."));
        assert_eq!(without_heartbeat(&format!("{HEARTBEAT}\n")), None);
        assert_eq!(without_heartbeat("ok\n"), Some("ok"));
    }
}
