//! From bytes to tokens and words. The grammar is in [`super::parser`], which shares the
//! [`Parser`] state, because `$( )` inside a word holds a whole script.

use std::cell::OnceCell;
use std::rc::Rc;

use super::ast::{Bytes, Part, Word};
use super::parser::{Parser, Problem, SyntaxError};

/// A unit of the grammar.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A word, reserved or not.
    Word(Word),
    /// An operator such as `&&`.
    Op(&'static str),
    /// Digits directly before `<` or `>`.
    Number(i32),
    /// End of a line.
    Newline,
    /// End of the text.
    End,
}

/// Operators, longest first.
const OPERATORS: [&str; 16] = [
    "<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "|", "&", ";", "<", ">", "(",
];

/// A here-document whose text has not been reached.
pub struct PendingHere {
    /// The line that ends it.
    pub end: Bytes,
    /// Whether its text is taken as it is.
    pub quoted: bool,
    /// `<<-`: leading tabs are dropped.
    pub strip_tabs: bool,
    /// Where the text goes.
    pub body: Rc<OnceCell<Word>>,
}

/// Where a run of parts is, which decides what ends it and what a quote means there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// A plain word.
    Word,
    /// Between double quotes.
    Double,
    /// The word of `${x-word}` outside quotes.
    Brace,
    /// The same inside double quotes.
    DoubleBrace,
    /// A here-document's text.
    Here,
    /// `$((...))`, this many parentheses deep.
    Arith(usize),
}

impl Context {
    fn quoted(self) -> bool {
        !matches!(self, Self::Word | Self::Brace)
    }

    fn ends_at(self, byte: u8) -> bool {
        match self {
            Self::Word => b" \t\n|&;<>()".contains(&byte),
            Self::Double => byte == b'"',
            Self::Brace | Self::DoubleBrace => byte == b'}',
            Self::Here => false,
            Self::Arith(depth) => byte == b')' && depth == 0,
        }
    }

    /// What a backslash makes ordinary in a quoted context.
    fn escapable(self) -> &'static [u8] {
        match self {
            Self::Here => b"$`\\",
            Self::DoubleBrace => b"$`\"\\}",
            _ => b"$`\"\\",
        }
    }
}

impl Parser<'_> {
    pub(super) fn byte(&self) -> Option<u8> {
        self.source.get(self.position).copied()
    }

    pub(super) fn at(&self, text: &[u8]) -> bool {
        self.source[self.position..].starts_with(text)
    }

    /// Takes one byte that is known to be there.
    pub(super) fn bump(&mut self) {
        if self.byte() == Some(b'\n') {
            self.line += 1;
        }
        self.position += 1;
    }

    pub(super) fn skip_if(&mut self, text: &[u8]) -> bool {
        let there = self.at(text);
        if there {
            self.position += text.len();
        }
        there
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r') => self.position += 1,
                Some(b'\\') if self.at(b"\\\n") => {
                    self.position += 2;
                    self.line += 1;
                }
                Some(b'#') => {
                    while self.byte().is_some_and(|byte| byte != b'\n') {
                        self.position += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Reads the next token from the text.
    pub(super) fn lex(&mut self) -> Result<Token, SyntaxError> {
        self.previous_end = self.position;
        self.skip_blanks();
        self.token_start = self.position;
        let Some(byte) = self.byte() else {
            return Ok(Token::End);
        };
        if byte == b'\n' {
            self.bump();
            self.here_documents()?;
            return Ok(Token::Newline);
        }
        if let Some(number) = self.descriptor() {
            return Ok(Token::Number(number));
        }
        if self.skip_if(b")") {
            return Ok(Token::Op(")"));
        }
        for operator in OPERATORS {
            if self.skip_if(operator.as_bytes()) {
                return Ok(Token::Op(operator));
            }
        }
        let mut parts = self.parts(Context::Word)?;
        tilde(&mut parts);
        Ok(Token::Word(Word { parts }))
    }

    /// A descriptor number directly before a redirection.
    fn descriptor(&mut self) -> Option<i32> {
        let rest = &self.source[self.position..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || !matches!(rest.get(digits), Some(b'<' | b'>')) {
            return None;
        }
        let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        self.position += digits;
        Some(number)
    }

    /// Parts up to what ends the context, which is left in place.
    pub(super) fn parts(&mut self, mut context: Context) -> Result<Vec<Part>, SyntaxError> {
        let mut parts = Vec::new();
        while let Some(byte) = self.byte() {
            if context.ends_at(byte) {
                break;
            }
            if let Context::Arith(depth) = &mut context {
                match byte {
                    b'(' => *depth += 1,
                    b')' => *depth -= 1,
                    _ => {}
                }
            }
            self.part(byte, context, &mut parts)?;
        }
        Ok(parts)
    }

    fn part(
        &mut self,
        byte: u8,
        context: Context,
        parts: &mut Vec<Part>,
    ) -> Result<(), SyntaxError> {
        match byte {
            b'\\' => self.backslash(context, parts),
            b'\'' if !context.quoted() => parts.push(Part::Quoted(self.single_quoted()?)),
            b'"' if context != Context::Here => {
                self.bump();
                let inner = self.parts(Context::Double)?;
                self.closing(b"\"", "a double quote")?;
                parts.push(Part::Double(inner));
            }
            b'$' => self.dollar(context, parts)?,
            b'`' => parts.push(self.backquoted(context)?),
            _ => {
                self.bump();
                push_text(parts, byte, context);
            }
        }
        Ok(())
    }

    fn backslash(&mut self, context: Context, parts: &mut Vec<Part>) {
        self.bump();
        let Some(next) = self.byte() else {
            return push_text(parts, b'\\', context);
        };
        if next == b'\n' {
            return self.bump();
        }
        if context.quoted() && !context.escapable().contains(&next) {
            return push_text(parts, b'\\', context);
        }
        self.bump();
        match parts.last_mut() {
            Some(Part::Quoted(text)) => text.push(next),
            _ => parts.push(Part::Quoted(vec![next])),
        }
    }

    fn single_quoted(&mut self) -> Result<Bytes, SyntaxError> {
        self.bump();
        let start = self.position;
        while self.byte().is_some_and(|byte| byte != b'\'') {
            self.bump();
        }
        let text = self.source[start..self.position].to_vec();
        self.closing(b"'", "a single quote")?;
        Ok(text)
    }

    /// Takes `end`, which must be there unless the text is incomplete.
    pub(super) fn closing(&mut self, end: &[u8], what: &'static str) -> Result<(), SyntaxError> {
        if self.skip_if(end) {
            return Ok(());
        }
        match self.byte() {
            None => Err(self.error(Problem::Unclosed(what))),
            Some(byte) => Err(self.error(Problem::Unexpected(vec![byte]))),
        }
    }

    /// A backquoted command. Its backslashes are undone once before it is parsed.
    fn backquoted(&mut self, context: Context) -> Result<Part, SyntaxError> {
        self.bump();
        let mut inner = Bytes::new();
        let line = self.line;
        while let Some(byte) = self.byte().filter(|&byte| byte != b'`') {
            self.bump();
            match self.byte() {
                Some(next)
                    if byte == b'\\'
                        && (b"$`\\".contains(&next) || next == b'"' && context.quoted()) =>
                {
                    self.bump();
                    inner.push(next);
                }
                _ => inner.push(byte),
            }
        }
        self.closing(b"`", "a backquote")?;
        let mut parser = Parser::nested(&inner, line, self.deeper()?);
        Ok(Part::Command(Rc::new(parser.whole()?)))
    }

    /// Reads the texts of the here-documents that the ended line announced.
    fn here_documents(&mut self) -> Result<(), SyntaxError> {
        for pending in std::mem::take(&mut self.pending) {
            let first_line = self.line;
            let text = self.here_text(&pending)?;
            let parts = if pending.quoted {
                vec![Part::Quoted(text)]
            } else {
                Parser::nested(&text, first_line, self.deeper()?).parts(Context::Here)?
            };
            // The cell is this document's own and is filled once.
            let _ = pending.body.set(Word { parts });
        }
        Ok(())
    }

    fn here_text(&mut self, pending: &PendingHere) -> Result<Bytes, SyntaxError> {
        let mut text = Bytes::new();
        loop {
            if self.byte().is_none() {
                return Err(self.error(Problem::Unclosed("a here-document")));
            }
            let rest = &self.source[self.position..];
            let length = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len());
            let mut line = &rest[..length];
            self.position += (length + 1).min(rest.len());
            self.line += 1;
            while let (true, [b'\t', stripped @ ..]) = (pending.strip_tabs, line) {
                line = stripped;
            }
            if line == pending.end {
                return Ok(text);
            }
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
}

/// Adds a byte of plain text to the last part if that is plain text too.
pub(super) fn push_text(parts: &mut Vec<Part>, byte: u8, context: Context) {
    match (parts.last_mut(), context.quoted()) {
        (Some(Part::Quoted(text)), true) | (Some(Part::Literal(text)), false) => text.push(byte),
        (_, true) => parts.push(Part::Quoted(vec![byte])),
        (_, false) => parts.push(Part::Literal(vec![byte])),
    }
}

/// Makes a tilde prefix of a word its own part.
pub(super) fn tilde(parts: &mut Vec<Part>) {
    let Some(Part::Literal(text)) = parts.first() else {
        return;
    };
    if text.first() != Some(&b'~') {
        return;
    }
    let slash = text.iter().position(|&byte| byte == b'/');
    let end = match slash {
        Some(slash) => slash,
        None if parts.len() == 1 => text.len(),
        // What follows is quoted or expanded, so it is no user's name.
        None => return,
    };
    let (user, rest) = (text[1..end].to_vec(), text[end..].to_vec());
    parts[0] = Part::Tilde(user);
    if !rest.is_empty() {
        parts.insert(1, Part::Literal(rest));
    }
}
