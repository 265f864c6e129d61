//! `/proc/PID`: one process.

use super::Source;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{ProcessInfo, state};

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
        text: |info, _| status(info).into_bytes(),
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
        text: |info, _| statm(info).into_bytes(),
    },
    File {
        name: "mounts",
        text: |_, source| source.mounts().into_bytes(),
    },
];

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

/// proc(5), `/proc/[pid]/status`.
fn status(info: &ProcessInfo) -> String {
    let kib = |bytes: u64| bytes / 1024;
    let kind = if info.has_personality != 0 {
        "linux"
    } else {
        "server"
    };
    format!(
        "Name:\t{}\nState:\t{}\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n\
         VmSize:\t{:8} kB\nVmRSS:\t{:8} kB\nThreads:\t{}\nHandles:\t{}\nPriority:\t{}\nCpu:\t{}\nKind:\t{kind}\n",
        command(info),
        char::from(info.state),
        info.parent,
        kib(info.virtual_bytes),
        kib(info.resident_pages * PAGE_SIZE),
        info.threads,
        info.handles,
        info.priority,
        info.cpu,
        pid = info.pid,
        uid = info.uid,
    )
}

fn statm(info: &ProcessInfo) -> String {
    format!(
        "{} {} 0 0 0 0 0\n",
        info.virtual_bytes / PAGE_SIZE,
        info.resident_pages
    )
}
