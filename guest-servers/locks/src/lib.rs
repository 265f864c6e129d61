//! Advisory locks on files: `fcntl`'s record locks (POSIX XSH `fcntl`, Linux's open file description locks) and
//! `flock`. The servers that hold files keep them: `ext2` for the disk's, `vfs` for the rest.
//!
//! | file | what |
//! |---|---|
//! | `range.rs` | a range of bytes, from what `struct flock` says |
//! | `records.rs` | the locks of one file: conflict, conversion, splitting, merging |
//! | `table.rs` | the locks of all files of a server: waiting, granting, deadlock |
//! | `service.rs` | the requests of [`ferrix_proto::file`] on them |

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod range;
pub mod records;
#[cfg(feature = "guest")]
pub mod service;
pub mod table;

pub use range::{BadRange, Range};
pub use records::{Held, Mode, Owner};
pub use table::{Answer, Lock, Table};
