//! Programs about the system and its user: `uname`, `poweroff`, `reboot`, `id`, `whoami`, `free`,
//! `stty`, `ps`.

use std::fs;
use std::io::Write;

use super::users::Names;
use crate::cx::{Cx, Fail, Outcome, cause};
use crate::opts::number;
use crate::sys::fd::Fd;
use crate::sys::term::{Local, Modes};
use crate::sys::{system, term};
use crate::text::human;

/// `uname [-asnrvmo]`
pub fn uname(cx: &mut Cx) -> Outcome {
    let opts = cx.options("asnrvmo")?;
    let names = system::names().map_err(|why| Fail::on("uname", &why))?;
    let operating = if names.system == "Linux" {
        "GNU/Linux"
    } else {
        &names.system
    };
    let all = [
        ('s', names.system.as_str()),
        ('n', &names.node),
        ('r', &names.release),
        ('v', &names.version),
        ('m', &names.machine),
        ('o', operating),
    ];
    let none = opts.last_of("asnrvmo").is_none();
    let asked = |letter| opts.has('a') || opts.has(letter) || (none && letter == 's');
    let shown: Vec<&str> = all
        .iter()
        .filter(|(letter, _)| asked(*letter))
        .map(|(_, name)| *name)
        .collect();
    writeln!(cx.out, "{}", shown.join(" "))?;
    Ok(0)
}

/// `poweroff [STATUS]`: ends the machine; the monitor exits with STATUS (0 to 255).
pub fn poweroff(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let status = match opts.operands.as_slice() {
        [] => 0,
        [text] => number(text).ok_or_else(|| {
            Fail::usage(format!("{}: is no status from 0 to 255", text.display()))
        })?,
        _ => return Err(Fail::usage("takes one status")),
    };
    crate::sys::fs::sync();
    Err(Fail::new(format!(
        "the machine refuses: {}",
        cause(&system::power_off(status))
    )))
}

/// `reboot`: resets the machine.
pub fn reboot(cx: &mut Cx) -> Outcome {
    if !cx.options("")?.operands.is_empty() {
        return Err(Fail::usage("takes no operands"));
    }
    crate::sys::fs::sync();
    Err(Fail::new(format!(
        "the machine refuses: {}",
        cause(&system::restart())
    )))
}

/// `id [-ugn]`
pub fn id(cx: &mut Cx) -> Outcome {
    let opts = cx.options("ugn")?;
    let (user, group) = system::ids();
    let (users, groups) = (Names::users(), Names::groups());
    let text = match (opts.last_of("ug"), opts.has('n')) {
        (Some('u'), false) => user.to_string(),
        (Some('u'), true) => users.name(user),
        (Some(_), false) => group.to_string(),
        (Some(_), true) => groups.name(group),
        (None, _) => {
            let label = |id, name: Option<&str>| match name {
                Some(name) => format!("{id}({name})"),
                None => format!("{id}"),
            };
            let user = label(user, users.known(user));
            format!("uid={user} gid={}", label(group, groups.known(group)))
        }
    };
    writeln!(cx.out, "{text}")?;
    Ok(0)
}

/// `whoami`
pub fn whoami(cx: &mut Cx) -> Outcome {
    writeln!(cx.out, "{}", Names::users().name(system::effective_user()))?;
    Ok(0)
}

/// `free [-hbm]`: in units of 1 KiB.
pub fn free(cx: &mut Cx) -> Outcome {
    let opts = cx.options("hbmk")?;
    let (total, free) = system::memory().map_err(|why| Fail::on("sysinfo", &why))?;
    let show = |bytes: u64| match opts.last_of("hbmk") {
        Some('h') => human(bytes),
        Some('b') => bytes.to_string(),
        Some('m') => (bytes >> 20).to_string(),
        _ => (bytes >> 10).to_string(),
    };
    writeln!(cx.out, "{:>16} {:>11} {:>11}", "total", "used", "free")?;
    let (all, used) = (show(total), show(total.saturating_sub(free)));
    writeln!(cx.out, "Mem: {all:>11} {used:>11} {:>11}", show(free))?;
    Ok(0)
}

/// `stty [size | sane | [-]raw | [-]echo | [-]icanon | [-]isig]...`, of standard input.
pub fn stty(cx: &mut Cx) -> Outcome {
    let refused = |why: std::io::Error| Fail::on("standard input", &why);
    let mut modes = Modes::of(Fd::STDIN).map_err(refused)?;
    if cx.args.is_empty() {
        let flags = [
            ("echo", Local::Echo),
            ("icanon", Local::Canonical),
            ("isig", Local::Signals),
        ];
        let shown =
            flags.map(|(name, flag)| format!("{}{name}", if modes.is_on(flag) { "" } else { "-" }));
        writeln!(cx.out, "{}", shown.join(" "))?;
        return Ok(0);
    }
    let mut changes = false;
    for arg in cx.args {
        changes |= arg != "size";
        match arg.to_string_lossy().as_ref() {
            "size" => {
                let (rows, columns) = term::size(Fd::STDIN).map_err(refused)?;
                writeln!(cx.out, "{rows} {columns}")?;
            }
            "sane" | "-raw" | "cooked" => modes.make_sane(),
            "raw" => modes.make_raw(),
            "echo" => modes.enable(Local::Echo),
            "-echo" => modes.disable(Local::Echo),
            "icanon" => modes.enable(Local::Canonical),
            "-icanon" => modes.disable(Local::Canonical),
            "isig" => modes.enable(Local::Signals),
            "-isig" => modes.disable(Local::Signals),
            other => return Err(Fail::usage(format!("{other}: unknown setting"))),
        }
    }
    if changes {
        modes.apply(Fd::STDIN).map_err(refused)?;
    }
    Ok(0)
}

/// `ps`: all processes, by `/proc`. Options are accepted and change nothing.
pub fn ps(cx: &mut Cx) -> Outcome {
    let entries = fs::read_dir("/proc").map_err(|why| Fail::on("/proc", &why))?;
    let mut pids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| number(&entry.file_name()))
        .collect();
    pids.sort_unstable();
    writeln!(
        cx.out,
        "{:>5} {:>5} {:>4} {:>8} {:>8} COMMAND",
        "PID", "PPID", "STAT", "VSZ", "TIME"
    )?;
    for pid in pids {
        // One that has ended meanwhile is left out.
        if let Some(row) = row(pid) {
            writeln!(cx.out, "{row}")?;
        }
    }
    Ok(0)
}

fn row(pid: u32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let process = Process::parse(&String::from_utf8_lossy(&stat))?;
    let mut command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    while command.last() == Some(&0) {
        command.pop();
    }
    command
        .iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = b' ');
    let command = match command.is_empty() {
        true => format!("[{}]", process.name),
        false => String::from_utf8_lossy(&command).into_owned(),
    };
    // Linux counts CPU time in hundredths of a second here.
    let seconds = process.ticks / 100;
    let time = format!("{}:{:02}", seconds / 60, seconds % 60);
    let Process {
        parent,
        state,
        bytes,
        ..
    } = process;
    Some(format!(
        "{pid:>5} {parent:>5} {state:<4} {:>8} {time:>8} {command}",
        bytes >> 10
    ))
}

/// What proc(5) says in `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Process {
    name: String,
    state: char,
    parent: u32,
    ticks: u64,
    bytes: u64,
}

impl Process {
    fn parse(stat: &str) -> Option<Self> {
        // The name is in parentheses and may hold some itself.
        let (head, tail) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
        Some(Self {
            name: name.into(),
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(field(1)?).ok()?,
            // The state is field 3 of the file.
            ticks: field(11).unwrap_or(0) + field(12).unwrap_or(0),
            bytes: field(20).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194304 0 0 0 0 150 50 0 0 20 0 1 0 12 8192 3 18446";
        let expected = Process {
            name: "a) b".into(),
            state: 'S',
            parent: 1,
            ticks: 200,
            bytes: 8192,
        };
        assert_eq!(Process::parse(line), Some(expected));
        assert_eq!(Process::parse("7"), None);
    }
}
