//! Output processing (POSIX XBD 11.2.3).

use crate::termios::Termios;
use alloc::collections::VecDeque;
use linux_raw_sys::general::{OCRNL, ONLCR, ONLRET, ONOCR, OPOST};

const TAB: usize = 8;

/// Where the cursor is, as far as the bytes written tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Column(pub usize);

impl Column {
    /// Where it is after a byte.
    pub fn advance(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' => self.0 = 0,
            b'\t' => self.0 = (self.0 / TAB + 1) * TAB,
            0x08 => self.0 = self.0.saturating_sub(1),
            // Continuation bytes of UTF-8 take no column of their own.
            0x80..=0xbf => {}
            byte if byte >= b' ' => self.0 += 1,
            _ => {}
        }
    }
}

/// Puts a program's bytes, processed as the attributes say, at the end of `sink`.
pub fn process(termios: &Termios, column: &mut Column, bytes: &[u8], sink: &mut VecDeque<u8>) {
    if termios.output & OPOST == 0 {
        sink.extend(bytes);
        bytes.iter().for_each(|&byte| column.advance(byte));
        return;
    }
    for &byte in bytes {
        match byte {
            b'\n' if termios.output & ONLCR != 0 => {
                sink.extend(b"\r\n");
                column.0 = 0;
            }
            b'\r' if termios.output & ONOCR != 0 && column.0 == 0 => {}
            b'\r' if termios.output & OCRNL != 0 => {
                sink.push_back(b'\n');
                column.0 = if termios.output & ONLRET != 0 {
                    0
                } else {
                    column.0
                };
            }
            byte => {
                sink.push_back(byte);
                column.advance(byte);
            }
        }
    }
}

/// Puts lines that are no program's between the output: they begin at the left, whatever the
/// attributes say.
pub fn announce(column: &mut Column, bytes: &[u8], sink: &mut VecDeque<u8>) {
    if column.0 != 0 {
        sink.extend(b"\r\n");
        column.0 = 0;
    }
    for &byte in bytes {
        if byte == b'\n' {
            sink.push_back(b'\r');
        }
        sink.push_back(byte);
        column.advance(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processed(output: u32, bytes: &[u8]) -> (Vec<u8>, usize) {
        let termios = Termios {
            output,
            ..Termios::default()
        };
        let (mut sink, mut column) = (VecDeque::new(), Column::default());
        process(&termios, &mut column, bytes, &mut sink);
        (sink.into(), column.0)
    }

    #[test]
    fn announcements_begin_at_the_left() {
        let (mut sink, mut column) = (VecDeque::new(), Column(3));
        announce(&mut column, b"one\ntwo\n", &mut sink);
        announce(&mut column, b"three\n", &mut sink);
        assert_eq!(sink, b"\r\none\r\ntwo\r\nthree\r\n");
    }

    #[test]
    fn newlines_return_the_carriage() {
        assert_eq!(processed(OPOST | ONLCR, b"a\nb"), (b"a\r\nb".to_vec(), 1));
        assert_eq!(processed(0, b"a\nb\xc3\xa9"), (b"a\nb\xc3\xa9".to_vec(), 2));
        assert_eq!(processed(OPOST | ONOCR, b"\ra\r"), (b"a\r".to_vec(), 0));
        assert_eq!(processed(OPOST, b"ab\tc"), (b"ab\tc".to_vec(), 9));
    }
}
