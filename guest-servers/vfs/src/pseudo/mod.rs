//! File systems made of generated text and devices: [`dev`] and [`proc`].
//!
//! Opening one of their files gives a [`Local`], which the server serves itself (or passes to the
//! server that holds the device).

pub mod dev;
pub mod proc;

use alloc::string::String;
use alloc::vec::Vec;
use ferrix_proto::attributes::Attributes;
use linux_raw_sys::general as linux;

/// What opening a generated file leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Text, made when the file was opened.
    Text(Vec<u8>),
    /// The name of the thread with this id, as text when the file was opened: what is written becomes its name.
    Name(Vec<u8>, u32),
    /// `/dev/null`: takes everything, holds nothing.
    Null,
    /// `/dev/zero`: endless zeroes.
    Zero,
    /// `/dev/full`: endless zeroes, no room.
    Full,
    /// `/dev/random` and `/dev/urandom`.
    Random,
    /// A terminal of the console server.
    Terminal,
    /// A block device with this name.
    Disk(String),
}

/// Attributes of a generated node.
pub fn attributes(device: u64, inode: u64, mode: u32, rdev: u64) -> Attributes {
    let links = if mode & linux::S_IFMT == linux::S_IFDIR {
        2
    } else {
        1
    };
    Attributes {
        device,
        inode,
        mode,
        links,
        rdev,
        block_size: 4096,
        ..Attributes::default()
    }
}

/// `DT_*` of a mode.
pub const fn directory_type(mode: u32) -> u8 {
    (mode >> 12) as u8
}

/// Linux's `makedev` for small numbers.
pub const fn device_number(major: u64, minor: u64) -> u64 {
    major << 8 | minor & 0xff | (minor & !0xff) << 12
}
