//! Editing of a line in canonical mode: erase, kill, reprint, literal-next, end of file.

use super::{BACKSPACE, Terminal};
use crate::output::Column;
use linux_raw_sys::general as linux;

impl Terminal {
    /// A byte of a line in canonical mode.
    pub(super) fn edit(&mut self, byte: u8) {
        let extended = self.termios.has_local(linux::IEXTEN);
        if self.termios.is(byte, linux::VERASE) {
            self.erase_one();
        } else if extended && self.termios.is(byte, linux::VWERASE) {
            self.erase_word();
        } else if self.termios.is(byte, linux::VKILL) {
            self.kill_line(byte);
        } else if extended && self.termios.is(byte, linux::VLNEXT) {
            self.literal = true;
            if self.termios.has_local(linux::ECHO | linux::ECHOCTL) {
                self.write_raw(&[b'^', BACKSPACE]);
            }
        } else if extended && self.termios.is(byte, linux::VREPRINT) {
            self.reprint(byte);
        } else if self.termios.is(byte, linux::VEOF) {
            self.finish_line();
        } else {
            self.accept(byte);
            let ends = byte == b'\n'
                || self.termios.is(byte, linux::VEOL)
                || self.termios.is(byte, linux::VEOL2);
            if ends && self.line.last() == Some(&byte) {
                self.finish_line();
            }
        }
    }

    /// Takes the last character (all of its UTF-8 bytes) off the line and the screen.
    fn erase_one(&mut self) {
        while let Some(byte) = self.line.pop() {
            let continuation = (0x80..=0xbf).contains(&byte);
            if !(continuation && self.termios.input & linux::IUTF8 != 0) {
                self.erase_shown();
                return;
            }
        }
    }

    /// Moves the cursor back to where the line, as it is now, ends.
    fn erase_shown(&mut self) {
        if !self.termios.has_local(linux::ECHO) {
            return;
        }
        if !self.termios.has_local(linux::ECHOE) {
            let erase = self.termios.characters[linux::VERASE as usize];
            return self.echo(erase);
        }
        let mut end = Column(self.line_column);
        for &byte in &self.line {
            if self.is_caret(byte) {
                end.0 += 2;
            } else {
                end.advance(byte);
            }
        }
        while self.column.0 > end.0 {
            self.write_raw(&[BACKSPACE, b' ', BACKSPACE]);
        }
    }

    fn erase_word(&mut self) {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        while self.line.last().is_some_and(is_space) {
            self.line.pop();
        }
        while self.line.last().is_some_and(|byte| !is_space(byte)) {
            self.line.pop();
        }
        self.erase_shown();
    }

    fn kill_line(&mut self, byte: u8) {
        self.line.clear();
        if self
            .termios
            .has_local(linux::ECHOK | linux::ECHOKE | linux::ECHOE)
        {
            self.erase_shown();
        } else if self.termios.has_local(linux::ECHO) {
            self.echo(byte);
            if self.termios.has_local(linux::ECHOK) {
                self.write(b"\n");
            }
        }
    }

    fn reprint(&mut self, byte: u8) {
        self.echo(byte);
        self.write(b"\n");
        self.line_column = 0;
        let line = core::mem::take(&mut self.line);
        line.iter().for_each(|&byte| self.echo(byte));
        self.line = line;
    }
}
