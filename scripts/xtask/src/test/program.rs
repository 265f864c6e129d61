//! The guest tests' program, and its runs.

use super::failures::Failures;
use super::machine::{Machine, VARIABLE};
use super::output::{Outcome, listed};
use super::request::{Extent, Request};
use super::run::{self, End};
use super::stops::Stops;
use super::table::Column;
use crate::cargo;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Names the [`Extent`]: `tests/guest/trial.rs`.
const EXTENT: &str = "FERRIX_TESTS";
/// Names the tests that need not run again: `tests/guest/main.rs`.
const DONE: &str = "FERRIX_DONE";

/// What there is to say of a test that does not end.
const HUNG: &str = "it did not end, or its machine stopped in it twice";

/// The built program with what every run of it gets.
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    extent: Extent,
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
            extent: request.extent,
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
            notes: Vec::new(),
            broken: demanded.then(|| format!("missing: {reason}")),
        })
    }

    /// Runs it there, and shows its lines as they come. What an emulated computer that stopped left undone runs in
    /// another one.
    pub fn run(&self, machine: Machine, failures: &mut Failures) -> Result<Column> {
        let begin = Instant::now();
        let (mut outcomes, mut stops) = (BTreeMap::new(), Stops::default());
        let broken = loop {
            let run = run::run(self.command(machine, &outcomes), machine)?;
            let failed = run.outcomes.values().any(|one| *one == Outcome::Failed);
            outcomes.extend(run.outcomes);
            failures.add(run.failures.at(machine.name()));
            match run.end {
                End::Status(status) if status.success() || failed => break None,
                End::Status(status) => break Some(format!("the run itself: {status}")),
                End::Stopped(test) | End::Hung(test) => match stops.again(test, machine) {
                    Ok(None) => {}
                    Ok(Some(guilty)) => {
                        failures.tell(&format!("{}: {guilty}", machine.name()), HUNG.into());
                        outcomes.insert(guilty, Outcome::Failed);
                    }
                    Err(why) => break Some(why),
                },
            }
            println!(
                "{}: {}",
                machine.name(),
                stops.notes().last().map_or("", |note| note)
            );
        };
        Ok(Column {
            outcomes,
            seconds: Some(begin.elapsed().as_secs()),
            broken,
            notes: stops.into_notes(),
        })
    }

    fn command(&self, machine: Machine, done: &BTreeMap<String, Outcome>) -> Command {
        let names: Vec<&str> = done.keys().map(String::as_str).collect();
        let mut settings = vec![format!("{DONE}={}", names.join(" "))];
        settings.push(format!("{EXTENT}={}", self.extent.name()));
        let mut command = machine.command(&self.path, &settings);
        command.args(["--color", "never"]).args(&self.arguments);
        command
    }
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
}
