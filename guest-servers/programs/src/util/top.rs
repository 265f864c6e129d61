//! `top`: who uses the CPUs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use crate::cx::{Cx, Fail, Outcome};

/// Ticks a second in `/proc`.
const TICKS: u64 = 100;

/// A process, as `/proc/PID/stat` tells.
struct Process {
    pid: u32,
    name: String,
    state: String,
    /// User and system time, in ticks.
    ticks: u64,
    priority: i32,
    nice: i32,
    threads: u32,
    cpu: u32,
    resident_pages: u64,
}

impl Process {
    fn parse(stat: &str) -> Option<Process> {
        let (head, rest) = stat.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The numbers are those of proc(5), less the three that come before.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Process {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: field(3)?.to_owned(),
            ticks: field(14)?.parse::<u64>().ok()? + field(15)?.parse::<u64>().ok()?,
            priority: field(18)?.parse().ok()?,
            nice: field(19)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
            resident_pages: field(24)?.parse().ok()?,
            cpu: field(39)?.parse().ok()?,
        })
    }
}

/// What was at one moment.
struct Sample {
    /// Of all CPUs, in ticks: user, nice, system, idle.
    cpus: [u64; 4],
    processes: BTreeMap<u32, Process>,
}

fn sample() -> Result<Sample, Fail> {
    let stat = fs::read_to_string("/proc/stat").map_err(|why| Fail::on("/proc/stat", &why))?;
    let first = stat.lines().next().unwrap_or_default();
    let mut cpus = [0; 4];
    for (place, text) in cpus.iter_mut().zip(first.split_whitespace().skip(1)) {
        *place = text.parse().unwrap_or(0);
    }
    let entries = fs::read_dir("/proc").map_err(|why| Fail::on("/proc", &why))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let read = |pid| Process::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    let processes = pids.filter_map(|pid| Some((pid, read(pid)?)));
    Ok(Sample {
        cpus,
        processes: processes.collect(),
    })
}

/// `top [-b] [-n COUNT] [-d SECONDS]`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("bn:d:")?;
    let count: u64 = opts.number('n', u64::MAX).map_err(Fail::usage)?;
    let delay: f64 = opts.number('d', 2.0).map_err(Fail::usage)?;
    if !opts.operands.is_empty() || !(0.0..1e6).contains(&delay) {
        return Err(Fail::usage("takes a count and a delay in seconds"));
    }
    let mut before = Sample {
        cpus: [0; 4],
        processes: BTreeMap::new(),
    };
    for round in 0..count {
        if round > 0 {
            sleep(Duration::from_secs_f64(delay));
        }
        let now = sample()?;
        if !opts.has('b') {
            // From the upper left corner, over what was there.
            write!(cx.out, "\x1b[H\x1b[J")?;
        }
        show(cx, &before, &now)?;
        cx.out.flush()?;
        before = now;
    }
    Ok(0)
}

fn show(cx: &mut Cx, before: &Sample, now: &Sample) -> Result<(), Fail> {
    let part = |index: usize| now.cpus[index].saturating_sub(before.cpus[index]);
    let all: u64 = (0..4).map(part).sum::<u64>().max(1);
    let percent = |ticks: u64, of: u64| ticks as f64 * 100.0 / of as f64;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(
        cx.out,
        "CPU: {:4.1}% usr {:4.1}% sys {:4.1}% idle\nLoad average: {}\n{:>5} {:>4} {:>4} S {:>3} {:>8} {:>3} {:>5} {:>9} COMMAND",
        percent(part(0) + part(1), all),
        percent(part(2), all),
        percent(part(3), all),
        load.trim_end(),
        "PID",
        "PR",
        "NI",
        "THR",
        "RES",
        "CPU",
        "%CPU",
        "TIME"
    )?;
    let spent = |process: &Process| {
        let old = before.processes.get(&process.pid);
        process.ticks - old.map_or(0, |old| old.ticks.min(process.ticks))
    };
    let mut order: Vec<&Process> = now.processes.values().collect();
    order.sort_by_key(|process| (std::cmp::Reverse(spent(process)), process.pid));
    for process in order {
        let (minutes, rest) = (process.ticks / TICKS / 60, process.ticks % (TICKS * 60));
        writeln!(
            cx.out,
            "{:>5} {:>4} {:>4} {} {:>3} {:>7}K {:>3} {:>5.1} {minutes:>3}:{:02}.{:02} {}",
            process.pid,
            process.priority,
            process.nice,
            process.state,
            process.threads,
            process.resident_pages * 4,
            process.cpu,
            percent(spent(process), all),
            rest / TICKS,
            rest % TICKS,
            process.name,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a b) c) S 1 7 1 0 -1 0 0 0 0 0 30 12 0 0 25 5 2 0 9 8192 3 0 \
                    0 0 0 0 0 0 0 0 0 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let process = Process::parse(stat).unwrap();
        assert_eq!((process.pid, process.name.as_str()), (7, "a b) c"));
        assert_eq!((process.ticks, process.priority, process.nice), (42, 25, 5));
        assert_eq!(
            (process.threads, process.resident_pages, process.cpu),
            (2, 3, 1)
        );
        assert!(Process::parse("7 (x) S 1").is_none());
    }
}
