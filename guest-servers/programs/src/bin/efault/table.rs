//! The table: every call, every pointer.

mod events;
mod files;
mod input_output;
mod memory;
mod messages;
mod names;
mod process;
mod queues;
mod signals;
mod sockets;
mod sysv;
mod time;
mod waiting;

use crate::row::{Row, Use};

/// All rows, subject by subject.
pub const ROWS: &[&[Row]] = &[
    input_output::ROWS,
    names::ROWS,
    files::ROWS,
    memory::ROWS,
    signals::ROWS,
    process::ROWS,
    time::ROWS,
    waiting::ROWS,
    queues::ROWS,
    sysv::ROWS,
    sockets::ROWS,
    messages::SEND,
    messages::RECEIVE,
    events::ROWS,
];

/// A call's number and name.
macro_rules! sys {
    ($name:ident) => {
        (libc::$name, stringify!($name))
    };
}
use sys;

/// `AT_FDCWD` as an argument.
const CWD: usize = libc::AT_FDCWD as usize;

/// A path that does not exist, with its NUL.
const NOWHERE: &[u8; 8] = b"no/such\0";

/// A row about a path.
const fn path(
    call: (i64, &'static str),
    what: &'static str,
    args: fn(&crate::env::Env, usize) -> [usize; 6],
) -> Row {
    Row::new(call, what, Use::Text, args).holds(|_| NOWHERE.to_vec())
}

/// Address of a text that is right.
fn text(text: &'static std::ffi::CStr) -> usize {
    text.as_ptr() as usize
}

/// Calls without pointers: numbers only, or addresses that are only kept (what becomes of those, [`crate::scenes`]
/// shows).
pub const WITHOUT: &[(i64, &str)] = &[
    sys!(SYS_close),
    sys!(SYS_lseek),
    sys!(SYS_flock),
    sys!(SYS_sched_yield),
    sys!(SYS_dup),
    sys!(SYS_dup2),
    sys!(SYS_dup3),
    sys!(SYS_pause),
    sys!(SYS_alarm),
    sys!(SYS_getpid),
    sys!(SYS_fork),
    sys!(SYS_vfork),
    sys!(SYS_exit),
    sys!(SYS_exit_group),
    sys!(SYS_kill),
    sys!(SYS_tkill),
    sys!(SYS_tgkill),
    sys!(SYS_fsync),
    sys!(SYS_fdatasync),
    sys!(SYS_ftruncate),
    sys!(SYS_fallocate),
    sys!(SYS_fchdir),
    sys!(SYS_fchmod),
    sys!(SYS_fchown),
    sys!(SYS_umask),
    sys!(SYS_getuid),
    sys!(SYS_getgid),
    sys!(SYS_geteuid),
    sys!(SYS_getegid),
    sys!(SYS_setuid),
    sys!(SYS_setgid),
    sys!(SYS_setpgid),
    sys!(SYS_getppid),
    sys!(SYS_getpgrp),
    sys!(SYS_setsid),
    sys!(SYS_setreuid),
    sys!(SYS_setregid),
    sys!(SYS_setresuid),
    sys!(SYS_setresgid),
    sys!(SYS_getpgid),
    sys!(SYS_getsid),
    sys!(SYS_getpriority),
    sys!(SYS_setpriority),
    sys!(SYS_sched_getscheduler),
    sys!(SYS_sched_get_priority_max),
    sys!(SYS_sched_get_priority_min),
    sys!(SYS_sync),
    sys!(SYS_gettid),
    sys!(SYS_close_range),
    sys!(SYS_mlockall),
    sys!(SYS_munlockall),
    sys!(SYS_shmget),
    sys!(SYS_msgget),
    sys!(SYS_semget),
    sys!(SYS_socket),
    sys!(SYS_listen),
    sys!(SYS_shutdown),
    sys!(SYS_eventfd),
    sys!(SYS_eventfd2),
    sys!(SYS_epoll_create),
    sys!(SYS_epoll_create1),
    // A pointer only for a restart with a command, which Ferrix does not have.
    sys!(SYS_reboot),
    // The stack pointer is its pointer: see the scenes.
    sys!(SYS_rt_sigreturn),
    // Kept, and used at the thread's end: see the scenes.
    sys!(SYS_set_tid_address),
    sys!(SYS_set_robust_list),
];
