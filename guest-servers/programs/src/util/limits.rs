//! `check_memory_violation`: what a process may use, uses, and was refused; `asuser`: a command as another user.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::launch::refused;
use crate::cx::{Cx, Fail, Outcome, cause};
use crate::opts::number;
use crate::sys::limit::{self, INFINITY, RESOURCES};
use crate::sys::memory;

/// Names and units, by number, as in `/proc/PID/limits`.
const NAMES: [(&str, &str); RESOURCES] = [
    ("cpu time", "seconds"),
    ("file size", "bytes"),
    ("data size", "bytes"),
    ("stack size", "bytes"),
    ("core file size", "bytes"),
    ("resident set", "bytes"),
    ("processes", "processes"),
    ("open files", "files"),
    ("locked memory", "bytes"),
    ("address space", "bytes"),
    ("file locks", "locks"),
    ("pending signals", "signals"),
    ("msgqueue size", "bytes"),
    ("nice priority", ""),
    ("realtime priority", ""),
    ("realtime timeout", "us"),
    ("handles", "handles"),
];

fn text(value: u64) -> String {
    match value {
        INFINITY => "unlimited".to_string(),
        value => value.to_string(),
    }
}

/// `check_memory_violation [PID]`: 0 if nothing was refused, 1 if something was.
pub fn check_memory_violation(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let pid = match opts.operands.as_slice() {
        [] => 0,
        [pid] => number::<i32>(pid)
            .filter(|pid| *pid > 0)
            .ok_or_else(|| Fail::usage(format!("{}: is no process id", pid.display())))?,
        _ => return Err(Fail::usage("one process id at a time")),
    };
    let record = limit::record(pid).map_err(|why| explained(pid, &why))?;
    writeln!(
        cx.out,
        "{:<18} {:>20} {:>20} {:>12} {:>10}  units",
        "limit", "soft", "hard", "used", "violations"
    )?;
    for (index, (name, unit)) in NAMES.iter().enumerate() {
        let limit = record.limits[index];
        writeln!(
            cx.out,
            "{name:<18} {:>20} {:>20} {:>12} {:>10}  {unit}",
            text(limit.soft),
            text(limit.hard),
            record.used[index],
            record.violations[index],
        )?;
    }
    let violations: u64 = record.violations.iter().sum();
    writeln!(cx.out, "violations: {violations}")?;
    Ok(i32::from(violations != 0))
}

fn explained(pid: i32, why: &io::Error) -> Fail {
    let hint = match why.raw_os_error() {
        Some(libc::ESRCH) => ": ps lists those that there are",
        Some(libc::EPERM) => ": only its own user and root may ask",
        Some(libc::ENOSYS) => ": only Ferrix counts violations",
        _ => "",
    };
    Fail::with_status(2, format!("process {pid}: {}{hint}", cause(why)))
}

/// `asuser UID COMMAND [ARGUMENT]...`
pub fn asuser(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+")?;
    let [uid, name, args @ ..] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a user id and a command"));
    };
    let user: u32 =
        number(uid).ok_or_else(|| Fail::usage(format!("{}: is no user id", uid.display())))?;
    memory::become_user(user).map_err(|why| Fail::on(format!("user {user}"), &why))?;
    Err(refused(name, &Command::new(name).args(args).exec()))
}
