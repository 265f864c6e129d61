//! What a program printed so far: filled by a thread, searched by the test.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of the end of a transcript that a failure shows.
const SHOWN: usize = 16_000;

#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    text: Mutex<Text>,
    grown: Condvar,
}

/// Everything that came from one stream, and how much of it was looked at.
#[derive(Debug)]
pub struct Transcript {
    shared: Arc<Shared>,
    cursor: usize,
}

/// Why a pattern was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Not within the time.
    TimedOut,
    /// The stream ended without it.
    Ended,
}

impl Transcript {
    /// Reads `stream` to its end in a thread of its own.
    pub fn follow(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => writer.push(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // A pseudo-terminal whose other side is closed says EIO: its end of file.
                    _ => return writer.end(),
                }
            }
        });
        Self { shared, cursor: 0 }
    }

    /// Waits until `pattern` appears after what was found last; returns what stands before it.
    pub fn expect(&mut self, pattern: &str, timeout: Duration) -> Result<String, Missing> {
        let deadline = Instant::now() + timeout;
        let mut text = self.shared.lock();
        loop {
            let fresh = &text.bytes[self.cursor..];
            if let Some(at) = find(fresh, pattern.as_bytes()) {
                let before = String::from_utf8_lossy(&fresh[..at]).into_owned();
                self.cursor += at + pattern.len();
                return Ok(before);
            }
            if text.ended {
                return Err(Missing::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missing::TimedOut);
            }
            let waited = self.shared.grown.wait_timeout(text, left);
            text = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `pattern` has appeared anywhere or the stream has ended, at most for `timeout`.
    pub fn wait_for(&self, pattern: &str, timeout: Duration) {
        let lacks =
            |text: &mut Text| !text.ended && find(&text.bytes, pattern.as_bytes()).is_none();
        let text = self.shared.lock();
        let waited = self.shared.grown.wait_timeout_while(text, timeout, lacks);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the end of the stream, at most for `timeout`; whether it came.
    pub fn wait_end(&self, timeout: Duration) -> bool {
        let text = self.shared.lock();
        let waited = self
            .shared
            .grown
            .wait_timeout_while(text, timeout, |text| !text.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().bytes).into_owned()
    }

    /// The last part of it, for messages.
    pub fn tail(&self) -> String {
        let text = self.shared.lock();
        let start = text.bytes.len().saturating_sub(SHOWN);
        let cut = if start > 0 { "[...]" } else { "" };
        let shown = String::from_utf8_lossy(&text.bytes[start..]);
        format!("{cut}{}", shown.replace('\r', ""))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: &[u8]) {
        self.lock().bytes.extend_from_slice(bytes);
        self.grown.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.grown.notify_all();
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len().max(1))
        .position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn finds_patterns_in_order_across_reads() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut transcript = Transcript::follow(reader);
        writer.write_all(b"one tw").unwrap();
        assert_eq!(transcript.expect("one", SOON), Ok(String::new()));
        writer.write_all(b"o one").unwrap();
        assert_eq!(transcript.expect("two", SOON), Ok(" ".into()));
        assert_eq!(transcript.expect("one", SOON), Ok(" ".into()));
        let soon = Duration::from_millis(1);
        assert_eq!(transcript.expect("one", soon), Err(Missing::TimedOut));
        assert!(!transcript.wait_end(soon));
        drop(writer);
        assert_eq!(transcript.expect("three", SOON), Err(Missing::Ended));
        assert!(transcript.wait_end(SOON));
        assert_eq!(transcript.text(), "one two one");
    }

    #[test]
    fn shows_the_end_of_much_text() {
        let transcript = Transcript::follow(std::io::repeat(b'x').take(SHOWN as u64 + 1000));
        assert!(transcript.wait_end(SOON));
        let tail = transcript.tail();
        assert!(tail.starts_with("[...]x") && tail.len() < SHOWN + 10);
    }
}
