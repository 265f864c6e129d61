//! The grammar, from tokens to [`List`]s: its state, its errors, lists and pipelines. Control
//! structures are in [`super::compound`], simple commands in [`super::simple`]. Pure; tests and
//! properties are in `parser/tests.rs`.

use std::fmt;

use super::ast::{Bytes, Connector, Item, List, Part, Pipeline, Word};
use super::lexer::{PendingHere, Token};

#[cfg(test)]
mod tests;

/// Structures may nest this deep, so that no script can exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Words that end a list and belong to the structure around it.
pub(super) const CLOSERS: [&[u8]; 8] = [
    b"then", b"elif", b"else", b"fi", b"do", b"done", b"esac", b"}",
];

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line of the text, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text ends before this is closed; more text can mend it.
    Unclosed(&'static str),
    /// This cannot stand here.
    Unexpected(Bytes),
    /// Too many structures inside each other.
    TooDeep,
}

impl SyntaxError {
    /// Whether more text can mend it.
    pub fn is_incomplete(&self) -> bool {
        matches!(self.problem, Problem::Unclosed(_))
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: syntax error: ", self.line)?;
        match &self.problem {
            Problem::Unclosed(what) => write!(f, "the text ends before {what} is closed"),
            Problem::Unexpected(what) if what == b"\n" => write!(f, "unexpected end of line"),
            Problem::Unexpected(what) => {
                write!(f, "unexpected `{}'", String::from_utf8_lossy(what))
            }
            Problem::TooDeep => write!(f, "nested more than {MAX_DEPTH} deep"),
        }
    }
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// A text being parsed.
pub struct Parser<'a> {
    pub(super) source: &'a [u8],
    pub(super) position: usize,
    pub(super) line: usize,
    pub(super) depth: usize,
    pub(super) pending: Vec<PendingHere>,
    /// Where the token read last begins.
    pub(super) token_start: usize,
    /// Where the token before it ends.
    pub(super) previous_end: usize,
    pub(super) ahead: Option<Token>,
}

impl<'a> Parser<'a> {
    /// Parses `source` from its first line.
    pub fn new(source: &'a [u8]) -> Self {
        Self::nested(source, 1, 0)
    }

    pub(super) fn nested(source: &'a [u8], line: usize, depth: usize) -> Self {
        let pending = Vec::new();
        let (position, token_start, previous_end) = (0, 0, 0);
        Self {
            source,
            position,
            line,
            depth,
            pending,
            token_start,
            previous_end,
            ahead: None,
        }
    }

    /// The commands up to the end of the next line that holds any; `None` at the end. A script
    /// runs line by line, so that an error below does not stop what stands above it.
    pub fn next_line(&mut self) -> Parsed<Option<List>> {
        while *self.peek()? == Token::Newline {
            self.next()?;
        }
        if *self.peek()? == Token::End {
            return Ok(None);
        }
        let mut items = Vec::new();
        loop {
            items.push(self.item()?);
            match self.peek()? {
                Token::Newline => break,
                Token::End => {
                    self.no_pending()?;
                    break;
                }
                _ => {}
            }
            if self.at_closer()? {
                return Err(self.unexpected());
            }
        }
        // Taking the newline reads the here-documents below it.
        self.next()?;
        Ok(Some(List { items }))
    }

    /// All of the text as one list.
    pub(super) fn whole(&mut self) -> Parsed<List> {
        let list = self.list()?;
        match self.peek()? {
            Token::End => self.no_pending().map(|()| list),
            _ => Err(self.unexpected()),
        }
    }

    fn no_pending(&self) -> Parsed<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(self.error(Problem::Unclosed("a here-document"))),
        }
    }

    pub(super) fn error(&self, problem: Problem) -> SyntaxError {
        SyntaxError {
            line: self.line,
            problem,
        }
    }

    /// An error about the token ahead.
    pub(super) fn unexpected(&mut self) -> SyntaxError {
        match self.ahead {
            Some(Token::End) | None => self.error(Problem::Unclosed("a command")),
            Some(Token::Newline) => self.error(Problem::Unexpected(b"\n".to_vec())),
            _ => {
                let text = self.source[self.token_start..self.position].to_vec();
                self.error(Problem::Unexpected(text))
            }
        }
    }

    /// One level deeper, unless that is too deep.
    pub(super) fn deeper(&self) -> Parsed<usize> {
        match self.depth {
            MAX_DEPTH.. => Err(self.error(Problem::TooDeep)),
            depth => Ok(depth + 1),
        }
    }

    /// Goes one level deeper; the caller puts the returned depth back.
    pub(super) fn enter(&mut self) -> Parsed<usize> {
        let deeper = self.deeper()?;
        Ok(std::mem::replace(&mut self.depth, deeper))
    }

    pub(super) fn peek(&mut self) -> Parsed<&Token> {
        let token = match self.ahead.take() {
            Some(token) => token,
            None => self.lex()?,
        };
        Ok(self.ahead.insert(token))
    }

    pub(super) fn next(&mut self) -> Parsed<Token> {
        self.peek()?;
        Ok(self.ahead.take().unwrap_or(Token::End))
    }

    pub(super) fn take_op(&mut self, op: &'static str) -> Parsed<bool> {
        let there = *self.peek()? == Token::Op(op);
        if there {
            self.ahead = None;
        }
        Ok(there)
    }

    pub(super) fn expect_op(&mut self, op: &'static str) -> Parsed<()> {
        if self.take_op(op)? {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The text of the word ahead if it could be reserved.
    pub(super) fn peek_plain(&mut self) -> Parsed<Option<&[u8]>> {
        Ok(match self.peek()? {
            Token::Word(word) => plain(word),
            _ => None,
        })
    }

    pub(super) fn take_reserved(&mut self, word: &[u8]) -> Parsed<bool> {
        let there = self.peek_plain()? == Some(word);
        if there {
            self.ahead = None;
        }
        Ok(there)
    }

    pub(super) fn expect_reserved(&mut self, word: &[u8]) -> Parsed<()> {
        if self.take_reserved(word)? {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn skip_newlines(&mut self) -> Parsed<()> {
        while *self.peek()? == Token::Newline {
            self.ahead = None;
        }
        Ok(())
    }

    /// Whether what is ahead ends a list.
    fn at_closer(&mut self) -> Parsed<bool> {
        Ok(match self.peek()? {
            Token::End | Token::Op(")" | ";;") => true,
            Token::Word(word) => plain(word).is_some_and(|text| CLOSERS.contains(&text)),
            _ => false,
        })
    }

    /// Items up to a closer, which stays.
    pub(super) fn list(&mut self) -> Parsed<List> {
        let mut items = Vec::new();
        self.skip_newlines()?;
        while !self.at_closer()? {
            items.push(self.item()?);
            self.skip_newlines()?;
        }
        Ok(List { items })
    }

    /// A list that must not be empty.
    pub(super) fn body(&mut self) -> Parsed<List> {
        let list = self.list()?;
        if list.items.is_empty() {
            Err(self.unexpected())
        } else {
            Ok(list)
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        self.peek()?;
        let start = self.token_start;
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let connector = match self.peek()? {
                Token::Op("&&") => Connector::And,
                Token::Op("||") => Connector::Or,
                _ => break,
            };
            self.ahead = None;
            self.skip_newlines()?;
            rest.push((connector, self.pipeline()?));
        }
        self.peek()?;
        let text = self.source[start..self.previous_end].to_vec();
        let background = self.take_op("&")?;
        if !background && !self.take_op(";")? {
            let ends = *self.peek()? == Token::Newline || self.at_closer()?;
            if !ends {
                return Err(self.unexpected());
            }
        }
        Ok(Item {
            first,
            rest,
            background,
            text,
        })
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut negated = false;
        while self.take_reserved(b"!")? {
            negated = !negated;
        }
        let mut commands = vec![self.command()?];
        while self.take_op("|")? {
            self.skip_newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }
}

/// The text of a word without any quoting or expansion.
pub(super) fn plain(word: &Word) -> Option<&[u8]> {
    match word.parts.as_slice() {
        [Part::Literal(text)] => Some(text),
        _ => None,
    }
}
