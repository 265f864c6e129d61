//! The library's types as the protocol's.

use ferrix_ext2::{DeviceNumber, Error, NewNode, SetAttr, Stat, StatFs, Timestamp};
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo};
use ferrix_proto::filesystem;
use ferrix_rt::clock;
use ferrix_rt::service::Errno;
use linux_raw_sys::errno as linux;

const NS: i64 = 1_000_000_000;
/// `EXT2_SUPER_MAGIC`.
const MAGIC: u64 = 0xef53;

/// The time of an operation.
pub fn now() -> Timestamp {
    Timestamp(clock::realtime_seconds() as i64)
}

/// The errno of a library error.
pub fn errno(error: Error) -> Errno {
    let number = match error {
        Error::NotFound => linux::ENOENT,
        Error::Exists => linux::EEXIST,
        Error::NotDirectory => linux::ENOTDIR,
        Error::IsDirectory => linux::EISDIR,
        Error::NotEmpty => linux::ENOTEMPTY,
        Error::NoSpace => linux::ENOSPC,
        Error::NameTooLong => linux::ENAMETOOLONG,
        Error::TooManyLinks => linux::EMLINK,
        Error::ReadOnly => linux::EROFS,
        Error::FileTooLarge => linux::EFBIG,
        Error::Invalid | Error::NotExt2 | Error::Unsupported { .. } => linux::EINVAL,
        Error::Stale => linux::ESTALE,
        Error::Io => linux::EIO,
        Error::Corrupt { .. } => linux::EUCLEAN,
    };
    number as Errno
}

/// Attributes on mount number `mount`.
pub fn attributes(mount: usize, stat: &Stat) -> Attributes {
    Attributes {
        device: 254 << 8 | (mount as u64) << 4,
        inode: stat.ino.0.into(),
        mode: stat.mode.into(),
        links: stat.nlink.into(),
        uid: stat.uid,
        gid: stat.gid,
        rdev: device_to_linux(stat.rdev),
        size: stat.size,
        blocks: stat.blocks,
        block_size: stat.block_size,
        reserved: 0,
        accessed: stat.atime.0 * NS,
        modified: stat.mtime.0 * NS,
        changed: stat.ctime.0 * NS,
        padding: [0; 5],
    }
}

/// Linux's `makedev`.
fn device_to_linux(device: DeviceNumber) -> u64 {
    let (major, minor) = (u64::from(device.major), u64::from(device.minor));
    (major & 0xfff) << 8 | minor & 0xff | (minor & !0xff) << 12
}

/// Linux's `major` and `minor`.
pub fn device_from_linux(rdev: u32) -> DeviceNumber {
    DeviceNumber {
        major: rdev >> 8 & 0xfff,
        minor: rdev & 0xff | rdev >> 12 & 0xf_ff00,
    }
}

/// What a change sets.
pub fn set_attr(change: Change, to: &Attributes) -> SetAttr {
    let now = now();
    let seconds = |ns: i64| Timestamp(ns.div_euclid(NS));
    let time = |given: Change, at: i64, current: Change| {
        let explicit = change.contains(given).then(|| seconds(at));
        explicit.or(change.contains(current).then_some(now))
    };
    SetAttr {
        permissions: change
            .contains(Change::MODE)
            .then_some((to.mode & 0o7777) as u16),
        uid: change.contains(Change::UID).then_some(to.uid),
        gid: change.contains(Change::GID).then_some(to.gid),
        size: change.contains(Change::SIZE).then_some(to.size),
        atime: time(Change::ACCESSED, to.accessed, Change::ACCESSED_NOW),
        mtime: time(Change::MODIFIED, to.modified, Change::MODIFIED_NOW),
    }
}

/// What a new inode starts with.
pub fn new_node(node: &filesystem::NewNode) -> NewNode {
    NewNode {
        permissions: (node.mode & 0o7777) as u16,
        uid: node.uid,
        gid: node.gid,
        now: now(),
    }
}

/// Sizes for `statfs`.
pub fn info(stat: &StatFs) -> FilesystemInfo {
    FilesystemInfo {
        magic: MAGIC,
        block_size: stat.block_size.into(),
        blocks: stat.blocks,
        blocks_free: stat.blocks_free,
        blocks_available: stat.blocks_available,
        files: stat.files,
        files_free: stat.files_free,
        id: stat.fsid,
        name_max: stat.name_max.into(),
        flags: 0,
        reserved: 0,
    }
}
