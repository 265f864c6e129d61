//! Grammar of the control structures.

use super::ast::{Command, Compound, List, Verdict, Word};
use super::dollar::is_name;
use super::lexer::Token;
use super::parser::{Parsed, Parser};

impl Parser<'_> {
    pub(super) fn command(&mut self) -> Parsed<Command> {
        let depth = self.enter()?;
        let command = self.command_here();
        self.depth = depth;
        command
    }

    fn command_here(&mut self) -> Parsed<Command> {
        let Some(compound) = self.compound()? else {
            return self.simple();
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command::Compound(compound, redirects))
    }

    fn compound(&mut self) -> Parsed<Option<Compound>> {
        if self.take_op("(")? {
            let list = self.body()?;
            self.expect_op(")")?;
            return Ok(Some(Compound::Subshell(list)));
        }
        let Some(word) = self.peek_plain()?.map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        let compound = match word.as_slice() {
            b"{" => self.group()?,
            b"if" => self.conditional()?,
            b"while" => self.repetition(Verdict::True)?,
            b"until" => self.repetition(Verdict::False)?,
            b"for" => self.for_each()?,
            b"case" => self.case()?,
            _ => return Ok(None),
        };
        Ok(Some(compound))
    }

    fn group(&mut self) -> Parsed<Compound> {
        self.ahead = None;
        let list = self.body()?;
        self.expect_reserved(b"}")?;
        Ok(Compound::Group(list))
    }

    fn conditional(&mut self) -> Parsed<Compound> {
        let mut arms = Vec::new();
        // At `if` first, then at each `elif`.
        loop {
            self.ahead = None;
            let condition = self.body()?;
            self.expect_reserved(b"then")?;
            arms.push((condition, self.body()?));
            if self.peek_plain()? != Some(b"elif") {
                break;
            }
        }
        let otherwise = match self.take_reserved(b"else")? {
            true => Some(self.body()?),
            false => None,
        };
        self.expect_reserved(b"fi")?;
        Ok(Compound::If(arms, otherwise))
    }

    fn repetition(&mut self, goes_on: Verdict) -> Parsed<Compound> {
        self.ahead = None;
        let condition = self.body()?;
        let body = self.do_done()?;
        Ok(Compound::Loop {
            goes_on,
            condition,
            body,
        })
    }

    fn do_done(&mut self) -> Parsed<List> {
        self.expect_reserved(b"do")?;
        let body = self.body()?;
        self.expect_reserved(b"done")?;
        Ok(body)
    }

    pub(super) fn word(&mut self) -> Parsed<Word> {
        match self.peek()? {
            Token::Word(_) => match self.next()? {
                Token::Word(word) => Ok(word),
                _ => Err(self.unexpected()),
            },
            _ => Err(self.unexpected()),
        }
    }

    fn for_each(&mut self) -> Parsed<Compound> {
        self.ahead = None;
        let name = match self.peek_plain()? {
            Some(name) if is_name(name) => name.to_vec(),
            _ => return Err(self.unexpected()),
        };
        self.ahead = None;
        self.skip_newlines()?;
        let mut words = None;
        if self.take_reserved(b"in")? {
            let list = words.insert(Vec::new());
            while matches!(self.peek()?, Token::Word(_)) {
                list.push(self.word()?);
            }
        }
        self.take_op(";")?;
        self.skip_newlines()?;
        Ok(Compound::For(name, words, self.do_done()?))
    }

    fn case(&mut self) -> Parsed<Compound> {
        self.ahead = None;
        let word = self.word()?;
        self.skip_newlines()?;
        self.expect_reserved(b"in")?;
        self.skip_newlines()?;
        let mut arms = Vec::new();
        while !self.take_reserved(b"esac")? {
            self.take_op("(")?;
            let mut patterns = vec![self.word()?];
            while self.take_op("|")? {
                patterns.push(self.word()?);
            }
            self.expect_op(")")?;
            arms.push((patterns, self.list()?));
            if !self.take_op(";;")? {
                self.expect_reserved(b"esac")?;
                break;
            }
            self.skip_newlines()?;
        }
        Ok(Compound::Case(word, arms))
    }
}
