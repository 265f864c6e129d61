//! From words to fields: parameters, commands, arithmetic, splitting, patterns, quotes.

use super::arith;
use super::ast::{Absent, Bytes, List, Param, ParamOp, Part, Word};
use super::fields::Fields;
use super::state::{Shell, Unwind};
use super::{glob, pattern};

/// Whether what is expanded stands between quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Bare,
    Quoted,
}

/// What an expansion leads to when it fails.
type Expanded<T> = Result<T, Unwind>;

impl Shell {
    /// The fields of command words.
    pub fn fields(&mut self, words: &[Word]) -> Expanded<Vec<Bytes>> {
        let mut result = Vec::new();
        for word in words {
            let separators = self.variables.get(b"IFS").unwrap_or(b" \t\n").to_vec();
            let mut fields = Fields::split_at(separators);
            self.parts(&word.parts, Quoting::Bare, &mut fields)?;
            for field in fields.finish() {
                if !self.options.no_glob && pattern::is_active(&field) {
                    let names = glob::expand(&field);
                    if !names.is_empty() {
                        result.extend(names);
                        continue;
                    }
                }
                result.push(pattern::unescape(&field));
            }
        }
        Ok(result)
    }

    /// A word as one text: no splitting, no file names.
    pub fn single(&mut self, word: &Word) -> Expanded<Bytes> {
        Ok(pattern::unescape(&self.pattern(word)?))
    }

    /// A word as a pattern, in which what is quoted is escaped.
    pub fn pattern(&mut self, word: &Word) -> Expanded<Bytes> {
        let mut fields = Fields::joined();
        self.parts(&word.parts, Quoting::Bare, &mut fields)?;
        Ok(fields.finish().concat())
    }

    fn parts(&mut self, parts: &[Part], quoting: Quoting, out: &mut Fields) -> Expanded<()> {
        parts
            .iter()
            .try_for_each(|part| self.part(part, quoting, out))
    }

    fn part(&mut self, part: &Part, quoting: Quoting, out: &mut Fields) -> Expanded<()> {
        match part {
            Part::Literal(text) => out.literal(text),
            Part::Quoted(text) => out.quoted(text),
            Part::Double(inner) if inner.is_empty() => out.quoted(b""),
            Part::Double(inner) => self.parts(inner, Quoting::Quoted, out)?,
            Part::Tilde(user) => out.quoted(&self.home(user)),
            Part::Param(param) => self.param(param, quoting, out)?,
            Part::Command(list) => {
                let output = self.substitute(list)?;
                push(&output, quoting, out);
            }
            Part::Arith(word) => {
                let text = self.single(word)?;
                let value = arith::evaluate(&text, self).map_err(|error| self.fail(&error))?;
                push(value.to_string().as_bytes(), quoting, out);
            }
        }
        Ok(())
    }

    /// The home directory of `user`, or of whoever runs the shell.
    fn home(&self, user: &[u8]) -> Bytes {
        let home = match user {
            b"" => self.variables.get(b"HOME").map(<[u8]>::to_vec),
            _ => home_of(user),
        };
        home.unwrap_or_else(|| [b"~", user].concat())
    }

    fn substitute(&mut self, list: &List) -> Expanded<Bytes> {
        let mut output = self.capture(list)?;
        while output.last() == Some(&b'\n') {
            output.pop();
        }
        // What a C program could not hold, no variable holds.
        output.retain(|&byte| byte != 0);
        Ok(output)
    }

    fn param(&mut self, param: &Param, quoting: Quoting, out: &mut Fields) -> Expanded<()> {
        let many = matches!(param.name.as_slice(), b"@" | b"*");
        if many && matches!(param.op, ParamOp::Value) {
            self.all_positional(&param.name, quoting, out);
            return Ok(());
        }
        let value = self.parameter(&param.name);
        match &param.op {
            ParamOp::Value => {
                let value = self.present(&param.name, value)?;
                push(&value, quoting, out);
            }
            ParamOp::Length => {
                let value = self.present(&param.name, value)?;
                let length = match many {
                    true => self.positional.len(),
                    false => String::from_utf8_lossy(&value).chars().count(),
                };
                push(length.to_string().as_bytes(), quoting, out);
            }
            ParamOp::Trim {
                end,
                longest,
                pattern,
            } => {
                let value = self.present(&param.name, value)?;
                let pattern = self.pattern(pattern)?;
                push(
                    pattern::trim(&value, &pattern, *end, *longest),
                    quoting,
                    out,
                );
            }
            ParamOp::Absent {
                action,
                or_empty,
                word,
            } => {
                let value = value.filter(|value| !(*or_empty && value.is_empty()));
                self.absent(&param.name, *action, value, word, quoting, out)?;
            }
        }
        Ok(())
    }

    fn present(&mut self, name: &[u8], value: Option<Bytes>) -> Expanded<Bytes> {
        if value.is_none() && self.options.no_unset && !matches!(name, b"@" | b"*") {
            return Err(self.fail(&format!("{}: is not set", name.escape_ascii())));
        }
        Ok(value.unwrap_or_default())
    }

    fn absent(
        &mut self,
        name: &[u8],
        action: Absent,
        value: Option<Bytes>,
        word: &Word,
        quoting: Quoting,
        out: &mut Fields,
    ) -> Expanded<()> {
        match (action, value) {
            (Absent::Alternative, Some(_)) | (Absent::Default, None) => {
                self.inner_word(word, quoting, out)
            }
            (Absent::Alternative, None) => {
                push(b"", quoting, out);
                Ok(())
            }
            (_, Some(value)) => {
                if name == b"@" {
                    self.all_positional(name, quoting, out);
                } else {
                    push(&value, quoting, out);
                }
                Ok(())
            }
            (Absent::Assign, None) => {
                let value = self.single(word)?;
                self.assign(name, value.clone())?;
                push(&value, quoting, out);
                Ok(())
            }
            (Absent::Fail, None) => {
                let mut message = self.single(word)?;
                if message.is_empty() {
                    message = b"is not set".to_vec();
                }
                let message = String::from_utf8_lossy(&message);
                Err(self.fail(&format!("{}: {message}", name.escape_ascii())))
            }
        }
    }

    /// The word of `${x-word}`. Outside quotes its blanks split.
    fn inner_word(&mut self, word: &Word, quoting: Quoting, out: &mut Fields) -> Expanded<()> {
        for part in &word.parts {
            match part {
                Part::Literal(text) if quoting == Quoting::Bare && out.splits() => {
                    out.expanded(text);
                }
                _ => self.part(part, quoting, out)?,
            }
        }
        if word.parts.is_empty() {
            push(b"", quoting, out);
        }
        Ok(())
    }

    /// `$@` and `$*`.
    fn all_positional(&self, name: &[u8], quoting: Quoting, out: &mut Fields) {
        if quoting == Quoting::Quoted && (name == b"*" || !out.splits()) {
            let separator = match (name, self.variables.get(b"IFS")) {
                (b"*", Some(separators)) => separators.get(..1).unwrap_or_default(),
                _ => b" ",
            };
            return out.quoted(&self.positional.join(separator));
        }
        for (index, value) in self.positional.iter().enumerate() {
            if index > 0 {
                match out.splits() {
                    true => out.end_field(),
                    false => out.quoted(b" "),
                }
            }
            push(value, quoting, out);
        }
    }

    /// The value of a parameter of any kind.
    fn parameter(&self, name: &[u8]) -> Option<Bytes> {
        let number = |number: usize| Some(number.to_string().into_bytes());
        match name {
            b"?" => Some(self.status.to_string().into_bytes()),
            b"$" => number(self.pid as usize),
            b"!" => self.last_background.map(|pid| pid.to_string().into_bytes()),
            b"#" => number(self.positional.len()),
            b"-" => Some(self.options.letters()),
            b"@" | b"*" => (!self.positional.is_empty()).then(|| self.positional.join(&b' ')),
            b"0" => Some(self.name.clone()),
            [b'1'..=b'9' | b'0', ..] => {
                let index: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
                self.positional.get(index.checked_sub(1)?).cloned()
            }
            _ => self.variables.get(name).map(<[u8]>::to_vec),
        }
    }
}

impl arith::Variables for Shell {
    fn get(&self, name: &[u8]) -> Bytes {
        self.variables.get(name).unwrap_or_default().to_vec()
    }

    fn set(&mut self, name: &[u8], value: i64) -> Result<(), String> {
        self.variables.set(name, value.to_string())
    }
}

fn push(text: &[u8], quoting: Quoting, out: &mut Fields) {
    match quoting {
        Quoting::Bare => out.expanded(text),
        Quoting::Quoted => out.quoted(text),
    }
}

/// A user's home directory by `/etc/passwd`.
fn home_of(user: &[u8]) -> Option<Bytes> {
    let users = std::fs::read("/etc/passwd").ok()?;
    let line = users.split(|&byte| byte == b'\n').find(|line| {
        line.strip_prefix(user)
            .is_some_and(|rest| rest.starts_with(b":"))
    })?;
    line.split(|&byte| byte == b':').nth(5).map(<[u8]>::to_vec)
}
