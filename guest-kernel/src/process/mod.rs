//! Processes: memory, handles, signals, the tree of parents and children.
//!
//! | module | what |
//! |---|---|
//! | `kind` | what a process is |
//! | `space` | its address space, which outlives neither it nor its last thread |
//! | `create` | empty processes, `fork`, the first one |
//! | `end` | exit, zombies, reparenting |
//! | `stop` | stopping and continuing |
//! | [`halt`] | when a process that is being stopped has stopped |
//! | [`waiting`] | which children a wait finds |
//! | `family` | groups and sessions |
//! | `info` | what can be asked of a process |
//! | `limits` | resource limits |
//!
//! A process that has ended keeps its memory until its last thread has freed it, in its own context, with
//! interrupts on. Then it is a zombie until its parent waits for it. Children of a process that
//! ends go to process 1.

#[cfg_attr(
    not(any(target_os = "none", test)),
    expect(dead_code, reason = "used where there is a first process")
)]
mod elf;
pub mod halt;
pub mod waiting;

#[cfg(target_os = "none")]
mod create;
#[cfg(target_os = "none")]
mod end;
#[cfg(target_os = "none")]
mod family;
#[cfg(target_os = "none")]
mod first;
#[cfg(target_os = "none")]
mod info;
#[cfg(target_os = "none")]
mod kind;
#[cfg(target_os = "none")]
mod limits;
#[cfg(target_os = "none")]
#[expect(
    unsafe_code,
    reason = "the address space is used by its own threads without the core lock"
)]
mod space;
#[cfg(target_os = "none")]
mod stop;

#[cfg(target_os = "none")]
pub use create::{create_empty, fork};
#[cfg(target_os = "none")]
pub use end::{end_others, exit, finish, kill, reap, thread_left};
#[cfg(target_os = "none")]
pub use family::{in_group, may_signal, new_session, set_group};
#[cfg(target_os = "none")]
pub use first::start_init;
#[cfg(target_os = "none")]
pub use info::{describe, times};
#[cfg(target_os = "none")]
pub use kind::{InFamily, InitPid, Life, NAME, PIDS, PROCESSES, Process, by_pid, forks};
#[cfg(target_os = "none")]
pub use limits::{
    apply as apply_limits, check_processes, cpu_watched, describe_limits, may_limit, set_limit,
};
#[cfg(target_os = "none")]
pub use space::{SpaceRef, with_current_space, with_space_of};
#[cfg(target_os = "none")]
pub use stop::{continue_all, runs_no_more, stop, stop_current};
