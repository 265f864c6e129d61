//! Terminal attributes: Linux's `struct termios` (ioctl_tty(2)), 36 bytes on the wire.

use linux_raw_sys::general as linux;

/// Control characters, by their index in `c_cc`.
pub const CONTROL_CHARACTERS: usize = linux::NCCS as usize;
/// Bytes of the kernel's `struct termios`.
pub const WIRE_SIZE: usize = 4 * 4 + 1 + CONTROL_CHARACTERS;

/// A control character switched off (`_POSIX_VDISABLE`).
pub const DISABLED: u8 = 0;

/// The attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    /// Input modes (`c_iflag`).
    pub input: u32,
    /// Output modes (`c_oflag`).
    pub output: u32,
    /// Control modes (`c_cflag`): kept, but there is no line to control.
    pub control: u32,
    /// Local modes (`c_lflag`).
    pub local: u32,
    /// Line discipline number.
    pub line: u8,
    /// Control characters (`c_cc`).
    pub characters: [u8; CONTROL_CHARACTERS],
}

const fn control(letter: u8) -> u8 {
    letter & 0x1f
}

impl Default for Termios {
    /// What Linux starts a console with.
    fn default() -> Self {
        let mut characters = [DISABLED; CONTROL_CHARACTERS];
        let defaults = [
            (linux::VINTR, control(b'C')),
            (linux::VQUIT, control(b'\\')),
            (linux::VERASE, 0x7f),
            (linux::VKILL, control(b'U')),
            (linux::VEOF, control(b'D')),
            (linux::VMIN, 1),
            (linux::VSTART, control(b'Q')),
            (linux::VSTOP, control(b'S')),
            (linux::VSUSP, control(b'Z')),
            (linux::VREPRINT, control(b'R')),
            (linux::VWERASE, control(b'W')),
            (linux::VLNEXT, control(b'V')),
        ];
        for (index, character) in defaults {
            characters[index as usize] = character;
        }
        Termios {
            input: linux::ICRNL | linux::IXON,
            output: linux::OPOST | linux::ONLCR,
            control: linux::CS8 | linux::CREAD | linux::HUPCL | linux::B38400,
            local: linux::ISIG
                | linux::ICANON
                | linux::ECHO
                | linux::ECHOE
                | linux::ECHOK
                | linux::ECHOCTL
                | linux::ECHOKE
                | linux::IEXTEN,
            line: 0,
            characters,
        }
    }
}

impl Termios {
    /// Whether all of the local mode bits are set.
    pub const fn has_local(&self, bits: u32) -> bool {
        self.local & bits == bits
    }

    /// Whether the byte is the control character with this index.
    pub fn is(&self, byte: u8, index: u32) -> bool {
        byte != DISABLED && self.characters[index as usize] == byte
    }

    /// As the kernel's structure.
    pub fn to_wire(&self) -> [u8; WIRE_SIZE] {
        let mut wire = [0; WIRE_SIZE];
        let words = [self.input, self.output, self.control, self.local];
        for (place, word) in wire.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        wire[16] = self.line;
        wire[17..].copy_from_slice(&self.characters);
        wire
    }

    /// From the kernel's structure.
    pub fn from_wire(wire: &[u8]) -> Option<Termios> {
        let wire = wire.get(..WIRE_SIZE)?;
        let word =
            |at: usize| u32::from_le_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]);
        let mut characters = [0; CONTROL_CHARACTERS];
        characters.copy_from_slice(&wire[17..]);
        Some(Termios {
            input: word(0),
            output: word(4),
            control: word(8),
            local: word(12),
            line: wire[16],
            characters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_format_is_linuxs() {
        let termios = Termios::default();
        let wire = termios.to_wire();
        assert_eq!(wire.len(), 36);
        assert_eq!(wire[17 + linux::VEOF as usize], 4);
        assert_eq!(Termios::from_wire(&wire), Some(termios));
        assert_eq!(Termios::from_wire(&wire[..35]), None);
    }
}
