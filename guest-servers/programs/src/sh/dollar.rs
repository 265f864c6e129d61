//! What follows a `$` in a word: parameters, commands, arithmetic.

use std::rc::Rc;

use super::ast::{Absent, Bytes, End, Param, ParamOp, Part, Word};
use super::lexer::{Context, push_text};
use super::parser::{Parser, Problem, SyntaxError};

/// Parameters whose name is one sign.
const SPECIAL: &[u8] = b"@*#?-$!";

/// Whether `name` can name a variable.
pub fn is_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphabetic())
        && name
            .iter()
            .all(|&byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

impl Parser<'_> {
    /// At a `$`.
    pub(super) fn dollar(
        &mut self,
        context: Context,
        parts: &mut Vec<Part>,
    ) -> Result<(), SyntaxError> {
        self.bump();
        if self.at(b"((")
            && let Some(arith) = self.arithmetic()?
        {
            parts.push(arith);
            return Ok(());
        }
        match self.byte() {
            Some(b'(') => parts.push(self.substitution()?),
            Some(b'{') => parts.push(Part::Param(self.braced(context)?)),
            _ => match self.plain_name(Digits::One) {
                Some(name) => parts.push(Part::Param(Param {
                    name,
                    op: ParamOp::Value,
                })),
                None => push_text(parts, b'$', context),
            },
        }
        Ok(())
    }

    /// `$((...))`, or `None` if it turns out to be a command that starts with a subshell.
    fn arithmetic(&mut self) -> Result<Option<Part>, SyntaxError> {
        let (position, line) = (self.position, self.line);
        self.position += 2;
        let depth = self.enter()?;
        let parts = self.parts(Context::Arith(0));
        self.depth = depth;
        let parts = parts?;
        if self.skip_if(b"))") {
            return Ok(Some(Part::Arith(Word { parts })));
        }
        if self.byte().is_none() {
            return Err(self.error(Problem::Unclosed("$((")));
        }
        (self.position, self.line) = (position, line);
        Ok(None)
    }

    /// `$(...)`, at the parenthesis.
    fn substitution(&mut self) -> Result<Part, SyntaxError> {
        self.bump();
        let depth = self.enter()?;
        let (pending, start) = (std::mem::take(&mut self.pending), self.token_start);
        let list = self.list();
        let end = list.and_then(|list| self.expect_op(")").map(|()| list));
        (self.pending, self.token_start) = (pending, start);
        self.depth = depth;
        Ok(Part::Command(Rc::new(end?)))
    }

    /// A name, digits or a special sign; `None` if there is none.
    fn plain_name(&mut self, digits: Digits) -> Option<Bytes> {
        let rest = &self.source[self.position..];
        let first = *rest.first()?;
        let length = if first == b'_' || first.is_ascii_alphabetic() {
            rest.iter()
                .take_while(|&&b| b == b'_' || b.is_ascii_alphanumeric())
                .count()
        } else if first.is_ascii_digit() && digits == Digits::Many {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        } else {
            usize::from(first.is_ascii_digit() || SPECIAL.contains(&first))
        };
        if length == 0 {
            return None;
        }
        let name = rest[..length].to_vec();
        self.position += length;
        Some(name)
    }

    /// `${...}`, at the brace.
    fn braced(&mut self, context: Context) -> Result<Param, SyntaxError> {
        self.bump();
        let length = self.at(b"#") && !self.at(b"#}");
        if length {
            self.bump();
        }
        let Some(name) = self.plain_name(Digits::Many) else {
            return Err(match self.byte() {
                None => self.error(Problem::Unclosed("${")),
                Some(byte) => self.error(Problem::Unexpected(vec![byte])),
            });
        };
        let inner = match context {
            Context::Word | Context::Brace => Context::Brace,
            _ => Context::DoubleBrace,
        };
        let op = if length {
            ParamOp::Length
        } else {
            self.operation(inner)?
        };
        self.closing(b"}", "${")?;
        Ok(Param { name, op })
    }

    fn operation(&mut self, context: Context) -> Result<ParamOp, SyntaxError> {
        for (text, end, longest) in [
            (b"##".as_slice(), End::Front, true),
            (b"#", End::Front, false),
            (b"%%", End::Back, true),
            (b"%", End::Back, false),
        ] {
            if self.skip_if(text) {
                return Ok(ParamOp::Trim {
                    end,
                    longest,
                    pattern: self.inner(Context::Brace)?,
                });
            }
        }
        let or_empty = self.skip_if(b":");
        let action = match self.byte() {
            Some(b'-') => Absent::Default,
            Some(b'=') => Absent::Assign,
            Some(b'?') => Absent::Fail,
            Some(b'+') => Absent::Alternative,
            Some(byte) if or_empty => return Err(self.error(Problem::Unexpected(vec![byte]))),
            _ => return Ok(ParamOp::Value),
        };
        self.bump();
        Ok(ParamOp::Absent {
            action,
            or_empty,
            word: self.inner(context)?,
        })
    }

    /// The word inside `${x-word}`.
    fn inner(&mut self, context: Context) -> Result<Word, SyntaxError> {
        let depth = self.enter()?;
        let parts = self.parts(context);
        self.depth = depth;
        let mut parts = parts?;
        if context == Context::Brace {
            super::lexer::tilde(&mut parts);
        }
        Ok(Word { parts })
    }
}

/// How many digits name a positional parameter: `$12` is `${1}2`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digits {
    One,
    Many,
}
