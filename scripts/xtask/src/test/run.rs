//! One run of the test program: its lines as they come, and whether its machine stopped.

use super::failures::Failures;
use super::machine::Machine;
use super::output::{Outcome, Reader};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

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
}

/// Runs it; shows its lines behind the machine's name, with the time that each test took.
pub fn run(mut command: Command, machine: Machine) -> Result<Outcomes> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let mut output = BufReader::new(child.stdout.take().context("the program's output")?);
    let mut outcomes = BTreeMap::new();
    let mut reader = Reader::default();
    let mut failures = Failures::default();
    let mut since = Instant::now();
    let mut bytes = Vec::new();
    // The name of a test comes before its outcome, and alone if the machine stops in it.
    while output.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        let name = machine.name();
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
        bytes.clear();
    }
    let status = child.wait()?;
    let end = match machine.stopped(status) {
        true => End::Stopped(reader.open_test().map(String::from)),
        false => End::Status(status),
    };
    Ok(Outcomes {
        outcomes,
        failures,
        end,
    })
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
