//! `/proc/PID`: one process.

use super::{Source, limits, maps, task};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{MemoryLimit, ProcessInfo, state};
use ferrix_abi::thread::ThreadInfo;
use ferrix_abi::vm::Region;

/// A file of every process.
pub struct File {
    pub name: &'static str,
    pub text: fn(&ProcessInfo, &dyn Source) -> Vec<u8>,
}

/// In the order of their inode numbers.
pub const FILES: &[File] = &[
    File {
        name: "stat",
        text: |info, source| task::stat(info, &main_thread(info, source)).into_bytes(),
    },
    File {
        name: "status",
        text: |info, source| status(info, source).into_bytes(),
    },
    File {
        name: "cmdline",
        text: |info, _| arguments(info).to_vec(),
    },
    File {
        name: task::NAME,
        text: |info, source| task::comm(info, &main_thread(info, source)).into_bytes(),
    },
    File {
        name: "sched",
        text: |info, source| task::sched(info, &main_thread(info, source)).into_bytes(),
    },
    File {
        name: "wchan",
        text: |info, source| task::wchan(&main_thread(info, source)).into_bytes(),
    },
    File {
        name: "statm",
        text: |info, source| statm(info, source).into_bytes(),
    },
    File {
        name: "maps",
        text: |info, source| maps::text(&regions(info, source)).into_bytes(),
    },
    File {
        name: "limits",
        text: |info, source| limits::text(info, source).into_bytes(),
    },
    File {
        name: "mounts",
        text: |_, source| source.mounts().into_bytes(),
    },
];

/// The mappings that a process shows.
fn regions(info: &ProcessInfo, source: &dyn Source) -> Vec<Region> {
    let all = source.regions(info.pid);
    match info.has_personality {
        0 => all,
        _ => maps::of_program(all),
    }
}

fn arguments(info: &ProcessInfo) -> &[u8] {
    if info.state == state::ZOMBIE {
        return &[];
    }
    &info.arguments[..(info.arguments_length as usize).min(info.arguments.len())]
}

/// The program's name: what its first thread is called, else the last part of the first argument, at most 15
/// bytes (`TASK_COMM_LEN`).
pub fn command(info: &ProcessInfo, main: &ThreadInfo) -> String {
    let all = &info.arguments[..(info.arguments_length as usize).min(info.arguments.len())];
    let first = all.split(|&byte| byte == 0).next().unwrap_or_default();
    let last = first.rsplit(|&byte| byte == b'/').next();
    let own = main.name.split(|&byte| byte == 0).next();
    let name = own.filter(|name| !name.is_empty()).or(last);
    let name = name.unwrap_or_default();
    String::from_utf8_lossy(&name[..name.len().min(15)]).into_owned()
}

/// The process's times, with the rest from its first thread, which a zombie has no more.
fn main_thread(info: &ProcessInfo, source: &dyn Source) -> ThreadInfo {
    let threads = || task::of(source, info.pid);
    let main = threads().find(|thread| thread.tid == info.pid);
    ThreadInfo {
        tid: info.pid,
        user_ns: info.user_ns,
        system_ns: info.system_ns,
        ..main.or_else(|| threads().next()).unwrap_or_default()
    }
}

pub const fn state_name(letter: u8) -> &'static str {
    match letter {
        state::RUNNING => "running",
        state::STOPPED => "stopped",
        state::ZOMBIE => "zombie",
        _ => "sleeping",
    }
}

/// proc(5), `/proc/[pid]/status`: the fields that Ferrix has, and a few of its own.
fn status(info: &ProcessInfo, source: &dyn Source) -> String {
    let kind = if info.has_personality != 0 {
        "linux"
    } else {
        "server"
    };
    let ids = source.identity(info.pid);
    let mut text = format!(
        "Name:\t{}\nState:\t{} ({})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{}\nTracerPid:\t0\n\
         Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\n",
        command(info, &main_thread(info, source)),
        char::from(info.state),
        state_name(info.state),
        info.parent,
        ids.ruid,
        ids.euid,
        ids.suid,
        ids.euid,
        ids.rgid,
        ids.egid,
        ids.sgid,
        ids.egid,
        pid = info.pid,
    );
    memory(&mut text, info, source);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "Threads:\t{}\nHandles:\t{}\nPriority:\t{}\nCpu:\t{}\nKind:\t{kind}\nViolations:\t{}\n",
        info.threads,
        info.handles,
        info.priority,
        info.cpu,
        source.limits(info.pid).violations.iter().sum::<u64>(),
    );
    text.push_str(&task::lines(&main_thread(info, source)));
    text
}

/// The lines about memory, which a zombie has none of.
fn memory(text: &mut String, info: &ProcessInfo, source: &dyn Source) {
    if info.state == state::ZOMBIE {
        return;
    }
    let sums = maps::sums(&regions(info, source));
    let known = source.memory(info.pid);
    let locked = known.used[MemoryLimit::Locked as usize] * PAGE_SIZE;
    let [most_mapped, most_present] = known.most;
    // The kernel counts the personality's mappings too, which hardly change.
    let hidden = info.virtual_bytes.saturating_sub(sums.all);
    let rows = [
        ("VmPeak", most_mapped.saturating_sub(hidden).max(sums.all)),
        ("VmSize", sums.all),
        ("VmLck", locked),
        ("VmPin", 0),
        ("VmHWM", most_present.max(info.resident_pages) * PAGE_SIZE),
        ("VmRSS", info.resident_pages * PAGE_SIZE),
        ("VmData", sums.data),
        ("VmStk", sums.stack),
        ("VmExe", sums.text),
        ("VmLib", 0),
        ("VmSwap", 0),
    ];
    for (name, bytes) in rows {
        let _ = writeln!(text, "{name}:\t{:8} kB", bytes / 1024);
    }
}

/// proc(5), `/proc/[pid]/statm`, in pages.
fn statm(info: &ProcessInfo, source: &dyn Source) -> String {
    let sums = maps::sums(&regions(info, source));
    format!(
        "{} {} 0 {} 0 {} 0\n",
        sums.all / PAGE_SIZE,
        info.resident_pages,
        sums.text / PAGE_SIZE,
        (sums.data + sums.stack) / PAGE_SIZE,
    )
}
