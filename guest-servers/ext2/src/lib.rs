//! The second extended file system, read and write, as a library without I/O.
//!
//! [`Ext2`] mounts a [`BlockDevice`] and offers the operations a file server needs, by inode
//! number; walking paths, permissions and clocks belong to the caller. All of it rests on a
//! write-back block cache of bounded size. The on-disk structures keep the names of the
//! specification ("The Second Extended File System", D. Poirier; fields `s_*`, `bg_*`, `i_*`)
//! in one parse function each; outside of these only typed structs are seen.
//!
//! From the bottom up: `device` → `cache` → `volume` (superblock, group descriptors and
//! the allocators) → `node` (an inode in memory), `block_map`, `trim` → `dir` → the operations
//! in `ops`, one file a theme.
//!
//! Nothing read from the disk is trusted: every number is checked where it enters, and
//! what breaks a rule ends the operation with [`Error::Corrupt`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod alloc_blocks;
mod alloc_inodes;
mod bitmap;
mod block_map;
mod bytes;
mod cache;
mod device;
mod dir;
mod error;
mod group;
mod hash;
mod inode;
mod mount;
mod node;
mod ops;
mod orphan;
mod recover;
mod reserve;
mod superblock;
mod trim;
mod types;
mod volume;

pub use cache::CacheStats;
pub use device::{BlockDevice, DeviceError};
pub use error::{Error, Result};
pub use mount::{Access, Ext2, MountOptions};
pub use ops::link::Place;
pub use ops::readdir::{DirEntry, Emit};
pub use reserve::Privilege;
pub use types::{DeviceNumber, FileType, Ino, NewNode, SetAttr, Stat, StatFs, Timestamp};

/// Longest name of a directory entry, in bytes (`EXT2_NAME_LEN`).
pub const NAME_MAX: usize = 255;
/// Most links that one inode may have (`EXT2_LINK_MAX`).
pub const LINK_MAX: u16 = 32_000;
