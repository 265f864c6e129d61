//! What the guest's kernel tells of itself in `--trace`: it must be there, and make sense.

use std::collections::{HashMap, HashSet};

use crate::trial::on_monitor;
use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::{Disk, Guest, Options, Wiring, disk};
use libtest_mimic::Trial;
use serde_json::Value;

const WHY: &str = "about the monitor's --trace";
/// Rows of processes; the monitor's own and the CPUs' come before.
const PROCESSES: u64 = 1000;
/// Times are rounded to a nanosecond.
const ROUNDING: f64 = 0.002;
/// Forks, executes, sleeps, wakes and sends.
const WORK: &str = "sh -c 'for n in 1 2 3; do ls /bin | sort | wc -l; done; sleep 0.01'";

pub fn trials() -> Vec<Trial> {
    vec![
        on_monitor("trace::what_threads_do_on_one_cpu", WHY, || check(1)),
        on_monitor("trace::what_threads_do_on_three_cpus", WHY, || check(3)),
    ]
}

/// The events of a run.
struct Trace(Vec<Value>);

/// A span of time that a thread runs.
struct Slice {
    from: f64,
    to: f64,
    cpu: u64,
    tid: u64,
}

fn check(cpus: u32) -> Result<()> {
    let (disk, folder) = (Disk::copy()?, disk::folder()?);
    let file = folder.path().join("trace.json");
    let path = file.to_str().context("the path is not UTF-8")?;
    let options = Options::new().cpus(cpus).command(WORK);
    let options = options.monitor(&["--trace", path]);
    let ending = Guest::boot(&disk, options, Wiring::Script)?.wait(BOOT_TIME)?;
    ending.must_be(0)?;
    let trace = Trace(serde_json::from_slice(&std::fs::read(&file)?)?);
    trace.tells_what_ran()?;
    trace.runs_one_thread_a_cpu()?;
    trace.runs_who_was_woken()?;
    trace.has_both_ends_of_arrows()
}

fn number(event: &Value, name: &str) -> f64 {
    event[name].as_f64().unwrap_or(f64::NAN)
}

fn id(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap_or(u64::MAX)
}

impl Trace {
    /// Events of threads with this name.
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_threads = |event: &&Value| id(event, "pid") > PROCESSES;
        let events = self.0.iter().filter(of_threads);
        // An arrow's end is no event of its own.
        events.filter(move |event| event["name"] == name && event["ph"] != "f")
    }

    /// Programs, processes, and each kind of event.
    fn tells_what_ran(&self) -> Result<()> {
        let programs: Vec<&Value> = self
            .named("exec")
            .map(|it| &it["args"]["program"])
            .collect();
        for (name, times) in [("sh", 2), ("ls", 3), ("sort", 3), ("wc", 3), ("sleep", 1)] {
            let found = programs.iter().filter(|program| **program == name).count();
            ensure!(
                found == times,
                "{name} is executed {found} times in {programs:?}"
            );
            let is_named = |event: &Value| event["args"]["name"] == name;
            ensure!(
                self.named("process_name").any(is_named),
                "no process is named {name}"
            );
        }
        for (name, least) in [
            ("exit", 10),
            ("wake", 20),
            ("page fault", 50),
            ("call", 50),
            ("reply", 20),
        ] {
            let found = self.named(name).count();
            ensure!(found >= least, "{found} times {name}, not {least}");
        }
        let on_cpus = |name: &str| {
            self.0
                .iter()
                .any(|event| event["pid"] == 2 && event["name"] == name)
        };
        ensure!(
            on_cpus("timer"),
            "no timer interrupts though a program sleeps"
        );
        Ok(())
    }

    fn slices(&self) -> Vec<Slice> {
        let whole = self.0.iter().filter(|event| event["cat"] == "cpu");
        let slice = |event: &Value| Slice {
            from: number(event, "ts"),
            to: number(event, "ts") + number(event, "dur"),
            cpu: id(event, "tid"),
            tid: id(&event["args"], "tid"),
        };
        let mut slices: Vec<Slice> = whole.map(slice).collect();
        slices.sort_by(|one, other| one.from.total_cmp(&other.from));
        slices
    }

    /// At most one thread on a CPU, and a thread on at most one CPU.
    fn runs_one_thread_a_cpu(&self) -> Result<()> {
        let (mut cpus, mut threads) = (HashMap::new(), HashMap::new());
        for slice in self.slices() {
            let busy = cpus.insert(slice.cpu, slice.to).unwrap_or(0.0);
            let runs = threads.insert(slice.tid, slice.to).unwrap_or(0.0);
            ensure!(
                busy <= slice.from + ROUNDING && runs <= slice.from + ROUNDING,
                "thread {} runs on CPU {} from {}, which is busy until {busy}, and it until {runs}",
                slice.tid,
                slice.cpu,
                slice.from
            );
        }
        Ok(())
    }

    /// Who is woken runs, before it is woken again or ends, on the CPU whose queue it was in last.
    fn runs_who_was_woken(&self) -> Result<()> {
        let mut waiting: HashMap<u64, (f64, u64)> = HashMap::new();
        let mut story: Vec<(f64, u64, &str, u64)> = Vec::new();
        for slice in self.slices() {
            story.push((slice.from, slice.tid, "runs", slice.cpu));
        }
        for event in self.named("wake").filter(|event| event["ph"] == "i") {
            let what = if event["args"]["was"] == "ready" {
                "moves"
            } else {
                "wakes"
            };
            story.push((
                number(event, "ts"),
                id(event, "tid"),
                what,
                id(&event["args"], "cpu"),
            ));
        }
        for event in self.named("migrate") {
            story.push((
                number(event, "ts"),
                id(event, "tid"),
                "moves",
                id(&event["args"], "to"),
            ));
        }
        for event in self.named("exit") {
            story.push((number(event, "ts"), id(event, "tid"), "exits", 0));
        }
        story.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (at, tid, what, cpu) in story {
            match (what, waiting.get(&tid)) {
                ("wakes", None) | ("moves", _) => {
                    waiting.insert(tid, (at, cpu));
                }
                ("runs", Some(&(since, place))) => {
                    ensure!(
                        place == cpu,
                        "thread {tid} waits for CPU {place} since {since}, and runs on {cpu} at {at}"
                    );
                    waiting.remove(&tid);
                }
                ("wakes" | "exits", Some((since, _))) => {
                    anyhow::bail!("thread {tid} {what} at {at}, woken at {since}: it has not run");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Each arrow of a message has a beginning and an end.
    fn has_both_ends_of_arrows(&self) -> Result<()> {
        let ends = |phase: &str| -> HashSet<String> {
            let events = self.0.iter().filter(|event| event["ph"] == phase);
            let events = events.filter(|event| event["name"] != "wake");
            events.map(|event| event["id"].to_string()).collect()
        };
        let (starts, ends) = (ends("s"), ends("f"));
        ensure!(
            starts == ends,
            "arrows with one end: {:?}",
            starts.symmetric_difference(&ends)
        );
        Ok(())
    }
}
