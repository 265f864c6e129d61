//! `/dev`: the device nodes that exist, with Linux's device numbers (devices.txt).

use super::{Local, attributes, device_number, directory_type};
use crate::dirent::Records;
use crate::errno::{EINVAL, ENOENT, Result};
use crate::filesystem::{Filesystem, Opened};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ferrix_proto::attributes::{Attributes, FilesystemInfo};
use linux_raw_sys::general as linux;

const ROOT: u64 = 1;
const DEVICE: u64 = 5;
/// `TMPFS_MAGIC`, which Linux's devtmpfs reports too.
const MAGIC: u64 = 0x0102_1994;

enum What {
    Opens(Local),
    Link(&'static str),
    /// A directory without names, to mount on.
    Place,
}

struct DeviceNode {
    name: String,
    mode: u32,
    rdev: u64,
    what: What,
}

/// The file system; inode = index + 2.
pub struct Devices {
    nodes: Vec<DeviceNode>,
}

impl Devices {
    /// The usual nodes and one per block device.
    pub fn new(disks: &[String]) -> Devices {
        let character = |name: &str, major, minor, mode, local| DeviceNode {
            name: name.to_string(),
            mode: linux::S_IFCHR | mode,
            rdev: device_number(major, minor),
            what: What::Opens(local),
        };
        let link = |name: &str, text| DeviceNode {
            name: name.to_string(),
            mode: linux::S_IFLNK | 0o777,
            rdev: 0,
            what: What::Link(text),
        };
        let disk = |(index, name): (usize, &String)| DeviceNode {
            name: name.clone(),
            mode: linux::S_IFBLK | 0o660,
            rdev: device_number(254, 16 * index as u64),
            what: What::Opens(Local::Disk(name.clone())),
        };
        let mut nodes = alloc::vec![
            character("null", 1, 3, 0o666, Local::Null),
            character("zero", 1, 5, 0o666, Local::Zero),
            character("full", 1, 7, 0o666, Local::Full),
            character("random", 1, 8, 0o666, Local::Random),
            character("urandom", 1, 9, 0o666, Local::Random),
            character("tty", 5, 0, 0o666, Local::Terminal),
            character("console", 5, 1, 0o600, Local::Terminal),
            link("fd", "/proc/self/fd"),
            link("stdin", "/proc/self/fd/0"),
            link("stdout", "/proc/self/fd/1"),
            link("stderr", "/proc/self/fd/2"),
            DeviceNode {
                name: "shm".to_string(),
                mode: linux::S_IFDIR | 0o1777,
                rdev: 0,
                what: What::Place,
            },
        ];
        nodes.extend(disks.iter().enumerate().map(disk));
        Devices { nodes }
    }

    fn node(&self, inode: u64) -> Result<&DeviceNode> {
        inode
            .checked_sub(2)
            .and_then(|index| self.nodes.get(index as usize))
            .ok_or(ENOENT)
    }
}

impl Filesystem for Devices {
    fn root(&self) -> u64 {
        ROOT
    }

    fn type_name(&self) -> &'static str {
        "devtmpfs"
    }

    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes> {
        if name == b".." {
            return self.attributes(ROOT);
        }
        if directory != ROOT {
            return Err(ENOENT);
        }
        let index = self
            .nodes
            .iter()
            .position(|node| node.name.as_bytes() == name)
            .ok_or(ENOENT)?;
        self.attributes(index as u64 + 2)
    }

    fn attributes(&mut self, inode: u64) -> Result<Attributes> {
        if inode == ROOT {
            return Ok(attributes(DEVICE, ROOT, linux::S_IFDIR | 0o755, 0));
        }
        let node = self.node(inode)?;
        Ok(attributes(DEVICE, inode, node.mode, node.rdev))
    }

    fn open(&mut self, inode: u64, _flags: u32) -> Result<Opened> {
        match &self.node(inode)?.what {
            What::Opens(local) => Ok(Opened::Local(local.clone())),
            What::Link(_) | What::Place => Err(EINVAL),
        }
    }

    fn read_directory(&mut self, inode: u64, cookie: u64, room: usize) -> Result<Vec<u8>> {
        let mut records = Records::new(room);
        let dots = [(inode, "."), (ROOT, "..")];
        let dots = dots.map(|(inode, name)| (inode, directory_type(linux::S_IFDIR), name));
        let shown = if inode == ROOT { self.nodes.len() } else { 0 };
        let nodes = self.nodes[..shown].iter().zip(2..);
        let nodes =
            nodes.map(|(node, inode)| (inode, directory_type(node.mode), node.name.as_str()));
        for (position, (inode, kind, name)) in dots
            .into_iter()
            .chain(nodes)
            .enumerate()
            .skip(cookie as usize)
        {
            if !records.push(inode, position as u64 + 1, kind, name.as_bytes()) {
                break;
            }
        }
        records.into_bytes()
    }

    fn read_link(&mut self, inode: u64) -> Result<Vec<u8>> {
        match self.node(inode)?.what {
            What::Link(text) => Ok(text.as_bytes().to_vec()),
            What::Opens(_) | What::Place => Err(EINVAL),
        }
    }

    fn info(&mut self) -> Result<FilesystemInfo> {
        Ok(FilesystemInfo {
            magic: MAGIC,
            block_size: 4096,
            name_max: 255,
            ..FilesystemInfo::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirent::records;

    #[test]
    fn lists_each_node_once_in_pieces() {
        let mut devices = Devices::new(&["vda".to_string()]);
        let (mut cookie, mut names) = (0, Vec::new());
        loop {
            let bytes = devices.read_directory(ROOT, cookie, 64).unwrap();
            if bytes.is_empty() {
                break;
            }
            for record in records(&bytes) {
                names.push(String::from_utf8_lossy(record.name).into_owned());
                cookie = record.next;
            }
        }
        assert_eq!(names.len(), 15);
        let place = devices.lookup(ROOT, b"shm").unwrap().inode;
        assert_eq!(devices.lookup(place, b"null"), Err(ENOENT));
        let listed = devices.read_directory(place, 0, 4096).unwrap();
        assert_eq!(records(&listed).count(), 2);
        for name in &names[2..] {
            assert!(devices.lookup(ROOT, name.as_bytes()).is_ok(), "{name}");
        }
        let disk = devices.lookup(ROOT, b"vda").unwrap();
        assert_eq!(
            devices.open(disk.inode, 0),
            Ok(Opened::Local(Local::Disk("vda".to_string())))
        );
    }
}
