//! `/proc/PID`: one process.

use super::{Source, limits, maps};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{MemoryLimit, ProcessInfo, state};
use ferrix_abi::vm::Region;

/// Clock ticks a second, the unit of times in `stat` (`sysconf(_SC_CLK_TCK)`).
const TICK_NS: u64 = 10_000_000;

/// A file of every process.
pub struct File {
    pub name: &'static str,
    pub text: fn(&ProcessInfo, &dyn Source) -> Vec<u8>,
}

/// In the order of their inode numbers.
pub const FILES: &[File] = &[
    File {
        name: "stat",
        text: |info, _| stat(info).into_bytes(),
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
        name: "comm",
        text: |info, _| format!("{}\n", command(info)).into_bytes(),
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

/// The program's name: the last part of the first argument, at most 15 bytes (`TASK_COMM_LEN`).
fn command(info: &ProcessInfo) -> String {
    let all = &info.arguments[..(info.arguments_length as usize).min(info.arguments.len())];
    let first = all.split(|&byte| byte == 0).next().unwrap_or_default();
    let last = first
        .rsplit(|&byte| byte == b'/')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(&last[..last.len().min(15)]).into_owned()
}

/// proc(5), `/proc/[pid]/stat`: 52 fields; those that Ferrix does not have are 0.
fn stat(info: &ProcessInfo) -> String {
    let ProcessInfo {
        pid,
        parent,
        group,
        session,
        threads,
        ..
    } = *info;
    let (user, system) = (info.user_ns / TICK_NS, info.system_ns / TICK_NS);
    let (start, bytes) = (info.start_ns / TICK_NS, info.virtual_bytes);
    let (name, letter) = (command(info), char::from(info.state));
    let (priority, pages, cpu) = (info.priority, info.resident_pages, info.cpu);
    format!(
        "{pid} ({name}) {letter} {parent} {group} {session} 0 -1 0 0 0 0 0 {user} {system} 0 0 \
         {priority} 0 {threads} 0 {start} {bytes} {pages} 18446744073709551615 \
         0 0 0 0 0 0 0 0 0 0 0 0 17 {cpu} 0 {policy} 0 0 0 0 0 0 0 0 0 0 0\n",
        policy = info.policy,
    )
}

const fn state_name(letter: u8) -> &'static str {
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
        command(info),
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
