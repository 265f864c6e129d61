//! Ferrix's processes and threads, as its kernel keeps them: from the table that it has for debuggers
//! (`ferrix_machine::debug`). `scripts/gdb/ferrix.py` does the same in gdb.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::File;

use ferrix_machine::debug::{ENTRY_SIZE, NAME_LENGTH, SYMBOL, VERSION};

use super::View;
use super::symbols;

/// What is said of other guests.
pub const NOT_FERRIX: &str = "no processes are found: the kernel has not started, or is not Ferrix";

/// More entries than the table has.
const MOST_ENTRIES: usize = 1024;
/// Lists of a guest that is broken may be rings.
const MOST_THREADS: usize = 1 << 15;
const NO_PROCESS: &str = "life.";
const STATES: &str = "state.";

/// The kernel in a stopped guest's memory.
pub struct Kernel<'a> {
    view: &'a View<'a>,
    rows: HashMap<String, u64>,
}

impl<'a> Kernel<'a> {
    /// Reads its table.
    pub fn find(view: &'a View<'a>, kernel: &File) -> Option<Self> {
        let at = symbols::address_of(kernel, SYMBOL)?;
        let mut rows = HashMap::new();
        for index in 0..MOST_ENTRIES {
            let mut entry = [0; ENTRY_SIZE];
            view.read(at + (index * ENTRY_SIZE) as u64, &mut entry);
            let (name, value) = entry.split_at(NAME_LENGTH);
            let name = String::from_utf8_lossy(name);
            let name = name.trim_end_matches('\0');
            if name.is_empty() {
                break;
            }
            let value = value.try_into().map(u64::from_le_bytes).ok()?;
            rows.insert(name.to_owned(), value);
        }
        (rows.get("version") == Some(&VERSION)).then_some(Self { view, rows })
    }

    fn row(&self, name: &str) -> u64 {
        self.rows.get(name).copied().unwrap_or(0)
    }

    fn word(&self, object: u64, field: &str) -> u64 {
        let at = object.wrapping_add(self.row(field));
        self.view.read_u64(at).unwrap_or(0)
    }

    fn half(&self, object: u64, field: &str) -> u32 {
        self.word(object, field) as u32
    }

    fn byte(&self, object: u64, field: &str) -> u8 {
        self.word(object, field) as u8
    }

    /// The name of a value, of those that begin so.
    fn name(&self, kind: &str, value: u8) -> &str {
        let mut names = self.rows.iter().filter(|row| *row.1 == u64::from(value));
        names
            .find_map(|(name, _)| name.strip_prefix(kind))
            .unwrap_or("?")
    }

    /// The processes, zombies included, in the order of their ids.
    fn processes(&self) -> impl Iterator<Item = u64> + '_ {
        let pids = self.row("pids");
        let (slots, used) = (pids + self.row("ids.slots"), pids + self.row("ids.used"));
        let count = self.row("ids.count").min(1 << 20);
        let words = (0..count / 64).filter_map(move |word| {
            let bits = self.view.read_u64(used + 8 * word)?;
            Some((word, bits))
        });
        let ids = words.flat_map(|(word, bits)| {
            let set = (0..64).filter(move |bit| bits >> bit & 1 != 0);
            set.map(move |bit| 64 * word + bit)
        });
        ids.filter_map(move |id| self.view.read_u64(slots + 8 * id))
    }

    fn threads_of(&self, process: u64) -> impl Iterator<Item = u64> + '_ {
        let next = |thread: u64| Some(thread).filter(|thread| *thread != 0);
        let first = next(self.word(process, "process.threads"));
        std::iter::successors(first, move |thread| {
            next(self.word(*thread, "thread.sibling"))
        })
        .take(MOST_THREADS)
    }

    /// What it was started with.
    fn arguments(&self, process: u64) -> String {
        let mut bytes = [0; 128];
        let length = self.half(process, "process.arguments") as usize;
        let kept = &mut bytes[..length.min(128)];
        let at = process + self.row("process.arguments") + 4;
        let read = self.view.read(at, kept);
        let text = String::from_utf8_lossy(&kept[..read]);
        text.trim_end_matches('\0')
            .replace(|c: char| c.is_control(), " ")
    }

    /// A line for each thread, and for each process that has none. `None` if there is no process.
    pub fn threads(&self) -> Option<String> {
        let mut text = String::from("  PID   TID STATE    CPU PRI COMMAND");
        for process in self.processes() {
            let (pid, arguments) = (self.half(process, "process.pid"), self.arguments(process));
            let mut line = |tid: u32, state: &str, cpu: u8, priority: u8| {
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "\n{pid:5} {tid:5} {state:8} {cpu:3} {priority:3} {arguments}"
                );
            };
            let mut threads = self.threads_of(process).peekable();
            if threads.peek().is_none() {
                line(
                    pid,
                    self.name(NO_PROCESS, self.byte(process, "process.life")),
                    0,
                    0,
                );
            }
            for thread in threads {
                line(
                    self.half(thread, "thread.tid"),
                    self.name(STATES, self.byte(thread, "thread.state")),
                    self.byte(thread, "thread.cpu"),
                    self.byte(thread, "thread.priority"),
                );
            }
        }
        text.contains('\n').then_some(text)
    }
}
