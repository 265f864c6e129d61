//! From an expression's text to the machine's program.

use super::{Case, Set, Step, Syntax};
use crate::sh::named_class;

/// Groups may nest this deep.
const MAX_DEPTH: usize = 100;
/// No repetition is longer, and no program larger: an expression must not fill the memory.
const MAX_COUNT: usize = 255;
const MAX_STEPS: usize = 20_000;

type Program = Vec<Step>;

/// Compiles `text`; the program ends with a match.
pub fn compile(text: &[u8], syntax: Syntax, case: Case) -> Result<Program, String> {
    let mut compiler = Compiler {
        text,
        at: 0,
        syntax,
        case,
        depth: 0,
    };
    let mut program = match syntax {
        Syntax::Fixed => text.iter().map(|&byte| compiler.byte(byte)).collect(),
        _ => compiler.alternatives()?,
    };
    if compiler.at < text.len() && syntax != Syntax::Fixed {
        return Err("a group is closed that was not opened".into());
    }
    program.push(Step::Match);
    Ok(program)
}

struct Compiler<'a> {
    text: &'a [u8],
    at: usize,
    syntax: Syntax,
    case: Case,
    depth: usize,
}

/// `part` moved by `offset` steps.
fn moved(part: &[Step], offset: usize) -> impl Iterator<Item = Step> {
    part.iter().map(move |step| match *step {
        Step::Split(a, b) => Step::Split(a + offset, b + offset),
        Step::Jump(to) => Step::Jump(to + offset),
        other => other,
    })
}

impl Compiler<'_> {
    fn byte(&self, byte: u8) -> Step {
        let mut set = Set::EMPTY;
        self.insert(&mut set, byte);
        Step::Take(set)
    }

    fn insert(&self, set: &mut Set, byte: u8) {
        set.insert(byte);
        if self.case == Case::Folded {
            set.insert(byte.to_ascii_lowercase());
            set.insert(byte.to_ascii_uppercase());
        }
    }

    /// Whether an operator, which basic expressions write with a backslash, is ahead.
    fn at_operator(&self, sign: u8) -> bool {
        let rest = &self.text[self.at..];
        match self.syntax {
            Syntax::Extended => rest.first() == Some(&sign),
            _ => rest.starts_with(&[b'\\', sign]),
        }
    }

    fn take_operator(&mut self, sign: u8) -> bool {
        let there = self.at_operator(sign);
        if there {
            self.at += if self.syntax == Syntax::Extended {
                1
            } else {
                2
            };
        }
        there
    }

    fn alternatives(&mut self) -> Result<Program, String> {
        let mut program = self.sequence()?;
        while self.take_operator(b'|') {
            let other = self.sequence()?;
            let mut both = vec![Step::Split(1, program.len() + 2)];
            both.extend(moved(&program, 1));
            both.push(Step::Jump(program.len() + other.len() + 2));
            both.extend(moved(&other, program.len() + 2));
            program = both;
        }
        Ok(program)
    }

    fn sequence(&mut self) -> Result<Program, String> {
        let mut program = Program::new();
        let start = self.at;
        while self.at < self.text.len() && !self.at_operator(b'|') {
            if self.at_operator(b')') && (self.depth > 0 || self.syntax == Syntax::Basic) {
                break;
            }
            let part = self.element(self.at == start)?;
            let part = self.repeated(part)?;
            let offset = program.len();
            program.extend(moved(&part, offset));
            if program.len() > MAX_STEPS {
                return Err("the expression is too large".into());
            }
        }
        Ok(program)
    }

    /// One character, class, anchor or group. `first`: nothing stands before it.
    fn element(&mut self, first: bool) -> Result<Program, String> {
        if self.take_operator(b'(') {
            return self.group();
        }
        let byte = self.text[self.at];
        self.at += 1;
        let extended = self.syntax == Syntax::Extended;
        Ok(vec![match byte {
            b'.' => {
                let mut all = Set::EMPTY;
                all.invert();
                Step::Take(all)
            }
            b'[' => Step::Take(self.class()?),
            b'^' if extended || first => Step::Start,
            b'$' if extended || self.at_end() => Step::End,
            b'*' | b'+' | b'?' | b'{' if extended && first => self.byte(byte),
            b'\\' => {
                let escaped = *self
                    .text
                    .get(self.at)
                    .ok_or("a backslash ends the expression")?;
                self.at += 1;
                match escaped {
                    b'1'..=b'9' => return Err("back-references are not supported".into()),
                    b'w' | b'W' | b's' | b'S' => Step::Take(shorthand(escaped)),
                    _ => self.byte(escaped),
                }
            }
            _ => self.byte(byte),
        }])
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len() || self.at_operator(b'|') || self.at_operator(b')')
    }

    fn group(&mut self) -> Result<Program, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("groups are nested too deep".into());
        }
        let inner = self.alternatives()?;
        self.depth -= 1;
        if !self.take_operator(b')') {
            return Err("a group is not closed".into());
        }
        Ok(inner)
    }

    /// Applies the repetition signs that follow `part`.
    fn repeated(&mut self, mut part: Program) -> Result<Program, String> {
        loop {
            let (least, most) =
                if self.text.get(self.at) == Some(&b'*') && !self.is_first_star(&part) {
                    self.at += 1;
                    (0, None)
                } else if self.take_operator(b'+') {
                    (1, None)
                } else if self.take_operator(b'?') {
                    (0, Some(1))
                } else if self.take_operator(b'{') {
                    self.bounds()?
                } else {
                    return Ok(part);
                };
            part = repeat(&part, least, most)?;
        }
    }

    /// In a basic expression a star after `^` stands for itself.
    fn is_first_star(&self, part: &[Step]) -> bool {
        self.syntax == Syntax::Basic && matches!(part, [Step::Start])
    }

    /// `3}`, `3,}` or `3,5}`.
    fn bounds(&mut self) -> Result<(usize, Option<usize>), String> {
        let least = self.count();
        let most = if self.text.get(self.at) == Some(&b',') {
            self.at += 1;
            self.count()
        } else {
            least
        };
        let bad = || "a repetition count is wrong".to_string();
        if !self.take_operator(b'}') {
            return Err(bad());
        }
        let low = least.unwrap_or(0);
        if low > MAX_COUNT || most.is_some_and(|most| most > MAX_COUNT || most < low) {
            return Err(bad());
        }
        Ok((low, most))
    }

    fn count(&mut self) -> Option<usize> {
        let rest = &self.text[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    }

    /// `[...]`, after the bracket.
    fn class(&mut self) -> Result<Set, String> {
        let mut set = Set::EMPTY;
        let inverted = self.text.get(self.at) == Some(&b'^');
        self.at += usize::from(inverted);
        let first = self.at;
        loop {
            let rest = &self.text[self.at.min(self.text.len())..];
            let Some(&low) = rest.first() else {
                return Err("a bracket is not closed".into());
            };
            if low == b']' && self.at > first {
                self.at += 1;
                break;
            }
            if let Some((member, length)) = named_class(rest) {
                (0..=255)
                    .filter(member)
                    .for_each(|byte| self.insert(&mut set, byte));
                self.at += length;
                continue;
            }
            let high = match rest {
                [_, b'-', high, ..] if *high != b']' => *high,
                _ => low,
            };
            self.at += if rest.get(1) == Some(&b'-') && rest.get(2).is_some_and(|b| *b != b']') {
                3
            } else {
                1
            };
            (low..=high).for_each(|byte| self.insert(&mut set, byte));
        }
        if inverted {
            set.invert();
        }
        Ok(set)
    }
}

/// `\w`, `\s` and their opposites.
fn shorthand(letter: u8) -> Set {
    let mut set = Set::EMPTY;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    for byte in 0..=255u8 {
        let member = match letter.to_ascii_lowercase() {
            b'w' => word(&byte),
            _ => byte.is_ascii_whitespace(),
        };
        if member {
            set.insert(byte);
        }
    }
    if letter.is_ascii_uppercase() {
        set.invert();
    }
    set
}

/// `part` from `least` to `most` times, or without end.
fn repeat(part: &[Step], least: usize, most: Option<usize>) -> Result<Program, String> {
    let copies = most.unwrap_or(least + 1).max(1);
    if part.len().saturating_mul(copies) > MAX_STEPS {
        return Err("the expression is too large".into());
    }
    let mut program = Program::new();
    let push = |program: &mut Program| {
        let offset = program.len();
        program.extend(moved(part, offset));
    };
    (0..least).for_each(|_| push(&mut program));
    match most {
        None => {
            let top = program.len();
            program.push(Step::Split(top + 1, top + part.len() + 2));
            push(&mut program);
            program.push(Step::Jump(top));
        }
        Some(most) => {
            let end = program.len() + (most - least) * (part.len() + 1);
            for _ in least..most {
                let here = program.len();
                program.push(Step::Split(here + 1, end));
                push(&mut program);
            }
        }
    }
    Ok(program)
}
