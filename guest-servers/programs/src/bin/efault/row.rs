//! A row of the table: one pointer of one call, and what comes of wrong ones.

use crate::env::Env;
use crate::places::{FERRIX, FEW, Kind, RIGHT, bits};
use libc::EFAULT;

/// What the call does with the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Reads so many bytes.
    Read(usize),
    /// Writes so many.
    Write(usize),
    /// Reads and writes.
    Both(usize),
    /// Reads a string.
    Text,
    /// It is the address of a range of pages: what comes of it is said in the row.
    Range,
}

impl Use {
    /// Bytes, at least 1.
    pub fn size(self) -> usize {
        match self {
            Use::Read(size) | Use::Write(size) | Use::Both(size) => size,
            Use::Text => 8,
            Use::Range => 1,
        }
    }

    /// Whether it has to be writable.
    pub fn writes(self) -> bool {
        matches!(self, Use::Write(_) | Use::Both(_))
    }

    /// Which kinds of places are meant for it.
    pub fn kinds(self) -> u32 {
        let all = bits(crate::places::ALL);
        let edges = bits(&[Kind::Edge, Kind::Short, Kind::Fence]);
        let only_written = bits(&[Kind::ReadOnly, Kind::Text]);
        match self {
            Use::Range => all & !edges & !only_written & !RIGHT | Kind::Odd.bit(),
            _ if self.size() == 1 => all & !edges & !if self.writes() { 0 } else { only_written },
            // What is in the text means nothing.
            Use::Both(_) => all & !Kind::Text.bit(),
            _ if self.writes() => all,
            _ => all & !only_written,
        }
    }
}

/// What may come of it: 0 a success, else an error's number.
pub type Outcomes = &'static [i32];

/// As with the pointer that is right.
pub const SAME: Outcomes = &[-1];
/// What is usual.
const FAULT: Outcomes = &[EFAULT];

/// Most exceptions of a row.
const EXCEPTIONS: usize = 6;

/// One pointer of one call.
#[derive(Clone, Copy)]
pub struct Row {
    /// The call's number.
    pub call: i64,
    /// Its name.
    pub name: &'static str,
    /// Which pointer.
    pub what: &'static str,
    /// What is done with it.
    pub how: Use,
    /// The arguments; the pointer is given.
    pub args: fn(&Env, usize) -> [usize; 6],
    /// Bytes that a right place holds before the call.
    pub holds: fn(&Env) -> Vec<u8>,
    /// Done before each call.
    pub before: fn(&Env),
    /// Done after each call, with the pointer and what the call returned.
    pub after: fn(&Env, usize, isize),
    /// Kinds that are left out: they mean something that the test cannot survive.
    left_out: u32,
    /// Whether it is about a terminal.
    pub needs_terminal: bool,
    exceptions: [(u32, Outcomes); EXCEPTIONS],
}

impl Row {
    /// A row in which every wrong place is `EFAULT`.
    pub const fn new(
        (call, name): (i64, &'static str),
        what: &'static str,
        how: Use,
        args: fn(&Env, usize) -> [usize; 6],
    ) -> Row {
        Row {
            call,
            name,
            what,
            how,
            args,
            holds: |_| Vec::new(),
            before: |_| {},
            after: |_, _, _| {},
            left_out: 0,
            needs_terminal: false,
            exceptions: [(0, FAULT); EXCEPTIONS],
        }
    }

    /// A right place holds these bytes.
    pub const fn holds(mut self, holds: fn(&Env) -> Vec<u8>) -> Row {
        self.holds = holds;
        self
    }

    /// Something is to be done before each call.
    pub const fn before(mut self, before: fn(&Env)) -> Row {
        self.before = before;
        self
    }

    /// Something is to be done after each call.
    pub const fn after(mut self, after: fn(&Env, usize, isize)) -> Row {
        self.after = after;
        self
    }

    /// These kinds are left out.
    pub const fn without(mut self, kinds: u32) -> Row {
        self.left_out |= kinds;
        self
    }

    /// Few kinds: the call makes a process each time.
    pub const fn few(self) -> Row {
        self.without(!FEW)
    }

    /// Only wrong pointers: with a right one the call would not come back.
    pub const fn only_wrong(self) -> Row {
        self.without(RIGHT)
    }

    /// It is about a terminal.
    pub const fn of_terminal(mut self) -> Row {
        self.needs_terminal = true;
        self
    }

    /// Whether the call may be made with a right pointer.
    pub fn has_right(&self) -> bool {
        self.left_out & RIGHT != RIGHT
    }

    /// At these kinds of places something else comes of it. The first exception that names a kind counts.
    pub const fn at(mut self, kinds: &[Kind], outcomes: Outcomes) -> Row {
        self.add(bits(kinds), outcomes);
        self
    }

    const fn add(&mut self, kinds: u32, outcomes: Outcomes) {
        let mut index = 0;
        while self.exceptions[index].0 != 0 {
            index += 1;
        }
        self.exceptions[index] = (kinds, outcomes);
    }

    /// A null pointer has a meaning.
    pub const fn or_null(self, outcomes: Outcomes) -> Row {
        self.at(&[Kind::Null], outcomes)
    }

    /// At all wrong places, whatever they are.
    pub const fn everywhere(mut self, outcomes: Outcomes) -> Row {
        self.add(!RIGHT, outcomes);
        self
    }

    /// What may come of this kind of place.
    pub fn outcomes(&self, kind: Kind) -> Outcomes {
        let found = self
            .exceptions
            .iter()
            .find(|(kinds, _)| kinds & kind.bit() != 0);
        match found {
            Some((_, outcomes)) => outcomes,
            None if kind.bit() & RIGHT != 0 => SAME,
            None => FAULT,
        }
    }

    /// The kinds to try on this system.
    pub fn kinds(&self, on_ferrix: bool) -> u32 {
        self.how.kinds() & !self.left_out & if on_ferrix { u32::MAX } else { !FERRIX }
    }
}
