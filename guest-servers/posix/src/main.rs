//! The Linux personality, mapped into every Linux program at `POSIX_BASE`.
//!
//! A program's `syscall` instruction ends here (the kernel only sets RIP), on a stack of the personality's own, one
//! per thread. A handler per call does the work: calls to the kernel, messages to servers. Signals that arrive
//! meanwhile wait until the way out. All that is kept is in a few statics that are zero at the start, so that a
//! process's share of the personality is a few pages, which is what `fork` copies.
//!
//! | file | what |
//! |---|---|
//! | `entry.rs` | the ways in and out: assembly |
//! | `start.rs` | the first program of a process that init made |
//! | `dispatch.rs` | the table: number to handler |
//! | `call/*.rs` | the handlers, a file per group |
//! | `deliver.rs` | signal delivery, restart of interrupted calls |
//! | `user.rs` | the program's memory: guarded copies only |
//! | `server.rs`, `window.rs` | requests to servers, and the memory shared with them |
//! | `scratch.rs` | room for long lists |
//! | `state.rs`, `sync.rs` | what the personality remembers, and its locks |
//! | `local.rs`, `stacks.rs` | per thread: its area in the UTCB, its stack |
//! | library | everything that can be tested without a program |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod call;
mod deliver;
mod dispatch;
#[expect(unsafe_code, reason = "entry and exit in assembly")]
mod entry;
#[expect(unsafe_code, reason = "maps a file for reading")]
mod file_view;
#[expect(unsafe_code, reason = "saves and loads the floating-point registers")]
mod fp;
#[expect(unsafe_code, reason = "the personality's part of the UTCB")]
mod local;
#[expect(
    unsafe_code,
    reason = "changes the program's part of the address space"
)]
mod program;
#[expect(unsafe_code, reason = "RDRAND and CPUID")]
mod random;
#[expect(unsafe_code, reason = "lends memory that is mapped for the while")]
mod scratch;
mod server;
#[expect(unsafe_code, reason = "maps stacks and starts threads")]
mod stacks;
mod start;
mod state;
#[expect(
    unsafe_code,
    reason = "a lock hands out references to what it protects"
)]
mod sync;
#[expect(unsafe_code, reason = "copies from and to the program's memory")]
mod user;
#[expect(unsafe_code, reason = "copies from and to windows")]
mod window;
