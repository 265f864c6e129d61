//! The guest's own part of the trace: what its kernel tells in the buffers that it shows (`ferrix_machine::trace`).
//!
//! Each CPU of the guest is a row, which says what thread runs there; so is each thread, in its process. Arrows
//! lead from who sends or wakes to who runs then. The buffers are only read, and nothing in them is believed: what makes
//! no sense is counted.

use std::collections::HashMap;
use std::sync::Arc;

use ferrix_machine::trace::{
    BUFFER_SIZE, Head, RECORD_SIZE, RECORDS, RESCHEDULE, Record, TIMER, kind,
};
use serde_json::{Value, json};
use vm_memory::{Bytes, GuestAddress};

use super::elapsed_us;
use crate::bytes::array_at;
use crate::memory::Ram;
use crate::sync::Mutex;

/// The group of rows of the CPUs.
const CPUS: u64 = 2;
/// The groups of rows of the processes come from here on.
const PROCESSES: u64 = 1000;
/// Threads beyond this are not told apart.
const MOST_THREADS: usize = 1 << 16;

/// Reads what the guest tells.
pub struct Guest {
    ram: Arc<Ram>,
    told: Mutex<Told>,
}

/// What it has told so far.
#[derive(Default)]
struct Told {
    /// The guest's clock.
    tsc_khz: f64,
    /// Time stamp and microseconds of the trace at the same moment, once there is one.
    origin: Option<(u64, f64)>,
    /// Addresses: not more than there are CPUs.
    buffers: Vec<u64>,
    cpus: Vec<Cpu>,
    threads: HashMap<u32, Thread>,
    states: HashMap<u8, String>,
    /// Records that make no sense, and buffers that cannot be.
    lost: u64,
    /// Lines to be written.
    text: String,
}

/// What a CPU does.
#[derive(Clone, Default)]
struct Cpu {
    /// The thread that runs, 0 if none does, and since when.
    running: Option<(u32, u64)>,
    /// The time of its last record.
    last: u64,
    /// How many of its records were read.
    read: u64,
}

struct Thread {
    process: u32,
    name: String,
}

/// A row: its group and its number there.
type Row = (u64, u32);

impl Guest {
    /// Of a machine of so many CPUs, whose clock counts `tsc_khz`.
    pub fn new(ram: Arc<Ram>, tsc_khz: u32, cpus: usize) -> Self {
        let told = Mutex::new(Told::new(tsc_khz, cpus));
        Self { ram, told }
    }

    /// A write to the port: reads the buffer that is shown.
    pub fn show(&self, data: &[u8]) {
        let mut told = self.told.lock();
        if let Ok(page) = data.try_into().map(u32::from_le_bytes) {
            told.show(&self.ram, u64::from(page) << 12);
        }
        super::write(&std::mem::take(&mut told.text));
    }

    /// Reads what is left. The guest is stopped.
    pub fn finish(&self) {
        let mut told = self.told.lock();
        told.finish(&self.ram);
        super::write(&told.text);
        if told.lost != 0 {
            log::warn!("{} things in the guest's trace made no sense", told.lost);
        }
    }
}

impl Told {
    fn new(tsc_khz: u32, cpus: usize) -> Self {
        Self {
            tsc_khz: tsc_khz.max(1).into(),
            cpus: vec![Cpu::default(); cpus],
            ..Self::default()
        }
    }

    fn show(&mut self, ram: &Ram, address: u64) {
        if !self.buffers.contains(&address) {
            if self.buffers.len() == self.cpus.len() {
                self.lost += 1;
                return;
            }
            self.buffers.push(address);
            self.label("process_name", (CPUS, 0), "guest");
        }
        self.read_all(ram);
    }

    fn finish(&mut self, ram: &Ram) {
        self.read_all(ram);
        let end = self.cpus.iter().map(|cpu| cpu.last).max().unwrap_or(0);
        for cpu in 0..self.cpus.len() {
            self.ran(cpu, end, "running");
        }
    }

    /// Reads what all CPUs have told, so that the beginning of a thread is known before it runs elsewhere.
    fn read_all(&mut self, ram: &Ram) {
        let mut records = Vec::new();
        for address in self.buffers.clone() {
            match self.read(ram, address) {
                Some(more) => records.extend(more),
                None => self.lost += 1,
            }
        }
        records.sort_by_key(|(_, record)| record.time);
        for (cpu, record) in records {
            self.cpus[cpu].last = record.time;
            self.note(cpu, &record);
        }
    }

    /// The new records of a buffer. `None` if it cannot be one.
    fn read(&mut self, ram: &Ram, address: u64) -> Option<Vec<(usize, Record)>> {
        let mut records = vec![0; BUFFER_SIZE - RECORD_SIZE];
        // The head first: its CPU may be adding records, each before it counts it.
        let head = head(ram, address)?;
        let after = GuestAddress(address + RECORD_SIZE as u64);
        ram.read_slice(&mut records, after).ok()?;
        let cpu = head.cpu as usize;
        let read = std::mem::replace(&mut self.cpus.get_mut(cpu)?.read, head.records);
        if head.records.checked_sub(read)? > RECORDS as u64 {
            return None;
        }
        self.origin = self.origin.or_else(|| Some((head.now, elapsed_us()?)));
        let new = (read..head.records).map(|number| {
            let place = (number % RECORDS as u64) as usize * RECORD_SIZE;
            (cpu, parse(&records[place..place + RECORD_SIZE]))
        });
        Some(new.collect())
    }

    fn note(&mut self, cpu: usize, record: &Record) {
        let (time, thread, extra) = (record.time, record.thread, record.extra);
        let running = self.cpus[cpu].running.map_or(0, |(thread, _)| thread);
        let (own, other) = (self.row(running, cpu), self.row(thread, cpu));
        match record.kind {
            kind::STATE => {
                self.states.insert(record.state, name(record));
            }
            kind::SWITCH => self.switch(cpu, record),
            kind::WAKE => self.wake(cpu, record),
            kind::MIGRATE => {
                self.instant(
                    other,
                    time,
                    "migrate",
                    json!({"from": extra, "to": record.cpu}),
                );
            }
            kind::INHERIT => {
                let arguments = json!({"from": extra, "to": record.priority});
                self.instant(other, time, "inherit", arguments);
            }
            kind::RECEIVE => self.arrow("receive", (running, time), other, own, time),
            kind::FAULT => {
                let arguments = json!({"address": record.value, "code": extra});
                self.instant(own, time, "page fault", arguments);
            }
            kind::INTERRUPT => {
                let line = match extra {
                    TIMER => "timer".to_owned(),
                    RESCHEDULE => "reschedule".to_owned(),
                    line => format!("interrupt {line}"),
                };
                self.instant((CPUS, cpu as u32), time, &line, json!({}));
            }
            kind::BEGIN => self.begin(thread, record.other),
            kind::END => self.instant(other, time, "exit", json!({})),
            kind::PROCESS => {
                self.label("process_name", (process(thread), thread), &name(record));
                self.rename(thread, name(record));
            }
            kind::NAME => self.rename(thread, name(record)),
            kind::EXEC => self.instant(own, time, "exec", json!({"program": name(record)})),
            _ => self.lost += 1,
        }
    }

    /// A CPU goes from one thread to another.
    fn switch(&mut self, cpu: usize, record: &Record) {
        let (next, time) = (record.other, record.time);
        let state = self.state(record.state);
        self.ran(cpu, time, &state);
        self.cpus[cpu].running = Some((next, time));
        let (from, to) = (self.row(record.thread, cpu), self.row(next, cpu));
        match (record.value, self.state(record.cpu).as_str()) {
            (0, "receive") => self.arrow("call", (next, time), from, to, time),
            (0, "reply") => self.arrow("reply", (next, time), from, to, time),
            (0, _) => {}
            (woken, _) => self.end_of_arrow("f", "wake", (next, woken), to, time),
        }
    }

    /// The thread of a CPU has run until `end`, and is in a state then.
    fn ran(&mut self, cpu: usize, end: u64, then: &str) {
        let Some((thread, since)) = self.cpus[cpu].running.take() else {
            return;
        };
        if thread == 0 || end < since {
            return;
        }
        let (from, length) = (self.us(since), (end - since) as f64 * 1e3 / self.tsc_khz);
        let row = self.row(thread, cpu);
        let named = self.threads.get(&thread).map_or("?", |it| &it.name);
        let mut slice = json!({"ph": "X", "cat": "cpu", "name": named, "pid": CPUS, "tid": cpu,
            "ts": from, "dur": length, "args": {"tid": thread, "then": then}});
        self.event(&slice);
        (slice["cat"], slice["name"]) = ("thread".into(), format!("CPU {cpu}").into());
        (slice["pid"], slice["tid"]) = (row.0.into(), row.1.into());
        self.event(&slice);
    }

    fn wake(&mut self, cpu: usize, record: &Record) {
        let (thread, time, by) = (record.thread, record.time, record.other);
        let arguments = json!({"was": self.state(record.state), "by": by, "cpu": record.cpu,
            "priority": record.priority});
        self.instant(self.row(thread, cpu), time, "wake", arguments);
        let waker = self.row(by, cpu);
        self.end_of_arrow("s", "wake", (thread, record.value), waker, time);
    }

    fn begin(&mut self, thread: u32, process: u32) {
        if self.threads.len() < MOST_THREADS || self.threads.contains_key(&thread) {
            let name = format!("thread {thread}");
            self.threads.insert(thread, Thread { process, name });
        }
    }

    /// Names a thread.
    fn rename(&mut self, thread: u32, name: String) {
        self.label("thread_name", self.row(thread, 0), &name);
        if let Some(known) = self.threads.get_mut(&thread) {
            known.name = name;
        }
    }

    /// Names a row or a group of rows.
    fn label(&mut self, what: &str, (pid, tid): Row, name: &str) {
        let arguments = json!({"name": name});
        self.event(&json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": arguments}));
    }

    fn instant(&mut self, (pid, tid): Row, time: u64, name: &str, arguments: Value) {
        let at = self.us(time);
        self.event(
            &json!({"ph": "i", "s": "t", "cat": "guest", "name": name, "pid": pid, "tid": tid,
            "ts": at, "args": arguments}),
        );
    }

    /// An arrow from one row to another, now.
    fn arrow(&mut self, what: &str, id: (u32, u64), from: Row, to: Row, time: u64) {
        self.end_of_arrow("s", what, id, from, time);
        self.end_of_arrow("f", what, id, to, time);
    }

    /// Its beginning (`s`) or end (`f`).
    fn end_of_arrow(&mut self, end: &str, what: &str, id: (u32, u64), (pid, tid): Row, time: u64) {
        // It begins in the slice that ends now.
        let at = self.us(time) - if end == "s" { 1e-3 } else { 0.0 };
        let id = format!("{}.{}", id.0, id.1);
        self.event(
            &json!({"ph": end, "bp": "e", "cat": what, "name": what, "id": id,
            "pid": pid, "tid": tid, "ts": at}),
        );
    }

    fn event(&mut self, event: &Value) {
        self.text += &format!("{event},\n");
    }

    /// The row of a thread; what no thread does is shown at the CPU.
    fn row(&self, thread: u32, cpu: usize) -> Row {
        let known = self.threads.get(&thread);
        known.map_or((CPUS, cpu as u32), |known| (process(known.process), thread))
    }

    fn state(&self, number: u8) -> String {
        self.states.get(&number).cloned().unwrap_or_default()
    }

    /// A time stamp in microseconds of the trace.
    fn us(&self, time: u64) -> f64 {
        let (origin, us) = self.origin.unwrap_or_default();
        us + time.wrapping_sub(origin) as i64 as f64 * 1e3 / self.tsc_khz
    }
}

fn process(pid: u32) -> u64 {
    PROCESSES + u64::from(pid)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn head(ram: &Ram, address: u64) -> Option<Head> {
    let mut bytes = [0; RECORD_SIZE];
    ram.read_slice(&mut bytes, GuestAddress(address)).ok()?;
    Some(Head {
        records: word(&bytes, 0),
        cpu: half(&bytes, 8),
        now: word(&bytes, 24),
        ..Head::default()
    })
}

fn parse(bytes: &[u8]) -> Record {
    Record {
        time: word(bytes, 0),
        kind: bytes[8],
        state: bytes[9],
        priority: bytes[10],
        cpu: bytes[11],
        thread: half(bytes, 12),
        other: half(bytes, 16),
        extra: half(bytes, 20),
        value: word(bytes, 24),
    }
}

/// The name in a record.
fn name(record: &Record) -> String {
    let halves = u64::from(record.other) | u64::from(record.extra) << 32;
    let bytes = [halves.to_le_bytes(), record.value.to_le_bytes()].concat();
    let name = String::from_utf8_lossy(&bytes);
    name.split('\0').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
