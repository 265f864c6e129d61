//! Grammar of simple commands, redirections and functions.

use std::cell::OnceCell;
use std::rc::Rc;

use super::ast::{Bytes, Command, Part, Redirect, Simple, Target, Word};
use super::dollar::is_name;
use super::lexer::{PendingHere, Token, tilde};
use super::parser::{CLOSERS, Parsed, Parser, plain};

impl Parser<'_> {
    pub(super) fn simple(&mut self) -> Parsed<Command> {
        self.peek()?;
        let mut simple = Simple {
            line: self.line,
            ..Simple::default()
        };
        loop {
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            let Token::Word(word) = self.peek()? else {
                break;
            };
            if simple
                == (Simple {
                    line: simple.line,
                    ..Simple::default()
                })
                && plain(word).is_some_and(|text| CLOSERS.contains(&text))
            {
                return Err(self.unexpected());
            }
            let word = self.word()?;
            match assignment(&word) {
                Some(assignment) if simple.words.is_empty() => simple.assignments.push(assignment),
                _ => simple.words.push(word),
            }
            if simple.words.len() == 1
                && simple.assignments.is_empty()
                && *self.peek()? == Token::Op("(")
            {
                return self.function(&simple.words[0]);
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command::Simple(simple))
    }

    /// `name` has been read and a parenthesis is ahead.
    fn function(&mut self, name: &Word) -> Parsed<Command> {
        let Some(name) = plain(name).filter(|name| is_name(name)).map(<[u8]>::to_vec) else {
            return Err(self.unexpected());
        };
        self.expect_op("(")?;
        self.expect_op(")")?;
        self.skip_newlines()?;
        let body = self.command()?;
        Ok(Command::Function(name, Rc::new(body)))
    }

    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        let number = match self.peek()? {
            Token::Number(number) => {
                let number = *number;
                self.ahead = None;
                Some(number)
            }
            _ => None,
        };
        let Token::Op(op) = *self.peek()? else {
            return Ok(None);
        };
        let to: fn(Word) -> Target = match op {
            "<" => Target::Read,
            ">" | ">|" => Target::Write,
            ">>" => Target::Append,
            "<>" => Target::ReadWrite,
            "<&" | ">&" => Target::Duplicate,
            "<<" | "<<-" => |_| Target::Here(Rc::default()),
            _ => return Ok(None),
        };
        self.ahead = None;
        let word = self.word()?;
        let fd = number.unwrap_or(if op.starts_with('<') { 0 } else { 1 });
        let target = match op {
            "<<" | "<<-" => self.here(&word, op == "<<-"),
            _ => to(word),
        };
        Ok(Some(Redirect { fd, target }))
    }

    fn here(&mut self, end: &Word, strip_tabs: bool) -> Target {
        let mut delimiter = Bytes::new();
        let mut quoted = false;
        flatten(&end.parts, &mut delimiter, &mut quoted);
        let body = Rc::new(OnceCell::new());
        self.pending.push(PendingHere {
            end: delimiter,
            quoted,
            strip_tabs,
            body: body.clone(),
        });
        Target::Here(body)
    }
}

/// A here-document's end as it was written, without quotes.
fn flatten(parts: &[Part], text: &mut Bytes, quoted: &mut bool) {
    for part in parts {
        match part {
            Part::Literal(bytes) => text.extend_from_slice(bytes),
            Part::Quoted(bytes) => {
                *quoted = true;
                text.extend_from_slice(bytes);
            }
            Part::Double(inner) => {
                *quoted = true;
                flatten(inner, text, quoted);
            }
            Part::Tilde(user) => {
                text.push(b'~');
                text.extend_from_slice(user);
            }
            Part::Param(param) => {
                text.push(b'$');
                text.extend_from_slice(&param.name);
            }
            Part::Command(_) | Part::Arith(_) => {}
        }
    }
}

/// `name=value` as its two halves.
fn assignment(word: &Word) -> Option<(Bytes, Word)> {
    let Some(Part::Literal(text)) = word.parts.first() else {
        return None;
    };
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (name, rest) = (&text[..equals], &text[equals + 1..]);
    if !is_name(name) {
        return None;
    }
    let mut parts = word.parts[1..].to_vec();
    if !rest.is_empty() {
        parts.insert(0, Part::Literal(rest.to_vec()));
    }
    tilde(&mut parts);
    Some((name.to_vec(), Word { parts }))
}
