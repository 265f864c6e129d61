//! `read`: a line of input into variables.

use std::io::ErrorKind;

use super::misuse;
use crate::cx::cause;
use crate::sh::ast::Bytes;
use crate::sh::redirect::read_line;
use crate::sh::state::{Flow, Shell};
use crate::sys::fd::Fd;

/// What a backslash in the input means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// The next character stands for itself; before the newline, the line goes on.
    Escapes,
    /// Nothing (`-r`).
    Plain,
}

/// One byte of the line and whether a backslash protects it from splitting.
type Marked = (u8, bool);

/// `read [-r] [-p PROMPT] NAME...`: status 1 at the end of the input.
pub fn read(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let mut names = &words[1..];
    let mut backslash = Backslash::Escapes;
    loop {
        match names {
            [option, rest @ ..] if option == b"-r" => {
                backslash = Backslash::Plain;
                names = rest;
            }
            [option, prompt, rest @ ..] if option == b"-p" => {
                err!("{}", String::from_utf8_lossy(prompt));
                names = rest;
            }
            _ => break,
        }
    }
    let mut line = Vec::new();
    let status = loop {
        match read_line(Fd::STDIN) {
            Ok(None) => break 1,
            Ok(Some(text)) => {
                if mark(&text, backslash, &mut line) == Ends::Here {
                    break i32::from(!text.ends_with(b"\n"));
                }
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => shell.check_signals()?,
            Err(why) => return misuse(shell, words, &cause(&why)),
        }
    };
    let reply = [b"REPLY".to_vec()];
    let names = if names.is_empty() { &reply } else { names };
    let separators = shell.variables.get(b"IFS").unwrap_or(b" \t\n").to_vec();
    let mut rest = line.as_slice();
    for (index, name) in names.iter().enumerate() {
        let value = match index + 1 == names.len() {
            true => last_field(rest, &separators),
            false => next_field(&mut rest, &separators),
        };
        shell.assign(name, value)?;
    }
    Ok(status)
}

/// Whether a line is complete.
#[derive(Debug, PartialEq, Eq)]
enum Ends {
    Here,
    GoesOn,
}

/// Adds `text` to `line`, resolving backslashes.
fn mark(text: &[u8], backslash: Backslash, line: &mut Vec<Marked>) -> Ends {
    let mut bytes = text.strip_suffix(b"\n").unwrap_or(text).iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' || backslash == Backslash::Plain {
            line.push((byte, false));
            continue;
        }
        match bytes.next() {
            Some(&next) => line.push((next, true)),
            None if text.ends_with(b"\n") => return Ends::GoesOn,
            None => {}
        }
    }
    Ends::Here
}

fn is_blank(marked: &Marked, separators: &[u8]) -> bool {
    !marked.1 && separators.contains(&marked.0) && b" \t\n".contains(&marked.0)
}

fn skip_blanks<'a>(text: &'a [Marked], separators: &[u8]) -> &'a [Marked] {
    let count = text
        .iter()
        .take_while(|marked| is_blank(marked, separators))
        .count();
    &text[count..]
}

/// Takes one field and the separator after it.
fn next_field(rest: &mut &[Marked], separators: &[u8]) -> Bytes {
    let text = skip_blanks(rest, separators);
    let separates = |marked: &Marked| !marked.1 && separators.contains(&marked.0);
    let end = text.iter().position(separates).unwrap_or(text.len());
    let after = skip_blanks(&text[end..], separators);
    // Blanks around another separator belong to it.
    *rest = match after.first() {
        Some(first) if separates(first) => &after[1..],
        _ => after,
    };
    text[..end].iter().map(|(byte, _)| *byte).collect()
}

/// All that is left, without blanks around it.
fn last_field(rest: &[Marked], separators: &[u8]) -> Bytes {
    let text = skip_blanks(rest, separators);
    let blanks = text
        .iter()
        .rev()
        .take_while(|marked| is_blank(marked, separators))
        .count();
    text[..text.len() - blanks]
        .iter()
        .map(|(byte, _)| *byte)
        .collect()
}
