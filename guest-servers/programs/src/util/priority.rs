//! Programs about priorities and CPUs: `chrt`, `renice`, `taskset`, as util-linux has them.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::launch::refused;
use crate::cx::{Cx, Fail, Outcome};
use crate::opts::{Opts, number};
use crate::sys::sched::{self, Whose};

/// Letters of the options that choose a policy; policies; their names.
const POLICIES: &[(char, i32, &str)] = &[
    ('o', libc::SCHED_OTHER, "SCHED_OTHER"),
    ('f', libc::SCHED_FIFO, "SCHED_FIFO"),
    ('r', libc::SCHED_RR, "SCHED_RR"),
    ('b', libc::SCHED_BATCH, "SCHED_BATCH"),
    ('i', libc::SCHED_IDLE, "SCHED_IDLE"),
];
/// `SCHED_RESET_ON_FORK`.
const RESET_ON_FORK: i32 = 0x4000_0000;

fn pid(text: &OsString) -> Result<i32, Fail> {
    number(text).ok_or_else(|| Fail::usage(format!("{}: is no process id", text.display())))
}

/// `chrt [-o|-f|-r|-b|-i] [-R] PRIORITY COMMAND [ARGUMENT]... | chrt [OPTION] -p [PRIORITY] PID | chrt -m`
pub fn chrt(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+ofrbimpR")?;
    if opts.has('m') {
        for (_, policy, name) in POLICIES {
            let (lowest, highest) =
                sched::priorities(*policy).map_err(|why| Fail::on(name, &why))?;
            writeln!(cx.out, "{name} min/max priority\t: {lowest}/{highest}")?;
        }
        return Ok(0);
    }
    match (opts.has('p'), opts.operands.as_slice()) {
        (true, [of]) => show_policy(cx, pid(of)?),
        (true, [priority, of]) => set_policy(&opts, pid(of)?, priority),
        (false, [priority, name, args @ ..]) => {
            set_policy(&opts, 0, priority)?;
            Err(refused(name, &Command::new(name).args(args).exec()))
        }
        _ => Err(Fail::usage(
            "needs a priority and a command, or -p and a process",
        )),
    }
}

fn set_policy(opts: &Opts, of: i32, priority: &OsString) -> Outcome {
    let letter = opts.last_of("ofrbi").unwrap_or('r');
    let chosen = POLICIES.iter().find(|(known, ..)| *known == letter);
    let policy = chosen.map_or(libc::SCHED_RR, |(_, policy, _)| *policy);
    let reset = if opts.has('R') { RESET_ON_FORK } else { 0 };
    let priority: i32 = number(priority)
        .ok_or_else(|| Fail::usage(format!("{}: is no priority", priority.display())))?;
    sched::set_policy(of, policy | reset, priority)
        .map_err(|why| Fail::on(format!("failed to set pid {of}'s policy"), &why))?;
    Ok(0)
}

fn show_policy(cx: &mut Cx, of: i32) -> Outcome {
    let (policy, priority) = sched::policy(of)
        .map_err(|why| Fail::on(format!("failed to get pid {of}'s policy"), &why))?;
    let (plain, reset) = (policy & !RESET_ON_FORK, policy & RESET_ON_FORK != 0);
    let known = POLICIES.iter().find(|(_, known, _)| *known == plain);
    let name = known.map_or("unknown", |(.., name)| name);
    let flag = if reset { "|SCHED_RESET_ON_FORK" } else { "" };
    writeln!(cx.out, "pid {of}'s current scheduling policy: {name}{flag}")?;
    writeln!(cx.out, "pid {of}'s current scheduling priority: {priority}")?;
    Ok(0)
}

/// `renice [-n] NICE [-p|-g|-u] ID...`
pub fn renice(cx: &mut Cx) -> Outcome {
    let opts = cx.options("n:pgu")?;
    let (nice, ids) = match (opts.value('n'), opts.operands.as_slice()) {
        (Some(nice), ids) => (nice, ids),
        (None, [nice, ids @ ..]) => (nice.as_os_str(), ids),
        _ => return Err(Fail::usage("needs a nice value and an id")),
    };
    let value: i32 =
        number(nice).ok_or_else(|| Fail::usage(format!("{}: is no nice value", nice.display())))?;
    let whose = match opts.last_of("pgu") {
        Some('g') => Whose::Group,
        Some('u') => Whose::User,
        _ => Whose::Process,
    };
    if ids.is_empty() {
        return Err(Fail::usage("needs an id"));
    }
    for id in ids {
        let who: u32 =
            number(id).ok_or_else(|| Fail::usage(format!("{}: is no id", id.display())))?;
        let changed = sched::nice(whose, who).and_then(|old| {
            sched::set_nice(whose, who, value)?;
            Ok((old, sched::nice(whose, who)?))
        });
        match changed {
            Ok((old, new)) => writeln!(cx.out, "{who}: old priority {old}, new priority {new}")?,
            Err(why) => cx.warn(id, &why),
        }
    }
    Ok(0)
}

/// `taskset MASK COMMAND [ARGUMENT]... | taskset -c LIST COMMAND... | taskset [-c] -p [MASK] PID`
pub fn taskset(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+cp")?;
    match (opts.has('p'), opts.operands.as_slice()) {
        (true, [of]) => show_affinity(cx, &opts, pid(of)?, "current"),
        (true, [mask, of]) => {
            let (mask, of) = (cpus(&opts, mask)?, pid(of)?);
            show_affinity(cx, &opts, of, "current")?;
            sched::set_affinity(of, mask)
                .map_err(|why| Fail::on(format!("failed to set pid {of}'s affinity"), &why))?;
            show_affinity(cx, &opts, of, "new")
        }
        (false, [mask, name, args @ ..]) => {
            sched::set_affinity(0, cpus(&opts, mask)?)
                .map_err(|why| Fail::on("failed to set affinity", &why))?;
            Err(refused(name, &Command::new(name).args(args).exec()))
        }
        _ => Err(Fail::usage("needs CPUs and a command, or -p and a process")),
    }
}

/// The CPUs that an operand names: a hexadecimal mask, or with `-c` a list such as `0,2-3`.
fn cpus(opts: &Opts, text: &OsString) -> Result<u64, Fail> {
    let plain = text.to_string_lossy();
    let mask = match opts.has('c') {
        true => list(&plain),
        false => u64::from_str_radix(plain.strip_prefix("0x").unwrap_or(&plain), 16).ok(),
    };
    mask.ok_or_else(|| Fail::usage(format!("{plain}: names no CPUs")))
}

fn list(text: &str) -> Option<u64> {
    text.split(',').try_fold(0, |mask, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let valid = first <= last && last < u64::BITS;
        valid.then(|| mask | (first..=last).fold(0, |part, cpu| part | 1 << cpu))
    })
}

/// A mask as `taskset -c` shows it.
fn as_list(mask: u64) -> String {
    let has = |cpu: u32| cpu < u64::BITS && mask >> cpu & 1 != 0;
    let starts = (0..u64::BITS).filter(|&cpu| has(cpu) && (cpu == 0 || !has(cpu - 1)));
    let ranges = starts.map(|first| {
        let last = (first..).find(|&cpu| !has(cpu + 1)).unwrap_or(first);
        match last {
            last if last == first => format!("{first}"),
            last => format!("{first}-{last}"),
        }
    });
    ranges.collect::<Vec<_>>().join(",")
}

fn show_affinity(cx: &mut Cx, opts: &Opts, of: i32, which: &str) -> Outcome {
    let mask = sched::affinity(of)
        .map_err(|why| Fail::on(format!("failed to get pid {of}'s affinity"), &why))?;
    match opts.has('c') {
        true => writeln!(
            cx.out,
            "pid {of}'s {which} affinity list: {}",
            as_list(mask)
        )?,
        false => writeln!(cx.out, "pid {of}'s {which} affinity mask: {mask:x}")?,
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_come_back() {
        for (text, mask) in [
            ("0", 1),
            ("1,3", 0b1010),
            ("0-2,5", 0b10_0111),
            ("63", 1 << 63),
        ] {
            assert_eq!(list(text), Some(mask));
            assert_eq!(as_list(mask), text);
        }
        for wrong in ["", "a", "3-1", "64", "1-"] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
        assert_eq!(as_list(u64::MAX), "0-63");
    }
}
