//! `--trace FILE`: what happened when, in Chrome's trace format, which Perfetto and `chrome://tracing` show.
//!
//! Each thread of the monitor is a row. As with messages (`log`), there is one trace a process, and who
//! has something to tell need not be handed it. Without `--trace` an event costs one load. [`guest`] adds what the guest
//! tells of itself.

pub mod guest;

use std::cell::Cell;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::sync::Mutex;

static TRACE: OnceLock<Trace> = OnceLock::new();
static ROWS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The row of this thread, once it has one.
    static ROW: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Trace {
    origin: Instant,
    sink: Mutex<Sink>,
}

struct Sink {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The file is full, or its reader gone: no more is written.
    broken: bool,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The guest runs on a vCPU.
    Guest,
    /// An exit is served.
    Exit,
    /// A device interrupts.
    Interrupt,
    /// A disk's request.
    Disk,
    /// Something that the guest itself told.
    Milestone,
}

/// Starts the trace; times count from `origin`. Call once.
pub fn start(path: &Path, origin: Instant) -> io::Result<()> {
    let trace = Trace::new(Box::new(File::create(path)?), origin);
    TRACE
        .set(trace)
        .map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Whether there is a trace.
pub fn is_on() -> bool {
    TRACE.get().is_some()
}

/// Microseconds since the trace's origin; none without a trace.
fn elapsed_us() -> Option<f64> {
    TRACE.get().map(|trace| us(trace.origin.elapsed()))
}

/// Adds lines of events, each with its comma.
fn write(lines: &str) {
    if let Some(trace) = TRACE.get().filter(|_| !lines.is_empty()) {
        trace.line(format_args!("{}", lines.trim_end()));
    }
}

/// When something begins that [`span`] will tell of; none without a trace.
pub fn begin() -> Option<Instant> {
    TRACE.get().map(|_| Instant::now())
}

/// Something that began then ends now. Returns now.
pub fn span(kind: Kind, name: Arguments<'_>, began: Option<Instant>) -> Option<Instant> {
    let (trace, began) = TRACE.get().zip(began)?;
    let now = Instant::now();
    trace.event(kind, name, began, Some(now));
    Some(now)
}

/// Something happens now.
pub fn instant(kind: Kind, name: Arguments<'_>) {
    if let Some(trace) = TRACE.get() {
        trace.event(kind, name, Instant::now(), None);
    }
}

/// Writes what is left. Events after it are lost.
pub fn finish() {
    if let Some(trace) = TRACE.get() {
        trace.finish();
    }
}

/// In microseconds, as the format has it.
fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

impl Trace {
    fn new(file: Box<dyn Write + Send>, origin: Instant) -> Self {
        let mut out = BufWriter::new(file);
        let broken = write!(out, "[").is_err();
        Self {
            origin,
            sink: Mutex::new(Sink { out, broken }),
        }
    }

    fn event(&self, kind: Kind, name: Arguments<'_>, from: Instant, to: Option<Instant>) {
        let (row, start) = (self.row(), from.saturating_duration_since(self.origin));
        let mut event = json!({"cat": format!("{kind:?}").to_lowercase(), "name": name.to_string(), "pid": 1, "tid": row,
            "ts": us(start)});
        match to.map(|to| to.saturating_duration_since(from)) {
            Some(length) => (event["ph"], event["dur"]) = ("X".into(), us(length).into()),
            None => (event["ph"], event["s"]) = ("i".into(), "t".into()),
        }
        self.line(format_args!("{event},"));
    }

    /// This thread's row, named at its first event.
    fn row(&self) -> u64 {
        ROW.with(|row| {
            if let Some(row) = row.get() {
                return row;
            }
            let number = ROWS.fetch_add(1, Ordering::Relaxed);
            row.set(Some(number));
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("?");
            let name = json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}});
            self.line(format_args!("{name},"));
            number
        })
    }

    fn line(&self, line: Arguments<'_>) {
        let mut sink = self.sink.lock();
        if sink.broken {
            return;
        }
        if let Err(error) = writeln!(sink.out, "{line}") {
            sink.broken = true;
            log::warn!("cannot write the trace: {error}; it ends here");
        }
    }

    fn finish(&self) {
        // An array must not end in a comma.
        let last = json!({"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "vmm"}});
        self.line(format_args!("{last}]"));
        let mut sink = self.sink.lock();
        let flushed = sink.out.flush();
        if let (Err(error), false) = (flushed, sink.broken) {
            log::warn!("cannot write the trace: {error}; its end is missing");
        }
        sink.broken = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn events_are_json_with_rows_and_times() {
        let mut file = tempfile::tempfile().unwrap();
        let origin = Instant::now();
        let trace = Trace::new(Box::new(file.try_clone().unwrap()), origin);
        let (from, to) = (
            origin + Duration::from_micros(5),
            origin + Duration::from_micros(8),
        );
        trace.event(Kind::Disk, format_args!("read {}", 7), from, Some(to));
        trace.event(Kind::Milestone, format_args!("prompt"), from, None);
        trace.finish();
        trace.event(Kind::Exit, format_args!("too late"), from, None);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        let events: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(events.as_array().unwrap().len(), 4);
        assert_eq!(events[0]["ph"], "M");
        assert_eq!(
            (&events[1]["name"], &events[1]["cat"]),
            (&"read 7".into(), &"disk".into())
        );
        assert_eq!(
            (&events[1]["ts"], &events[1]["dur"]),
            (&5.0.into(), &3.0.into())
        );
        assert_eq!(events[2]["tid"], events[0]["tid"]);
    }
}
