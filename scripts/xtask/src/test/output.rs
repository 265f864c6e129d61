//! Reads what test programs print.

use std::fmt;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Count {
    /// Counts these, too.
    pub fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }

    /// Whether something ran, and nothing failed.
    pub fn is_success(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// What a line like `test result: ok. 5 passed; 0 failed; 1 ignored; …` counts.
    pub fn of_summary(line: &str) -> Self {
        let mut count = Self::default();
        let Some(result) = line.strip_prefix("test result: ") else {
            return count;
        };
        let number = |word: &str| {
            let before = result.split(word).next()?.trim_end();
            before.rsplit([' ', '.', ';']).next()?.parse::<u64>().ok()
        };
        count.passed = number(" passed").unwrap_or(0);
        count.failed = number(" failed").unwrap_or(0);
        count.skipped = number(" ignored").unwrap_or(0);
        count
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// How a test ended on a machine, or why it did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// It makes no sense there.
    NotApplicable(String),
    /// The machine, or something that the test needs, is missing.
    Missing(String),
    /// It is too slow for what was asked.
    LeftOut(String),
}

impl Outcome {
    /// What the trial's kind says, as `tests/guest/trial.rs` writes it.
    fn left_out(kind: &str) -> Self {
        match kind.split_once(": ") {
            Some(("-", reason)) => Self::NotApplicable(reason.into()),
            Some(("slow", reason)) => Self::LeftOut(reason.into()),
            Some(("missing", reason)) => Self::Missing(reason.into()),
            _ => Self::Missing(kind.into()),
        }
    }

    /// What it adds to the closing line. A test that makes no sense on a machine is not left out there.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        match self {
            Self::Passed => count.passed = 1,
            Self::Failed => count.failed = 1,
            Self::Missing(_) | Self::LeftOut(_) => count.skipped = 1,
            Self::NotApplicable(_) => {}
        }
        count
    }
}

/// Finds tests and their outcomes in a program's lines. What a test prints itself may stand between a test's
/// name and its outcome.
#[derive(Debug, Default)]
pub struct Reader {
    /// The test whose outcome has not come yet, with its kind.
    open: Option<(String, String)>,
}

impl Reader {
    /// The test whose outcome has not come yet.
    pub fn open_test(&self) -> Option<&str> {
        self.open.as_ref().map(|(name, _)| name.as_str())
    }

    /// The test that ended with this line.
    pub fn line(&mut self, line: &str) -> Option<(String, Outcome)> {
        let mut rest = line.trim();
        if let Some((kind, name, after)) = announced(rest) {
            self.open = Some((name.into(), kind.into()));
            rest = after;
        }
        let (_, kind) = self.open.as_ref()?;
        let outcome = match rest {
            "ok" => Outcome::Passed,
            "FAILED" => Outcome::Failed,
            "ignored" => Outcome::left_out(kind),
            _ => return None,
        };
        let (name, _) = self.open.take()?;
        Some((name, outcome))
    }
}

/// `test [KIND] NAME ... REST`.
fn announced(line: &str) -> Option<(&str, &str, &str)> {
    let (test, rest) = line.strip_prefix("test ")?.split_once(" ...")?;
    let (kind, name) = kind_and_name(test);
    (!name.contains(' ')).then_some((kind, name, rest.trim()))
}

fn kind_and_name(test: &str) -> (&str, &str) {
    let test = test.trim();
    let kind = test
        .strip_prefix('[')
        .and_then(|rest| rest.rsplit_once(']'));
    match kind {
        Some((kind, name)) => (kind, name.trim()),
        None => ("", test),
    }
}

/// A line of `--list`: `[KIND] NAME: test`. A kind is the reason why it would not run.
pub fn listed(line: &str) -> Option<(String, Option<Outcome>)> {
    let (kind, name) = kind_and_name(line.strip_suffix(": test")?);
    let outcome = (!kind.is_empty()).then(|| Outcome::left_out(kind));
    Some((name.into(), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_says() {
        let mut count = Count::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "test some::test ... ok",
        ] {
            count.add(Count::of_summary(line));
        }
        assert_eq!(count.to_string(), "13 passed, 2 failed, 3 skipped");
        assert!(!count.is_success() && !Count::default().is_success());
    }

    #[test]
    fn outcomes_are_read() {
        let mut reader = Reader::default();
        let mut read = |line: &str| reader.line(line);
        let passed = Some(("boot::a".to_string(), Outcome::Passed));
        assert_eq!(read("test boot::a   ... ok"), passed);
        assert_eq!(
            read("test              boot::a ... ok"),
            passed,
            "padded for kinds"
        );
        let ignored = read("test [-: about [the] monitor]   x::b ... ignored");
        let reason = Outcome::NotApplicable("about [the] monitor".into());
        assert_eq!(ignored, Some(("x::b".into(), reason)));
        assert_eq!(read("ok"), None, "no test is open");
    }

    #[test]
    fn what_a_test_prints_is_passed_over() {
        let mut reader = Reader::default();
        assert_eq!(reader.line("test x::c ... seed=5"), None);
        assert_eq!(reader.line("more"), None);
        assert_eq!(
            reader.line("FAILED"),
            Some(("x::c".into(), Outcome::Failed))
        );
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(listed("x::a: test"), Some(("x::a".into(), None)));
        let missing = Outcome::Missing("gdb is not installed".into());
        assert_eq!(
            listed("[missing: gdb is not installed] x::b: test"),
            Some(("x::b".into(), Some(missing)))
        );
        assert_eq!(listed("2 tests"), None);
    }
}
