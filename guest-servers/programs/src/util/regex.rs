//! Regular expressions, POSIX basic and extended, without back-references. Pure.
//!
//! An expression compiles to a small machine whose states are all followed at once, so the
//! time is proportional to text times expression whatever the input. It works on bytes: `.`
//! is one byte of a longer UTF-8 character.

mod compile;
#[cfg(test)]
mod tests;

/// How an expression is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `\(`, `\|`, `\+`, `\?`, `\{` are operators.
    Basic,
    /// `(`, `|`, `+`, `?`, `{` are.
    Extended,
    /// Nothing is.
    Fixed,
}

/// Whether capitals matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They do.
    Distinct,
    /// They do not.
    Folded,
}

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Set([u64; 4]);

impl Set {
    const EMPTY: Self = Self([0; 4]);

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    fn invert(&mut self) {
        self.0.iter_mut().for_each(|word| *word = !*word);
    }
}

/// One instruction of the machine.
#[derive(Clone, Copy)]
enum Step {
    /// Takes a byte of this set.
    Take(Set),
    /// Goes on at both places.
    Split(usize, usize),
    /// Goes on there.
    Jump(usize),
    /// Only at the start of the text.
    Start,
    /// Only at its end.
    End,
    /// The expression matches.
    Match,
}

/// A compiled expression.
pub struct Regex {
    program: Vec<Step>,
}

impl Regex {
    /// Compiles; the error says what is wrong with the expression.
    pub fn new(text: &[u8], syntax: Syntax, case: Case) -> Result<Self, String> {
        compile::compile(text, syntax, case).map(|program| Self { program })
    }

    /// Whether any part of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let mut now = States::new(self.program.len());
        let mut next = States::new(self.program.len());
        for at in 0..=text.len() {
            if self.follow(0, at, text, &mut now) {
                return true;
            }
            let Some(&byte) = text.get(at) else {
                return false;
            };
            if self.advance(byte, at, text, &now, &mut next) {
                return true;
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
        }
        false
    }

    /// The first match from `from` on, as long as possible: where it begins and ends.
    pub fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        (from..=text.len()).find_map(|start| Some((start, self.longest(text, start)?)))
    }

    /// The end of the longest match that begins at `start`.
    fn longest(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut now = States::new(self.program.len());
        let mut next = States::new(self.program.len());
        let mut end = self.follow(0, start, text, &mut now).then_some(start);
        for at in start..text.len() {
            if now.list.is_empty() {
                break;
            }
            if self.advance(text[at], at, text, &now, &mut next) {
                end = Some(at + 1);
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
        }
        end
    }

    /// Takes `byte` at `at` in every state; whether the expression matches after it.
    fn advance(&self, byte: u8, at: usize, text: &[u8], now: &States, next: &mut States) -> bool {
        let mut matched = false;
        for &state in &now.list {
            if let Step::Take(set) = &self.program[state]
                && set.contains(byte)
            {
                matched |= self.follow(state + 1, at + 1, text, next);
            }
        }
        matched
    }

    /// Adds `state` and all that it leads to without taking a byte; whether that is a match.
    fn follow(&self, state: usize, at: usize, text: &[u8], states: &mut States) -> bool {
        let mut matched = false;
        let mut pending = vec![state];
        while let Some(state) = pending.pop() {
            if !states.insert(state) {
                continue;
            }
            match self.program[state] {
                Step::Take(_) => states.list.push(state),
                Step::Jump(to) => pending.push(to),
                Step::Split(a, b) => pending.extend([a, b]),
                Step::Start if at == 0 => pending.push(state + 1),
                Step::End if at == text.len() => pending.push(state + 1),
                Step::Start | Step::End => {}
                Step::Match => matched = true,
            }
        }
        matched
    }
}

/// States that the machine is in: those that wait for a byte, and a mark for every one seen.
struct States {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl States {
    fn new(size: usize) -> Self {
        Self {
            list: Vec::new(),
            seen: vec![false; size],
        }
    }

    fn insert(&mut self, state: usize) -> bool {
        !std::mem::replace(&mut self.seen[state], true)
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }
}
