//! `kill`: signals by process id.

use std::io::Write;

use super::signals;
use crate::cx::{Cx, Fail, Outcome};
use crate::opts::number;
use crate::sys::process;

/// `kill [-SIGNAL | -s SIGNAL] PID...`, `kill -l [NUMBER]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let mut args = cx.args.iter();
    let mut signal = libc::SIGTERM;
    let mut pids: Vec<_> = Vec::new();
    if let Some(first) = args.next() {
        let text = first.to_string_lossy();
        match text.as_ref() {
            "-l" => return list(cx),
            "--" => {}
            "-s" => {
                let name = args
                    .next()
                    .ok_or_else(|| Fail::usage("-s: needs a signal"))?;
                signal = parse(&name.to_string_lossy())?;
            }
            option if option.starts_with('-') => signal = parse(&option[1..])?,
            _ => pids.push(first.clone()),
        }
    }
    pids.extend(args.filter(|arg| *arg != "--").cloned());
    if pids.is_empty() {
        return Err(Fail::usage("needs a process id"));
    }
    cx.each(&pids, |_, pid| {
        let pid = number(pid).ok_or_else(|| std::io::Error::other("is no process id"))?;
        process::kill(pid, signal)
    })
}

fn parse(text: &str) -> Result<i32, Fail> {
    signals::number(text).ok_or_else(|| Fail::usage(format!("{text}: is no signal")))
}

fn list(cx: &mut Cx) -> Outcome {
    if cx.args.len() == 1 {
        let names: Vec<&str> = signals::names().collect();
        writeln!(cx.out, "{}", names.join(" "))?;
    }
    for arg in &cx.args[1..] {
        let text = arg.to_string_lossy();
        // A shell's status of a killed child is understood too.
        let wanted = parse(&text).or_else(|fail| match number::<i32>(arg) {
            Some(status @ 129..=159) => Ok(status - 128),
            _ => Err(fail),
        })?;
        match number::<i32>(arg) {
            Some(_) => writeln!(cx.out, "{}", signals::name(wanted))?,
            None => writeln!(cx.out, "{wanted}")?,
        }
    }
    Ok(0)
}
