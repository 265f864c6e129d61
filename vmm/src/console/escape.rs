//! Ctrl-A x quits; Ctrl-A h says so; Ctrl-A Ctrl-A is Ctrl-A; after Ctrl-A any other key is itself, with the Ctrl-A.

const CTRL_A: u8 = 0x01;

/// What came of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// Remembers a Ctrl-A.
#[derive(Debug, Default)]
pub struct Escape {
    armed: bool,
}

impl Escape {
    /// A key was typed.
    pub fn typed(&mut self, byte: u8) -> Typed {
        let armed = std::mem::replace(&mut self.armed, false);
        match (armed, byte) {
            (false, CTRL_A) => {
                self.armed = true;
                Typed::Nothing
            }
            (false, byte) => Typed::One(byte),
            (true, CTRL_A) => Typed::One(CTRL_A),
            (true, b'h' | b'H' | b'?') => Typed::Help,
            (true, b'x' | b'X') => Typed::Quit,
            (true, byte) => Typed::Escaped(byte),
        }
    }
}

/// What [`Typed::Help`] tells, on a raw terminal.
pub const HELP: &str = "\r
vmm: Ctrl-A x      ends the machine\r
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
}
