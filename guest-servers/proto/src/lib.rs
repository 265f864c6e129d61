//! The contracts between servers, and between servers and the personality; a file per service.
//!
//! No logic: operation numbers, word layouts, structures. All requests have one shape (see
//! [`request`]), all replies carry a [`status`](request) in word 0.
//!
//! | module | spoken to | by |
//! |---|---|---|
//! | [`file`] | whoever holds an open file: `ext2`, `vfs` (pipes, directories, `/dev`, `/proc`), `console`, `blk` | the personality |
//! | [`path`] | `vfs`, on a directory session | the personality |
//! | [`shm`] | `vfs`, on a directory session | the personality |
//! | [`filesystem`] | `ext2` | `vfs` |
//! | [`block`] | `blk` | `ext2`, `vfs` |
//! | [`tty`] | `console` | `vfs` |
//! | [`queue`] | `queue`, on its port and its sessions | the personality |
//! | [`socket`] | `queue` | the personality |
//! | [`sysv`] | `queue` | the personality |
//! | [`control`] | `init` | the personality, servers |
//! | [`startup`] | every new process | `init` |
//! | [`device`] | drivers, in their start-up strings | `init` |

#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod attributes;
pub mod block;
pub mod control;
pub mod device;
pub mod file;
pub mod filesystem;
pub mod path;
pub mod queue;
pub mod request;
pub mod shm;
pub mod socket;
pub mod startup;
pub mod sysv;
pub mod tty;
