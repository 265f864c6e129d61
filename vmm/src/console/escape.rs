//! Ctrl-A x quits; Ctrl-A c opens a prompt for commands; Ctrl-A h says so; Ctrl-A Ctrl-A is Ctrl-A; after Ctrl-A any other key is itself, with the Ctrl-A.

const CTRL_A: u8 = 0x01;

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Nothing yet.
    Nothing,
    /// This goes to the guest.
    One(u8),
    /// Ctrl-A and this go to the guest.
    Escaped(u8),
    /// The user wants to know these keys.
    Help,
    /// The user wants to quit.
    Quit,
    /// The prompt shows this.
    Echo(&'static str, Option<char>),
    /// A command was typed at the prompt.
    Command(String),
}

/// Remembers a Ctrl-A, and the line that is typed at the prompt.
#[derive(Debug, Default)]
pub struct Escape {
    armed: bool,
    line: Option<String>,
}

/// What the prompt shows.
pub const PROMPT: &str = "(vmm) ";
const OPENED: &str =
    "\r\nvmm: help lists commands; an empty line leads back to the guest\r\n(vmm) ";
const CLOSED: &str = "\r\nvmm: back to the guest\r\n";
/// A line does not grow longer.
const LONGEST: usize = 200;

impl Escape {
    /// A key was typed.
    pub fn typed(&mut self, byte: u8) -> Typed {
        let armed = std::mem::replace(&mut self.armed, false);
        if !armed
            && byte != CTRL_A
            && let Some(line) = self.line.take()
        {
            return self.edit(line, byte);
        }
        match (armed, byte) {
            (false, CTRL_A) => {
                self.armed = true;
                Typed::Nothing
            }
            (false, byte) => Typed::One(byte),
            (true, CTRL_A) => Typed::One(CTRL_A),
            (true, b'h' | b'H' | b'?') => Typed::Help,
            (true, b'x' | b'X') => Typed::Quit,
            (true, b'c' | b'C') => {
                self.line = Some(String::new());
                Typed::Echo(OPENED, None)
            }
            (true, byte) => Typed::Escaped(byte),
        }
    }

    /// A key at the prompt. Control characters, and Enter on an empty line, close it.
    fn edit(&mut self, mut line: String, byte: u8) -> Typed {
        let echo = match byte {
            b'\r' | b'\n' if !line.is_empty() => {
                self.line = Some(String::new());
                return Typed::Command(line);
            }
            0x08 | 0x7f => match line.pop() {
                Some(_) => Typed::Echo("\x08 \x08", None),
                None => Typed::Nothing,
            },
            b' '..=b'~' if line.len() < LONGEST => {
                line.push(byte.into());
                Typed::Echo("", Some(byte.into()))
            }
            b' '.. => Typed::Nothing,
            _ => return Typed::Echo(CLOSED, None),
        };
        self.line = Some(line);
        echo
    }
}

/// What [`Typed::Help`] tells, on a raw terminal.
pub const HELP: &str = "\r
vmm: Ctrl-A x      ends the machine\r
vmm: Ctrl-A c      asks for the monitor's commands\r
vmm: Ctrl-A h      tells these keys\r
vmm: Ctrl-A Ctrl-A sends Ctrl-A to the guest\r
";

/// The prefix of [`Typed::Escaped`].
pub const PREFIX: u8 = CTRL_A;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let mut escape = Escape::default();
        let typed: Vec<_> = b"x\x01\x01x\x01q\x01h\x01x"
            .iter()
            .map(|b| escape.typed(*b))
            .collect();
        use Typed::{Escaped, Help, Nothing, One, Quit};
        let expected = [
            One(b'x'),
            Nothing,
            One(1),
            One(b'x'),
            Nothing,
            Escaped(b'q'),
            Nothing,
            Help,
            Nothing,
            Quit,
        ];
        assert_eq!(typed, expected);
    }

    #[test]
    fn a_prompt_takes_lines_until_one_is_empty() {
        let mut escape = Escape::default();
        let typed: Vec<_> = b"\x01cix\x7fn\x7f\x7f\x7f\rhi\r\rz"
            .iter()
            .map(|b| escape.typed(*b))
            .filter(|typed| !matches!(typed, Typed::Nothing | Typed::Echo("", _)))
            .collect();
        let rubbed = || Typed::Echo("\x08 \x08", None);
        let expected = [
            Typed::Echo(OPENED, None),
            rubbed(),
            rubbed(),
            rubbed(),
            Typed::Echo(CLOSED, None),
            Typed::One(b'h'),
            Typed::One(b'i'),
            Typed::One(b'\r'),
            Typed::One(b'\r'),
            Typed::One(b'z'),
        ];
        assert_eq!(typed, expected);
        let typed: Vec<_> = b"\x01cinfo\r\x01x"
            .iter()
            .map(|b| escape.typed(*b))
            .collect();
        assert_eq!(typed[6], Typed::Command("info".into()));
        assert_eq!(typed[8], Typed::Quit, "also at the prompt");
    }
}
