//! What the tests share: a disk in memory, images by `mke2fs`, checks by `e2fsck`, `debugfs`.
#![expect(dead_code, reason = "each test binary uses its part")]

pub mod compare;
pub mod model;
pub mod rng;
pub mod session;

use std::path::{Path, PathBuf};
use std::process::Command;

use ferrix_ext2::{
    Access, BlockDevice, DeviceError, Emit, Ext2, FileType, Ino, MountOptions, NewNode, Result,
    Timestamp,
};

/// The time of all operations unless a test says otherwise.
pub const NOW: Timestamp = Timestamp(1_700_000_000);

/// A new file's attributes where they do not matter.
pub const NEW: NewNode = NewNode {
    permissions: 0o644,
    uid: 1000,
    gid: 100,
    now: NOW,
};

/// A disk in memory.
#[derive(Clone)]
pub struct Disk {
    pub bytes: Vec<u8>,
    pub read_only: bool,
    /// Requests still answered; after them all fail.
    pub budget: u64,
    pub reads: u64,
    pub writes: u64,
    /// Write requests until the power goes; then everything fails.
    pub power: u64,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        Disk {
            bytes,
            read_only: false,
            budget: u64::MAX,
            reads: 0,
            writes: 0,
            power: u64::MAX,
        }
    }

    fn spend(&mut self) -> std::result::Result<(), DeviceError> {
        self.budget = self.budget.checked_sub(1).ok_or(DeviceError)?;
        Ok(())
    }
}

impl BlockDevice for Disk {
    fn sector_count(&self) -> u64 {
        (self.bytes.len() / 512) as u64
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, sector: u64, buf: &mut [u8]) -> std::result::Result<(), DeviceError> {
        self.spend()?;
        self.reads += 1;
        let at = sector as usize * 512;
        assert!(
            at + buf.len() <= self.bytes.len(),
            "read behind the end of the device"
        );
        buf.copy_from_slice(&self.bytes[at..at + buf.len()]);
        Ok(())
    }

    fn write(&mut self, sector: u64, buf: &[u8]) -> std::result::Result<(), DeviceError> {
        assert!(!self.read_only, "write to a read-only device");
        self.spend()?;
        self.writes += 1;
        if self.writes >= self.power {
            self.budget = 0;
        }
        let at = sector as usize * 512;
        assert!(
            at + buf.len() <= self.bytes.len(),
            "write behind the end of the device"
        );
        self.bytes[at..at + buf.len()].copy_from_slice(buf);
        Ok(())
    }

    fn flush(&mut self) -> std::result::Result<(), DeviceError> {
        self.spend()
    }
}

/// Finds a tool of e2fsprogs; says loudly that tests are skipped without it.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/sbin", "/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not installed; install e2fsprogs to run this test");
    }
    found
}

/// An image of `kib` KiB made by `mke2fs` with these options.
pub fn mke2fs(options: &str, kib: u64) -> Option<Vec<u8>> {
    let tool = tool("mke2fs")?;
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let output = Command::new(tool)
        .args([
            "-q",
            "-F",
            "-t",
            "ext2",
            "-E",
            "hash_seed=01234567-89ab-cdef-0123-456789abcdef",
        ])
        .args(options.split_whitespace())
        .arg(&image)
        .arg(format!("{kib}k"))
        .output()
        .unwrap();
    assert!(output.status.success(), "mke2fs {options}: {output:?}");
    Some(std::fs::read(&image).unwrap())
}

/// Fails unless `e2fsck -fn` finds nothing at all.
pub fn assert_clean(bytes: &[u8], context: &str) {
    let Some(tool) = tool("e2fsck") else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = write_image(dir.path(), bytes);
    let output = Command::new(tool).arg("-fn").arg(&image).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{context}: e2fsck finds\n{text}");
}

/// As [`assert_clean`] for a file system that is synced but still mounted.
pub fn assert_clean_but_mounted(mut bytes: Vec<u8>, context: &str) {
    bytes[1024 + 58] |= 1;
    assert_clean(&bytes, context);
}

/// Runs one `debugfs` command on the image, in a folder that is returned.
pub fn debugfs(bytes: &[u8], command: &str) -> Option<(tempfile::TempDir, String)> {
    let tool = tool("debugfs")?;
    let dir = tempfile::tempdir().unwrap();
    let image = write_image(dir.path(), bytes);
    let output = Command::new(tool)
        .current_dir(dir.path())
        .args(["-w", "-R", command])
        .arg(&image)
        .output()
        .unwrap();
    Some((dir, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn write_image(dir: &Path, bytes: &[u8]) -> PathBuf {
    let image = dir.join("image");
    std::fs::write(&image, bytes).unwrap();
    image
}

pub fn mount_with(disk: Disk, cache_blocks: usize) -> Result<Ext2<Disk>> {
    Ext2::mount(
        disk,
        MountOptions {
            access: Access::ReadWrite,
            cache_blocks,
            now: NOW,
        },
    )
}

pub fn mount(bytes: Vec<u8>) -> Ext2<Disk> {
    mount_with(Disk::new(bytes), 512).unwrap()
}

/// Unmounts, checks the image and gives it back.
pub fn unmount(mut fs: Ext2<Disk>, context: &str) -> Vec<u8> {
    fs.unmount(NOW).unwrap();
    let bytes = fs.into_device().bytes;
    assert_clean(&bytes, context);
    bytes
}

/// The entries of a directory without `.` and `..`.
pub fn list(fs: &mut Ext2<Disk>, dir: Ino) -> Vec<(Vec<u8>, Ino, Option<FileType>)> {
    let mut entries = Vec::new();
    fs.readdir(dir, 0, |entry| {
        if !matches!(entry.name, b"." | b"..") {
            entries.push((entry.name.to_vec(), entry.ino, entry.file_type));
        }
        Emit::Taken
    })
    .unwrap();
    entries
}

/// A file's whole content.
pub fn content(fs: &mut Ext2<Disk>, ino: Ino) -> Vec<u8> {
    let size = fs.getattr(ino).unwrap().size as usize;
    let mut bytes = vec![0xaa; size];
    assert_eq!(fs.read(ino, 0, &mut bytes), Ok(size));
    bytes
}

/// Writes all of `data`.
pub fn write_all(fs: &mut Ext2<Disk>, ino: Ino, offset: u64, data: &[u8]) {
    assert_eq!(fs.write(ino, offset, data, NOW), Ok(data.len()));
}
