//! Runs every test and closes with one line that counts them.

use crate::cargo;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// The host's tests and the guest's, in one `cargo test`; `filter` goes to the test programs.
pub fn all(filter: &[String]) -> Result<ExitCode> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--"]).args(filter);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo test")?;
    let mut count = Count::default();
    for line in BufReader::new(child.stdout.take().context("cargo's output")?).lines() {
        let line = line?;
        println!("{line}");
        count.add(&line);
    }
    let status = child.wait()?;
    let Count {
        passed,
        failed,
        skipped,
    } = count;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(if status.success() && failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

impl Count {
    /// Adds a line like `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let number = |word: &str| {
            let before = result.split(word).next()?.trim_end();
            before.rsplit([' ', '.', ';']).next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or(0);
        self.failed += number(" failed").unwrap_or(0);
        self.skipped += number(" ignored").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn counts_what_cargo_says() {
        let mut count = Count::default();
        count.add("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        count.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        count.add("test some::test ... ok");
        assert_eq!((count.passed, count.failed, count.skipped), (13, 2, 3));
    }
}
