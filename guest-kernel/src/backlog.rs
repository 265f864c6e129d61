//! Log text that waits for whoever owns the UART: whole lines, in a ring of bytes.

use core::fmt::{self, Write};

/// Bytes that can wait.
pub const SIZE: usize = 16 << 10;
/// Room that is kept for saying how much was lost.
const NOTE: usize = 64;

/// The ring.
#[derive(Debug)]
pub struct Backlog {
    bytes: [u8; SIZE],
    start: usize,
    length: usize,
    /// Texts that did not fit since the last one that did.
    lost: u32,
    /// The text being added does not fit.
    full: bool,
}

impl Backlog {
    /// An empty one.
    pub const fn new() -> Backlog {
        Backlog {
            bytes: [0; SIZE],
            start: 0,
            length: 0,
            lost: 0,
            full: false,
        }
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.length == 0 && self.lost == 0
    }

    /// Adds the text that `write` writes: all of it, or nothing.
    pub fn add(&mut self, write: impl FnOnce(&mut dyn Write)) {
        self.note_lost();
        let before = self.length;
        self.full = self.lost != 0;
        write(self);
        if self.full {
            self.length = before;
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Takes the oldest text out; how many bytes.
    pub fn take(&mut self, target: &mut [u8]) -> usize {
        self.note_lost();
        let count = self.length.min(target.len());
        for (index, byte) in target[..count].iter_mut().enumerate() {
            *byte = self.bytes[(self.start + index) % SIZE];
        }
        self.start = (self.start + count) % SIZE;
        self.length -= count;
        count
    }

    /// Says how much was lost, if something was and there is room to say so.
    fn note_lost(&mut self) {
        if self.lost == 0 || self.length + NOTE > SIZE {
            return;
        }
        let lost = core::mem::take(&mut self.lost);
        self.full = false;
        let _ = writeln!(self, "ferrix: {lost} messages of the log were lost");
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Backlog {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full || self.length + text.len() > SIZE {
            self.full = true;
            return Ok(());
        }
        for &byte in text.as_bytes() {
            self.bytes[(self.start + self.length) % SIZE] = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(backlog: &mut Backlog, text: &str) {
        backlog.add(|sink| {
            let _ = sink.write_str(text);
        });
    }

    fn take(backlog: &mut Backlog, most: usize) -> String {
        let mut buffer = vec![0; most];
        let count = backlog.take(&mut buffer);
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[test]
    fn text_comes_out_in_order() {
        let mut backlog = Backlog::new();
        for round in 0..5000 {
            add(&mut backlog, &format!("line {round}\n"));
            assert_eq!(take(&mut backlog, 4), "line");
            assert_eq!(take(&mut backlog, 100), format!(" {round}\n"));
            assert!(backlog.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_never_cut() {
        let mut backlog = Backlog::new();
        let line = "0123456789abcde\n";
        for _ in 0..SIZE / line.len() + 7 {
            backlog.add(|sink| {
                let _ = sink.write_str(&line[..5]);
                let _ = sink.write_str(&line[5..]);
            });
        }
        let kept = take(&mut backlog, SIZE);
        assert!(kept.len().is_multiple_of(line.len()) && kept.replace(line, "").is_empty());
        let note = "ferrix: 7 messages of the log were lost\n";
        assert_eq!(take(&mut backlog, SIZE), note);
        add(&mut backlog, "next\n");
        assert_eq!(take(&mut backlog, SIZE), "next\n");
    }
}
