//! What a check finds.

use core::fmt;
use core::ops::RangeInclusive;

/// A check's result.
pub type Verdict = Result<(), Stop>;

/// Why a check ended early.
#[derive(Debug)]
pub enum Stop {
    /// The machine is not as the specification says.
    Failed(Failure),
    /// The machine need not have what is checked, and has it not.
    Skipped(&'static str),
}

/// What was seen and should not be.
#[derive(Debug)]
pub struct Failure {
    /// What was looked at.
    pub what: &'static str,
    /// What it should be.
    pub expected: Value,
    /// What it is.
    pub got: Value,
}

/// A value in a failure.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Number(u64),
    /// Anything from a number to another.
    Range(RangeInclusive<u64>),
    /// Something in words.
    Words(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:#x}"),
            Self::Range(range) => write!(f, "{:#x} to {:#x}", range.start(), range.end()),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, got {}",
            self.what, self.expected, self.got
        )
    }
}

/// Fails unless both are the same.
pub fn equal(what: &'static str, got: impl Into<u64>, expected: impl Into<u64>) -> Verdict {
    let (got, expected) = (got.into(), expected.into());
    match got == expected {
        true => Ok(()),
        false => failed(what, Value::Number(expected), Value::Number(got)),
    }
}

/// Fails unless the number lies in the range.
pub fn within(what: &'static str, got: u64, expected: RangeInclusive<u64>) -> Verdict {
    match expected.contains(&got) {
        true => Ok(()),
        false => failed(what, Value::Range(expected), Value::Number(got)),
    }
}

/// Fails unless it holds.
pub fn holds(what: &'static str, condition: bool) -> Verdict {
    match condition {
        true => Ok(()),
        false => failed(what, Value::Words("true"), Value::Words("false")),
    }
}

/// A value that must be there.
pub fn there<T>(what: &'static str, value: Option<T>) -> Result<T, Stop> {
    value.ok_or(Stop::Failed(Failure {
        what,
        expected: Value::Words("something"),
        got: Value::Words("nothing"),
    }))
}

/// The check has no subject here.
pub fn skip<T>(reason: &'static str) -> Result<T, Stop> {
    Err(Stop::Skipped(reason))
}

/// Skips unless it holds.
pub fn needs(condition: bool, otherwise: &'static str) -> Verdict {
    match condition {
        true => Ok(()),
        false => skip(otherwise),
    }
}

fn failed(what: &'static str, expected: Value, got: Value) -> Verdict {
    Err(Stop::Failed(Failure {
        what,
        expected,
        got,
    }))
}
