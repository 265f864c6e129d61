//! `/proc/PID/task/TID`: one thread, and what a process's files tell of its first one.

use super::Source;
use super::process::{command, state_name};
use alloc::format;
use alloc::string::String;
use ferrix_abi::process::{ProcessInfo, state};
use ferrix_abi::thread::{Activity, ThreadInfo};

/// Clock ticks a second, the unit of times in `stat` (`sysconf(_SC_CLK_TCK)`).
const TICK_NS: u64 = 10_000_000;

/// The file that holds a thread's name, and of a process that of its first thread.
pub const NAME: &str = "comm";

/// A file of every thread.
pub struct File {
    pub name: &'static str,
    pub text: fn(&ProcessInfo, &ThreadInfo) -> String,
}

/// In the order of their inode numbers.
pub const FILES: &[File] = &[
    File {
        name: "stat",
        text: |info, thread| stat(&of_thread(info, thread), thread),
    },
    File {
        name: "status",
        text: status,
    },
    File {
        name: NAME,
        text: comm,
    },
    File {
        name: "sched",
        text: |info, thread| sched(&of_thread(info, thread), thread),
    },
    File {
        name: "wchan",
        text: |_, thread| wchan(thread),
    },
];

/// A process's threads, ascending.
pub fn of(source: &dyn Source, pid: u32) -> impl Iterator<Item = ThreadInfo> {
    let mut previous = 0;
    core::iter::from_fn(move || {
        let info = source.next_thread(pid, previous)?;
        previous = info.tid;
        Some(info)
    })
}

/// The process's record with the state that one thread has.
fn of_thread(info: &ProcessInfo, thread: &ThreadInfo) -> ProcessInfo {
    ProcessInfo {
        state: letter(thread),
        ..*info
    }
}

fn activity(thread: &ThreadInfo) -> Activity {
    Activity::try_from(thread.activity).unwrap_or(Activity::Dead)
}

fn letter(thread: &ThreadInfo) -> u8 {
    match activity(thread) {
        Activity::Running | Activity::Ready => state::RUNNING,
        Activity::Stopped => state::STOPPED,
        Activity::Dead => state::ZOMBIE,
        _ => state::SLEEPING,
    }
}

/// For what a thread waits; 0 if it does not.
pub fn wchan(thread: &ThreadInfo) -> String {
    let name = match activity(thread) {
        Activity::Running | Activity::Ready | Activity::Stopped | Activity::Dead => "0",
        Activity::Send => "ipc_send",
        Activity::Receive => "ipc_receive",
        Activity::Reply => "ipc_reply",
        Activity::Futex => "futex_wait",
        Activity::FutexPi => "futex_lock_pi",
        Activity::Sleep => "sleep_until",
        Activity::Poll => "wait_many",
        Activity::Child => "wait_child",
        Activity::Suspend => "sig_suspend",
        Activity::SigWait => "sig_wait",
        Activity::Page => "page_wait",
        Activity::Memory => "memory_wait",
    };
    String::from(name)
}

/// Its name.
pub fn comm(info: &ProcessInfo, thread: &ThreadInfo) -> String {
    format!("{}\n", command(info, thread))
}

/// Linux's number: 20 + nice, or below zero for real time.
fn priority(thread: &ThreadInfo) -> i32 {
    match thread.realtime {
        0 => 20 + i32::from(thread.nice),
        realtime => -1 - i32::from(realtime),
    }
}

/// proc(5), `/proc/[pid]/stat`: 52 fields; those that Ferrix does not have are 0.
pub fn stat(info: &ProcessInfo, thread: &ThreadInfo) -> String {
    let ProcessInfo {
        parent,
        group,
        session,
        threads,
        ..
    } = *info;
    let (user, system) = (thread.user_ns / TICK_NS, thread.system_ns / TICK_NS);
    let (start, bytes) = (info.start_ns / TICK_NS, info.virtual_bytes);
    let (name, letter) = (command(info, thread), char::from(info.state));
    let (pid, pages, cpu) = (thread.tid, info.resident_pages, thread.cpu);
    let waits = u8::from(wchan(thread) != "0");
    format!(
        "{pid} ({name}) {letter} {parent} {group} {session} 0 -1 0 0 0 0 0 {user} {system} 0 0 \
         {priority} {nice} {threads} 0 {start} {bytes} {pages} 18446744073709551615 \
         0 0 0 0 0 0 0 0 0 {waits} 0 0 17 {cpu} {realtime} {policy} 0 0 0 0 0 0 0 0 0 0 0\n",
        priority = priority(thread),
        nice = thread.nice,
        realtime = thread.realtime,
        policy = thread.policy,
    )
}

/// The lines of `status` about a thread's scheduling.
pub fn lines(thread: &ThreadInfo) -> String {
    format!(
        "Cpus_allowed:\t{:x}\nvoluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        thread.affinity, thread.voluntary, thread.involuntary,
    )
}

fn status(info: &ProcessInfo, thread: &ThreadInfo) -> String {
    let letter = letter(thread);
    format!(
        "Name:\t{}\nState:\t{} ({})\nTgid:\t{}\nPid:\t{}\nPPid:\t{}\nThreads:\t{}\n{}",
        command(info, thread),
        char::from(letter),
        state_name(letter),
        info.pid,
        thread.tid,
        info.parent,
        info.threads,
        lines(thread),
    )
}

/// `/proc/[pid]/sched`: Linux's names where they mean the same, and Ferrix's priorities.
pub fn sched(info: &ProcessInfo, thread: &ThreadInfo) -> String {
    let head = format!(
        "{} ({}, #threads: {})\n",
        command(info, thread),
        thread.tid,
        info.threads
    );
    let ran = thread.user_ns + thread.system_ns;
    let milliseconds = format!("{}.{:06}", ran / 1_000_000, ran % 1_000_000);
    let number = |value: u64| format!("{value}");
    let rows = [
        ("se.sum_exec_runtime", milliseconds),
        ("nr_switches", number(thread.voluntary + thread.involuntary)),
        ("nr_voluntary_switches", number(thread.voluntary)),
        ("nr_involuntary_switches", number(thread.involuntary)),
        ("policy", number(thread.policy.into())),
        ("prio", format!("{}", 100 + priority(thread))),
        ("base_priority", number(thread.base.into())),
        ("effective_priority", number(thread.effective.into())),
        ("donors", number(thread.donors.into())),
    ];
    let line = "-".repeat(57) + "\n";
    rows.iter().fold(head + &line, |text, (name, value)| {
        text + &format!("{name:<35}:{value:>21}\n")
    })
}
