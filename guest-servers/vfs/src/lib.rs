//! The virtual file system: names over several file systems.
//!
//! This library is the pure part: no message, no system call. File systems are behind [`Filesystem`];
//! the server around it (`main.rs`) speaks the protocols.
//!
//! | module | what |
//! |---|---|
//! | [`filesystem`] | what a file system can do, by inode number |
//! | [`mounts`] | which file system is where |
//! | [`walk`] | a path becomes a node |
//! | [`cache`] | names already looked up |
//! | [`permissions`] | who may do what |
//! | [`pipe`] | pipes and FIFOs |
//! | [`pseudo`] | file systems made of generated text: `/dev`, `/proc` |
//! | [`shm`] | System V shared memory segments |
//! | [`tmpfs`] | a file system in memory |
//! | [`dirent`] | directory records |

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
pub mod dirent;
pub mod errno;
pub mod filesystem;
pub mod mounts;
pub mod permissions;
pub mod pipe;
pub mod pseudo;
pub mod shm;
pub mod tmpfs;
pub mod walk;

pub use errno::{Errno, Result};
pub use filesystem::{Filesystem, Node, Opened};
