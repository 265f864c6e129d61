//! The guest tests' program, and its runs.

use super::machine::{Machine, VARIABLE};
use super::output::{Outcome, Reader, listed};
use super::request::Request;
use super::table::Column;
use crate::cargo;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Set for `--quick`: `tests/guest/trial.rs`.
const QUICK: &str = "FERRIX_QUICK";
/// A run that takes longer, in seconds, hangs.
const LIMIT: &str = "2400";

/// The built program with what every run of it gets.
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    quick: bool,
}

impl Program {
    /// Builds it.
    pub fn build(request: &Request) -> Result<Self> {
        let output = cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                "ferrix-tests",
                "--test",
                "guest",
            ])
            .args(["--no-run", "--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .context("running cargo test")?;
        if !output.status.success() {
            bail!("the guest tests do not build");
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = messages.lines().find_map(executable);
        Ok(Self {
            path: path.context("cargo does not say where it put the guest tests")?,
            arguments: request.rest.clone(),
            quick: request.quick,
        })
    }

    /// The tests that were asked for, in their order.
    pub fn names(&self) -> Result<Vec<String>> {
        let list = self.list(Machine::Kvm)?;
        Ok(list.into_iter().map(|(name, _)| name).collect())
    }

    fn list(&self, machine: Machine) -> Result<Vec<(String, Option<Outcome>)>> {
        let output = Command::new(&self.path)
            .arg("--list")
            .args(&self.arguments)
            .env(VARIABLE, machine.name())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            bail!("the guest tests cannot be listed: {}", output.status);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(listed).collect())
    }

    /// The column of a machine that is not here; a failure if it was demanded.
    pub fn missing(&self, machine: Machine, reason: &str, demanded: bool) -> Result<Column> {
        let outcome = |known: Option<Outcome>| match known {
            Some(Outcome::NotApplicable(why)) => Outcome::NotApplicable(why),
            _ => Outcome::Missing(reason.into()),
        };
        let list = self.list(machine)?.into_iter();
        Ok(Column {
            outcomes: list.map(|(name, known)| (name, outcome(known))).collect(),
            seconds: None,
            broken: demanded.then(|| format!("missing: {reason}")),
        })
    }

    /// Runs it there, and shows its lines as they come.
    pub fn run(&self, machine: Machine) -> Result<Column> {
        let mut command = Command::new("timeout");
        let inner = machine.command(&self.path);
        command.args(["--foreground", "--kill-after", "10", LIMIT]);
        command.arg(inner.get_program());
        for argument in inner.get_args() {
            // The variable of `--quick` stands beside that of the machine.
            let is_program = argument == self.path.as_os_str();
            command.args((self.quick && is_program).then(|| format!("{QUICK}=1")));
            command.arg(argument);
        }
        command.args(["--color", "never"]).args(&self.arguments);
        let begin = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let lines = BufReader::new(child.stdout.take().context("the program's output")?);
        let outcomes = follow(lines, machine.name())?;
        let status = child.wait()?;
        let failed = outcomes.values().any(|outcome| *outcome == Outcome::Failed);
        Ok(Column {
            broken: (!status.success() && !failed).then(|| format!("the run itself: {status}")),
            outcomes,
            seconds: Some(begin.elapsed().as_secs()),
        })
    }
}

/// The outcomes in `lines`, which are shown behind the machine's name, and with the time that each test took.
fn follow(mut lines: impl BufRead, machine: &str) -> Result<BTreeMap<String, Outcome>> {
    let mut outcomes = BTreeMap::new();
    let mut reader = Reader::default();
    let mut since = Instant::now();
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        match reader.line(line) {
            Some((name, outcome)) => {
                let seconds = since.elapsed().as_secs_f32();
                since = Instant::now();
                println!("{machine}: {name} ... {} ({seconds:.1} s)", outcome.word());
                outcomes.insert(name, outcome);
            }
            None => println!("{machine}: {line}"),
        }
        bytes.clear();
    }
    Ok(outcomes)
}

/// The program's path in one of cargo's messages.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let named = message["target"]["name"] == "guest";
    let path = message["executable"].as_str().filter(|_| named)?;
    Some(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_program_is() {
        let message =
            r#"{"reason":"compiler-artifact","target":{"name":"guest"},"executable":"/t/guest-1"}"#;
        assert_eq!(executable(message), Some("/t/guest-1".into()));
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"guest"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("not JSON"), None);
    }

    #[test]
    fn outcomes_are_collected_from_any_bytes() {
        let text: &[u8] = b"running 2 tests\ntest a ... ok\n\xff\ntest b ... FAILED\nno newline";
        let outcomes = follow(text, "kvm").unwrap();
        assert_eq!(outcomes["a"], Outcome::Passed);
        assert_eq!(outcomes["b"], Outcome::Failed);
        assert_eq!(outcomes.len(), 2);
    }
}
