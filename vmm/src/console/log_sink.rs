//! The kernel's log: from the UART, a byte at a time, to standard error, a line at a time.
//!
//! The vCPU that writes a line's last byte also hands the line to the host, if that does not
//! block. What stays behind (a line without an end, a full pipe) the event loop takes after
//! [`LINGER`]. When nobody reads, [`LIMIT`] bytes are kept and later ones are counted as lost.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, Events, MutEventSubscriber};

use vmm_sys_util::epoll::EventSet;

use super::out::{Buffered, Patience};
use super::terminal;
use crate::sync::Mutex;
use crate::timer::Timer;

/// How long the start of a line waits for its end.
const LINGER: Duration = Duration::from_millis(20);
/// Bytes kept when standard error takes none.
const LIMIT: usize = 1 << 20;
const LONG_LINE: usize = 1024;

/// The log; cheap to clone, one end for the UART and one for the event loop.
#[derive(Clone)]
pub struct LogSink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    timer: Timer,
}

struct State {
    out: Buffered,
    /// The timer runs.
    armed: bool,
    /// The event loop waits for room.
    blocked: bool,
    lost: u64,
    bytes: u64,
}

impl LogSink {
    /// A log that ends in `out`.
    pub fn new(out: Buffered) -> io::Result<Self> {
        let state = State {
            out,
            armed: false,
            blocked: false,
            lost: 0,
            bytes: 0,
        };
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(state),
            timer: Timer::new()?,
        })))
    }

    /// Hands over everything as long as patience lasts.
    pub fn flush_all(&self, patience: Patience) {
        let mut state = self.0.state.lock();
        if state.lost > 0 {
            let lost = state.lost;
            state
                .out
                .push(format!("\n[{lost} bytes of the kernel's log were lost]\n").as_bytes());
        }
        state.out.flush(patience);
    }

    /// Bytes that the kernel wrote.
    pub fn bytes(&self) -> u64 {
        self.0.state.lock().bytes
    }

    fn arm(&self, state: &mut State) {
        if !state.armed {
            state.armed = self.0.timer.set(LINGER).is_ok();
        }
    }
}

impl Write for LogSink {
    /// Takes all bytes and never blocks.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        state.bytes += bytes.len() as u64;
        if state.out.pending() + bytes.len() > LIMIT {
            state.lost += bytes.len() as u64;
            return Ok(bytes.len());
        }
        for &byte in bytes {
            match byte {
                b'\n' => state.out.push(terminal::line_end().as_bytes()),
                byte => state.out.push(&[byte]),
            }
        }
        let line = bytes.contains(&b'\n') || state.out.pending() >= LONG_LINE;
        if !(line && !state.blocked && state.out.drain()) {
            self.arm(&mut state);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The event loop's end of the log.
pub struct LogFlusher(LogSink);

impl LogFlusher {
    /// The other end of `sink`.
    pub fn new(sink: LogSink) -> Self {
        Self(sink)
    }
}

impl MutEventSubscriber for LogFlusher {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let timer = Events::new(&self.0.0.timer, EventSet::IN);
        ops.add(timer).expect("a timer can be polled");
    }

    fn process(&mut self, _: Events, ops: &mut EventOps<'_>) {
        self.0.0.timer.clear();
        let mut state = self.0.0.state.lock();
        let done = state.out.drain();
        (state.armed, state.blocked) = (false, !done);
        // A stream that cannot be watched is tried again later.
        if state.out.watch(ops).is_err() {
            state.armed = self.0.0.timer.set(LINGER).is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::read;
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;
    use crate::console::out::Out;

    #[test]
    fn a_line_goes_out_at_once_and_a_start_of_a_line_at_the_end() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut sink = LogSink::new(Buffered::new(Out::open(writer.as_fd()).unwrap())).unwrap();
        for byte in b"one\ntw" {
            sink.write_all(&[*byte]).unwrap();
        }
        let mut bytes = [0; 64];
        let count = read(&reader, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"one\n");
        sink.flush_all(Patience::Endless);
        let count = read(&reader, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"tw");
        assert_eq!(sink.bytes(), 6);
    }

    #[test]
    fn nobody_reading_costs_memory_only_up_to_the_limit() {
        let (_reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut sink = LogSink::new(Buffered::new(Out::open(writer.as_fd()).unwrap())).unwrap();
        (0..2000).for_each(|_| sink.write_all(&[b'x'; 1024]).unwrap());
        assert!(sink.0.state.lock().out.pending() <= LIMIT);
        assert!(sink.0.state.lock().lost > 0);
    }
}
