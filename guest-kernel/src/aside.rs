//! Log lines of one CPU that came while the log may have been in use: a ring without a lock, for what
//! can come at any instruction (an NMI, a machine check) and must not wait.
//!
//! Text is ASCII. One producer, the CPU's handlers; one consumer at a time, who holds the log. The bytes are atomic
//! so that no line of this needs `unsafe`; the order of `written` and `taken` is what matters.

use core::fmt::{self, Write};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};

/// Bytes that can wait: some lines.
pub const SIZE: usize = 1 << 10;

/// The ring.
#[derive(Debug)]
pub struct Aside {
    bytes: [AtomicU8; SIZE],
    /// Bytes ever written, and those ever taken.
    written: AtomicUsize,
    taken: AtomicUsize,
    /// A handler is writing.
    busy: AtomicBool,
}

impl Aside {
    /// An empty one.
    pub const fn new() -> Aside {
        Aside {
            bytes: [const { AtomicU8::new(0) }; SIZE],
            written: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
        }
    }

    /// Adds the text that `write` writes, all of it or nothing; whether it did. False: there is no room, or
    /// this handler interrupted another one in here.
    pub fn add(&self, write: impl FnOnce(&mut dyn Write)) -> bool {
        if self.busy.swap(true, Acquire) {
            return false;
        }
        let start = self.written.load(Relaxed);
        let mut writer = Writer {
            aside: self,
            position: start,
            end: self.taken.load(Acquire) + SIZE,
            fits: true,
        };
        write(&mut writer);
        if writer.fits {
            self.written.store(writer.position, Release);
        }
        let fits = writer.fits;
        self.busy.store(false, Release);
        fits
    }

    /// Moves what waits to `put`, byte by byte. One caller at a time.
    pub fn take(&self, mut put: impl FnMut(u8)) {
        let written = self.written.load(Acquire);
        for position in self.taken.load(Relaxed)..written {
            put(self.bytes[position % SIZE].load(Relaxed));
        }
        self.taken.store(written, Release);
    }
}

impl Default for Aside {
    fn default() -> Self {
        Self::new()
    }
}

struct Writer<'a> {
    aside: &'a Aside,
    position: usize,
    /// Where the oldest byte that is not taken would be overwritten.
    end: usize,
    fits: bool,
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.fits &= text.len() <= self.end - self.position;
        if self.fits {
            for byte in text.bytes() {
                self.aside.bytes[self.position % SIZE].store(byte, Relaxed);
                self.position += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(aside: &Aside, text: &str) -> bool {
        aside.add(|sink| {
            let (first, second) = text.split_at(text.len() / 2);
            let _ = sink.write_str(first);
            let _ = sink.write_str(second);
        })
    }

    fn take(aside: &Aside) -> String {
        let mut bytes = Vec::new();
        aside.take(|byte| bytes.push(byte));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let aside = Aside::new();
        for round in 0..5000 {
            let line = format!("line {round}\n");
            assert!(add(&aside, &line) && add(&aside, "next\n"));
            assert_eq!(take(&aside), line + "next\n");
            assert_eq!(take(&aside), "");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let aside = Aside::new();
        let line = "0123456789abcde\n";
        for _ in 0..SIZE / line.len() {
            assert!(add(&aside, line));
        }
        assert!(!add(&aside, "x\n"));
        assert_eq!(take(&aside), line.repeat(SIZE / line.len()));
        assert!(add(&aside, line));
        assert_eq!(take(&aside), line);
    }

    #[test]
    fn a_handler_in_a_handler_is_refused() {
        let aside = Aside::new();
        assert!(aside.add(|sink| {
            assert!(!add(&aside, "inner\n"));
            let _ = sink.write_str("outer\n");
        }));
        assert_eq!(take(&aside), "outer\n");
    }

    #[test]
    fn a_line_is_seen_whole_by_another_processor() {
        const LINES: usize = 2000;
        let aside = Aside::new();
        let text = std::thread::scope(|scope| {
            scope.spawn(|| {
                for line in 0..LINES {
                    while !add(&aside, &format!("{line:08}\n")) {
                        std::thread::yield_now();
                    }
                }
            });
            let mut text = String::new();
            while text.len() < 9 * LINES {
                let more = take(&aside);
                assert!(more.is_empty() || more.ends_with('\n'));
                text += &more;
            }
            text
        });
        assert!(text.lines().map(|line| line.parse()).eq((0..LINES).map(Ok)));
    }
}
