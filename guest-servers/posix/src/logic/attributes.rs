//! File attributes in Linux's structures.

use ferrix_proto::attributes::{Attributes, FilesystemInfo};
use linux_raw_sys::general::{stat, statfs, statx, statx_timestamp};

const NS: i64 = 1_000_000_000;

/// Seconds and nanoseconds of a signed nanosecond count.
const fn split(ns: i64) -> (i64, u64) {
    (ns.div_euclid(NS), ns.rem_euclid(NS) as u64)
}

/// `struct stat`.
pub fn to_stat(from: &Attributes) -> stat {
    let (accessed, modified, changed) = (
        split(from.accessed),
        split(from.modified),
        split(from.changed),
    );
    stat {
        st_dev: from.device,
        st_ino: from.inode,
        st_nlink: from.links.into(),
        st_mode: from.mode,
        st_uid: from.uid,
        st_gid: from.gid,
        __pad0: 0,
        st_rdev: from.rdev,
        st_size: from.size as i64,
        st_blksize: from.block_size.into(),
        st_blocks: from.blocks as i64,
        st_atime: accessed.0 as u64,
        st_atime_nsec: accessed.1,
        st_mtime: modified.0 as u64,
        st_mtime_nsec: modified.1,
        st_ctime: changed.0 as u64,
        st_ctime_nsec: changed.1,
        __unused: [0; 3],
    }
}

/// Fills `struct statx` (given zeroed).
pub fn fill_statx(from: &Attributes, into: &mut statx) {
    into.stx_mask = linux_raw_sys::general::STATX_BASIC_STATS;
    into.stx_blksize = from.block_size;
    into.stx_nlink = from.links;
    into.stx_uid = from.uid;
    into.stx_gid = from.gid;
    into.stx_mode = from.mode as u16;
    into.stx_ino = from.inode;
    into.stx_size = from.size;
    into.stx_blocks = from.blocks;
    into.stx_atime = timestamp(from.accessed);
    into.stx_mtime = timestamp(from.modified);
    into.stx_ctime = timestamp(from.changed);
    (into.stx_rdev_major, into.stx_rdev_minor) = device_numbers(from.rdev);
    (into.stx_dev_major, into.stx_dev_minor) = device_numbers(from.device);
}

fn timestamp(ns: i64) -> statx_timestamp {
    let (tv_sec, nanoseconds) = split(ns);
    statx_timestamp {
        tv_sec,
        tv_nsec: nanoseconds as u32,
        __reserved: 0,
    }
}

/// Major and minor number of a `dev_t`.
pub const fn device_numbers(device: u64) -> (u32, u32) {
    let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    (major as u32, minor as u32)
}

/// Fills `struct statfs` (given zeroed).
pub fn fill_statfs(from: &FilesystemInfo, into: &mut statfs) {
    into.f_type = from.magic as i64;
    into.f_bsize = from.block_size as i64;
    into.f_blocks = from.blocks as i64;
    into.f_bfree = from.blocks_free as i64;
    into.f_bavail = from.blocks_available as i64;
    into.f_files = from.files as i64;
    into.f_ffree = from.files_free as i64;
    into.f_fsid.val = [from.id as i32, (from.id >> 32) as i32];
    into.f_namelen = from.name_max as i64;
    into.f_frsize = from.block_size as i64;
    into.f_flags = from.flags as i64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_have_positive_nanoseconds() {
        let from = Attributes {
            accessed: -1,
            modified: 1_500_000_000,
            ..Attributes::default()
        };
        let stat = to_stat(&from);
        assert_eq!(
            (stat.st_atime as i64, stat.st_atime_nsec),
            (-1, 999_999_999)
        );
        assert_eq!((stat.st_mtime, stat.st_mtime_nsec), (1, 500_000_000));
        assert_eq!(size_of_val(&stat), 144);
    }

    #[test]
    fn device_numbers_follow_makedev() {
        assert_eq!(device_numbers(0x0501), (5, 1));
        // makedev(0x12345, 0x6789a)
        let device = 0x345 << 8 | 0x9a | 0x678 << 20 | 0x12 << 44;
        assert_eq!(device_numbers(device), (0x12345, 0x6789a));
    }
}
