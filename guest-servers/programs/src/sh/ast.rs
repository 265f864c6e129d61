//! The shape of a script, as the parser leaves it and the executor walks it.

use std::cell::OnceCell;
use std::rc::Rc;

/// Text of any encoding.
pub type Bytes = Vec<u8>;

/// One word before expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// Its parts, which expand in order and are joined.
    pub parts: Vec<Part>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Unquoted text; `*`, `?` and `[` are active.
    Literal(Bytes),
    /// Text that stands for itself.
    Quoted(Bytes),
    /// `"..."`: expanded, never split.
    Double(Vec<Part>),
    /// `~` or `~user` at the start of a word.
    Tilde(Bytes),
    /// `$x`, `${x...}`.
    Param(Param),
    /// `$(...)` or backquotes.
    Command(Rc<List>),
    /// `$((...))`.
    Arith(Word),
}

/// A parameter expansion.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Variable, digits, or one of `@*#?-$!`.
    pub name: Bytes,
    /// What is done with its value.
    pub op: ParamOp,
}

/// What a parameter expansion does with the value.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamOp {
    /// `${x}`
    Value,
    /// `${#x}`
    Length,
    /// `${x-w}`, `${x=w}`, `${x?w}`, `${x+w}`
    Absent {
        /// What happens.
        action: Absent,
        /// With a colon, an empty value counts as absent.
        or_empty: bool,
        /// The word.
        word: Word,
    },
    /// `${x#w}`, `${x%w}` and their doubled forms.
    Trim {
        /// Which end.
        end: End,
        /// The longest match instead of the shortest.
        longest: bool,
        /// The pattern.
        pattern: Word,
    },
}

/// What to do when a parameter is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `-`: use the word.
    Default,
    /// `=`: assign the word, then use it.
    Assign,
    /// `?`: fail with the word.
    Fail,
    /// `+`: use the word if the parameter is present.
    Alternative,
}

/// Which end of a value is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `#`
    Front,
    /// `%`
    Back,
}

/// A sequence of commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// In order.
    pub items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`, ended by `;`, `&` or a newline.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The first pipeline.
    pub first: Pipeline,
    /// The others, each with what comes before it.
    pub rest: Vec<(Connector, Pipeline)>,
    /// Ended by `&`.
    pub background: bool,
    /// As it was written, for `jobs`.
    pub text: Bytes,
}

/// `&&` or `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands joined by `|`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Preceded by `!`.
    pub negated: bool,
    /// At least one.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Words, assignments, redirections.
    Simple(Simple),
    /// A control structure and its redirections.
    Compound(Compound, Vec<Redirect>),
    /// `name() body`.
    Function(Bytes, Rc<Command>),
}

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simple {
    /// `name=value` before the first word.
    pub assignments: Vec<(Bytes, Word)>,
    /// Command name and arguments.
    pub words: Vec<Word>,
    /// In order.
    pub redirects: Vec<Redirect>,
    /// Line of the script, from 1.
    pub line: usize,
}

/// A control structure.
#[derive(Clone, Debug, PartialEq)]
pub enum Compound {
    /// `{ ...; }`
    Group(List),
    /// `( ... )`
    Subshell(List),
    /// `if`, `elif`: condition and body; then `else`.
    If(Vec<(List, List)>, Option<List>),
    /// `while` or `until`.
    Loop {
        /// The status class of the condition that goes on.
        goes_on: Verdict,
        /// Run before each turn.
        condition: List,
        /// Run in each turn.
        body: List,
    },
    /// `for name in words`; without `in`, the positional parameters.
    For(Bytes, Option<Vec<Word>>, List),
    /// `case word in pattern|pattern) list;; esac`
    Case(Word, Vec<(Vec<Word>, List)>),
}

/// A status as a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 0.
    True,
    /// Not 0.
    False,
}

impl Verdict {
    /// The verdict of an exit status.
    pub fn of(status: i32) -> Self {
        if status == 0 { Self::True } else { Self::False }
    }
}

/// A redirection.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The descriptor it changes.
    pub fd: i32,
    /// What becomes of it.
    pub target: Target,
}

/// What a redirection connects to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// `< file`
    Read(Word),
    /// `> file`, `>| file`
    Write(Word),
    /// `>> file`
    Append(Word),
    /// `<> file`
    ReadWrite(Word),
    /// `<& n`, `>& n`, `>&-`
    Duplicate(Word),
    /// `<< end`; filled in when the parser reaches the text below the line.
    Here(Rc<OnceCell<Word>>),
}
