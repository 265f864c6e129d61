//! `test` and `[`: conditions on files, texts and numbers.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use crate::cx::{Cx, Fail, Outcome, USAGE};
use crate::opts::number;
use crate::sys::fd::Fd;
use crate::sys::system;

/// `test EXPRESSION`: 0 if true, 1 if false, 2 if it makes no sense.
pub fn run(cx: &mut Cx) -> Outcome {
    answer(cx.args)
}

/// `[ EXPRESSION ]`
pub fn bracket(cx: &mut Cx) -> Outcome {
    match cx.args.split_last() {
        Some((last, expression)) if last == "]" => answer(expression),
        _ => Err(nonsense("] is missing")),
    }
}

fn answer(args: &[OsString]) -> Outcome {
    if args.is_empty() {
        return Ok(1);
    }
    let mut expression = Expression {
        rest: args,
        depth: 0,
    };
    let value = expression.or()?;
    match expression.rest {
        [] => Ok(i32::from(!value)),
        [extra, ..] => Err(nonsense(&format!("{}: unexpected", extra.display()))),
    }
}

fn nonsense(text: &str) -> Fail {
    Fail::with_status(USAGE, text)
}

struct Expression<'a> {
    rest: &'a [OsString],
    depth: usize,
}

impl Expression<'_> {
    fn take(&mut self, text: &str) -> bool {
        let there = self.rest.first().is_some_and(|arg| arg == text);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    fn or(&mut self) -> Result<bool, Fail> {
        let mut value = self.and()?;
        while self.take("-o") {
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, Fail> {
        let mut value = self.primary()?;
        while self.take("-a") {
            value &= self.primary()?;
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<bool, Fail> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(nonsense("nested more than 100 deep"));
        }
        let value = self.primary_here();
        self.depth -= 1;
        value
    }

    fn primary_here(&mut self) -> Result<bool, Fail> {
        // A binary operator in second place decides first, so that operands may look like
        // operators.
        if let [left, operator, right, rest @ ..] = self.rest
            && let Some(result) = binary(left, &operator.to_string_lossy(), right)
        {
            self.rest = rest;
            return result;
        }
        match self.rest {
            [] => Err(nonsense("an operand is missing")),
            [not, _, ..] if not == "!" => {
                self.rest = &self.rest[1..];
                self.primary().map(|value| !value)
            }
            [open, _, ..] if open == "(" => {
                self.rest = &self.rest[1..];
                let value = self.or()?;
                if self.take(")") {
                    Ok(value)
                } else {
                    Err(nonsense(") is missing"))
                }
            }
            [operator, operand, rest @ ..] => match unary(&operator.to_string_lossy(), operand) {
                Some(value) => {
                    self.rest = rest;
                    value
                }
                None => Ok(self.text()),
            },
            [_] => Ok(self.text()),
        }
    }

    /// A text alone is true if it is not empty.
    fn text(&mut self) -> bool {
        let value = !self.rest[0].is_empty();
        self.rest = &self.rest[1..];
        value
    }
}

/// The value of `left operator right`; `None` if that is no operator.
fn binary(left: &OsStr, operator: &str, right: &OsStr) -> Option<Result<bool, Fail>> {
    let value = match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-nt" | "-ot" | "-ef" => compare_files(left, operator, right),
        "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => {
            return Some(integer(left).and_then(|left| {
                let order = left.cmp(&integer(right)?);
                Ok(match operator {
                    "-eq" => order.is_eq(),
                    "-ne" => order.is_ne(),
                    "-lt" => order.is_lt(),
                    "-le" => order.is_le(),
                    "-gt" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }));
        }
        _ => return None,
    };
    Some(Ok(value))
}

fn integer(text: &OsStr) -> Result<i64, Fail> {
    let trimmed = OsStr::from_bytes(text.as_bytes().trim_ascii());
    number(trimmed).ok_or_else(|| nonsense(&format!("{}: is no integer", text.display())))
}

fn compare_files(left: &OsStr, operator: &str, right: &OsStr) -> bool {
    let time = |data: &fs::Metadata| (data.mtime(), data.mtime_nsec());
    match (fs::metadata(left), fs::metadata(right)) {
        (Ok(left), Ok(right)) => match operator {
            "-nt" => time(&left) > time(&right),
            "-ot" => time(&left) < time(&right),
            _ => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        },
        (Ok(_), Err(_)) => operator == "-nt",
        (Err(_), Ok(_)) => operator == "-ot",
        (Err(_), Err(_)) => false,
    }
}

/// The value of `operator operand`; `None` if that is no operator.
fn unary(operator: &str, operand: &OsStr) -> Option<Result<bool, Fail>> {
    let file =
        |check: fn(&fs::Metadata) -> bool| fs::metadata(operand).is_ok_and(|data| check(&data));
    let value = match operator {
        "-n" => !operand.is_empty(),
        "-z" => operand.is_empty(),
        "-e" => file(|_| true),
        "-f" => file(fs::Metadata::is_file),
        "-d" => file(fs::Metadata::is_dir),
        "-s" => file(|data| data.len() > 0),
        "-p" => file(|data| data.file_type().is_fifo()),
        "-S" => file(|data| data.file_type().is_socket()),
        "-b" => file(|data| data.file_type().is_block_device()),
        "-c" => file(|data| data.file_type().is_char_device()),
        "-h" | "-L" => fs::symlink_metadata(operand).is_ok_and(|data| data.is_symlink()),
        "-r" => file(|data| permits(data, 4)),
        "-w" => file(|data| permits(data, 2)),
        "-x" => file(|data| permits(data, 1)),
        "-t" => {
            return Some(
                integer(operand).map(|fd| i32::try_from(fd).is_ok_and(|fd| Fd(fd).is_terminal())),
            );
        }
        _ => return None,
    };
    Some(Ok(value))
}

/// Whether this user has one of the three rights.
fn permits(data: &fs::Metadata, right: u32) -> bool {
    let mode = data.permissions().mode();
    let user = system::effective_user();
    if user == 0 {
        return right != 1 || data.is_dir() || mode & 0o111 != 0;
    }
    let shift = match (data.uid() == user, data.gid() == system::ids().1) {
        (true, _) => 6,
        (_, true) => 3,
        _ => 0,
    };
    mode >> shift & right != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> Result<bool, ()> {
        let args: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        answer(&args).map(|status| status == 0).map_err(|_| ())
    }

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("a = a", true),
            ("a != a", false),
            ("3 -lt 10", true),
            ("! 3 -lt 10", false),
            ("-n x", true),
            ("-z x", false),
            ("-d /", true),
            ("-f /", false),
            ("( 1 -eq 1 ) -a ( a = b -o c = c )", true),
            ("-n = -n", true),
            ("!", true),
            ("-f", true),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
        for text in ["1 -eq x", "a b", "( a", "a = b c"] {
            assert_eq!(holds(text), Err(()), "{text}");
        }
    }
}
