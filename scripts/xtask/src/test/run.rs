//! One run of the test program: its lines as they come, and whether its machine stopped.

use super::failures::Failures;
use super::machine::Machine;
use super::output::{Outcome, Reader};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A test that says nothing for longer than this hangs, on the slowest host too: tests have shorter limits themselves.
const PATIENCE: Duration = Duration::from_secs(400);

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
    /// Its machine stopped, in this test; none: before or between tests.
    Stopped(Option<String>),
    /// It was ended, as this test did not end.
    Hung(Option<String>),
}

/// Runs it; shows its lines behind the machine's name, with the time that each test took.
pub fn run(command: Command, machine: Machine) -> Result<Outcomes> {
    run_within(command, machine, PATIENCE)
}

fn run_within(mut command: Command, machine: Machine, patience: Duration) -> Result<Outcomes> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let output = pieces(&mut child)?;
    let mut lines = Lines::new(machine);
    let hung = loop {
        match output.recv_timeout(patience) {
            Ok(piece) => lines.more(&piece),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if hung {
        child.kill().context("ending a test that hangs")?;
    }
    lines.last();
    let status = child.wait()?;
    let open = lines.reader.open_test().map(String::from);
    let end = match (hung, machine.stopped(status)) {
        (true, _) => End::Hung(open),
        (_, true) => End::Stopped(open),
        _ => End::Status(status),
    };
    Ok(Outcomes {
        outcomes: lines.outcomes,
        failures: lines.failures,
        end,
    })
}

/// What it writes, as it comes: a name of a test comes before its outcome, on the same line.
fn pieces(child: &mut Child) -> Result<Receiver<Vec<u8>>> {
    let mut output = child.stdout.take().context("the program's output")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut piece = vec![0; 4096];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            if sender.send(piece[..length].to_vec()).is_err() {
                break; // it hung, and nobody reads on
            }
        }
    });
    Ok(receiver)
}

/// Puts lines together, shows them and reads them.
struct Lines {
    machine: Machine,
    bytes: Vec<u8>,
    since: Instant,
    reader: Reader,
    outcomes: BTreeMap<String, Outcome>,
    failures: Failures,
}

impl Lines {
    fn new(machine: Machine) -> Self {
        Self {
            machine,
            bytes: Vec::new(),
            since: Instant::now(),
            reader: Reader::default(),
            outcomes: BTreeMap::new(),
            failures: Failures::default(),
        }
    }

    fn more(&mut self, piece: &[u8]) {
        for &byte in piece {
            match byte {
                b'\n' => self.line(),
                byte => self.bytes.push(byte),
            }
        }
    }

    /// The end may have no line feed.
    fn last(&mut self) {
        if !self.bytes.is_empty() {
            self.line();
        }
    }

    fn line(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        let name = self.machine.name();
        self.failures.line(line);
        match self.reader.line(line) {
            Some((test, outcome)) => {
                let seconds = self.since.elapsed().as_secs_f32();
                self.since = Instant::now();
                println!("{name}: {test} ... {} ({seconds:.1} s)", outcome.word());
                self.outcomes.insert(test, outcome);
            }
            None => println!("{name}: {line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(machine: Machine, script: &str) -> Outcomes {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, machine).unwrap()
    }

    #[test]
    fn outcomes_are_collected_from_any_bytes() {
        let script =
            r"printf 'running 2 tests\ntest a ... ok\n\377\ntest b ... FAILED\nno newline'; exit 3";
        let run = run_on(Machine::Kvm, script);
        assert_eq!(run.outcomes["a"], Outcome::Passed);
        assert_eq!(run.outcomes["b"], Outcome::Failed);
        assert_eq!(run.outcomes.len(), 2);
        assert!(matches!(run.end, End::Status(status) if status.code() == Some(3)));
    }

    #[test]
    fn a_test_that_hangs_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'test a ... ok\\ntest b ... '; exec sleep 600"]);
        let run = run_within(command, Machine::Kvm, Duration::from_millis(300)).unwrap();
        assert_eq!(run.end, End::Hung(Some("b".into())));
        assert_eq!(run.outcomes.len(), 1);
    }

    #[test]
    fn a_machine_that_stops_is_told_with_its_test() {
        let script = "printf 'test a ... ok\\ntest b ... '; exit 125";
        let outcomes = run_on(Machine::Hardware, script);
        assert_eq!(outcomes.end, End::Stopped(Some("b".into())));
        assert_eq!(outcomes.outcomes.len(), 1);
        let outcomes = run_on(Machine::Hardware, "exit 125");
        assert_eq!(outcomes.end, End::Stopped(None));
        let outcomes = run_on(Machine::Kvm, script);
        assert!(
            matches!(outcomes.end, End::Status(_)),
            "the host does not stop"
        );
    }
}
