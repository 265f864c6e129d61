//! Ctrl-A x quits; Ctrl-A Ctrl-A is Ctrl-A; after Ctrl-A any other key is itself, with the Ctrl-A.

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
            (true, b'x' | b'X') => Typed::Quit,
            (true, byte) => Typed::Escaped(byte),
        }
    }
}

/// The prefix of [`Typed::Escaped`].
pub const PREFIX: u8 = CTRL_A;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let mut escape = Escape::default();
        let typed: Vec<_> = b"x\x01\x01x\x01q\x01x"
            .iter()
            .map(|b| escape.typed(*b))
            .collect();
        use Typed::{Escaped, Nothing, One, Quit};
        let expected = [
            One(b'x'),
            Nothing,
            One(1),
            One(b'x'),
            Nothing,
            Escaped(b'q'),
            Nothing,
            Quit,
        ];
        assert_eq!(typed, expected);
    }
}
