//! Disk files: opened, checked and locked before the machine exists. Opening never writes.

#[expect(
    unsafe_code,
    reason = "vectored I/O straight between a file and guest RAM"
)]
mod io;
mod overlay;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use crate::config::{DiskConfig, DiskMode, FileSystem};
use overlay::Overlay;

/// Bytes of a sector; virtio-blk counts in these whatever the block size.
pub const SECTOR: u64 = 512;

/// Why a disk cannot be attached.
#[derive(Debug, thiserror::Error)]
#[error("cannot attach disk {}: {defect}", path.display())]
pub struct DiskError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it and what to do.
    pub defect: DiskDefect,
}

/// What is wrong with a disk file.
#[derive(Debug, thiserror::Error)]
pub enum DiskDefect {
    /// No such file.
    #[error("it does not exist; correct the path, or build the image first (scripts/build)")]
    Missing,
    /// May not be written.
    #[error("it is not writable; attach it as FILE,ro or change its permissions")]
    NotWritable,
    /// May not be read.
    #[error("permission denied; change its permissions")]
    NotReadable,
    /// A directory, socket or the like.
    #[error("it is no regular file or block device; name a raw disk image")]
    NotADisk,
    /// No bytes.
    #[error("it is empty; create it with a size, for example truncate -s 64M FILE")]
    Empty,
    /// Not whole sectors.
    #[error("its size of {0} bytes is no multiple of 512; it is no raw disk image, or was cut off")]
    OddSize(u64),
    /// Not what the image needs as its root.
    #[error(
        "it holds no ext2 file system (no magic number 0xEF53 in its superblock), which this image needs on its \
         first disk; make one with mke2fs -t ext2, or give the image's own disk"
    )]
    NotExt2,
    /// Somebody else has it.
    #[error(
        "another process writes to it or has it open for reading, or it is another disk of this machine too; end that \
         one, or attach it as FILE,ro or FILE,snapshot in both"
    )]
    Locked,
    /// There is no place for a snapshot's writes.
    #[error(
        "cannot make the file that holds its snapshot's writes: {0}; set TMPDIR to a folder with room"
    )]
    Overlay(std::io::Error),
    /// Anything else.
    #[error("{0}; see whether its file system is mounted and healthy")]
    Io(#[from] std::io::Error),
}

/// An open disk, locked for as long as this lives: exclusive if the guest writes to it, else shared.
#[derive(Debug)]
pub struct Disk {
    /// The name the user gave.
    pub path: PathBuf,
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
    /// What may be done with it.
    pub mode: DiskMode,
    file: File,
    /// A snapshot's writes.
    overlay: Option<Overlay>,
}

impl Disk {
    /// Opens, checks and locks.
    pub fn open(config: &DiskConfig) -> Result<Self, DiskError> {
        let fail = |defect| DiskError {
            path: config.path.clone(),
            defect,
        };
        let (file, size) = open_file(config).map_err(fail)?;
        let overlay = (config.mode == DiskMode::Snapshot).then(|| Overlay::new(size));
        let overlay = overlay.transpose().map_err(DiskDefect::Overlay);
        let overlay = overlay.map_err(fail)?;
        Ok(Self {
            path: config.path.clone(),
            sectors: size / SECTOR,
            mode: config.mode,
            file,
            overlay,
        })
    }
}

fn open_file(config: &DiskConfig) -> Result<(File, u64), DiskDefect> {
    let writes = config.mode == DiskMode::ReadWrite;
    let opened = OpenOptions::new()
        .read(true)
        .write(writes)
        .open(&config.path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => DiskDefect::Missing,
        ErrorKind::IsADirectory => DiskDefect::NotADisk,
        ErrorKind::PermissionDenied if !writes => DiskDefect::NotReadable,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => DiskDefect::NotWritable,
        _ => DiskDefect::Io(error),
    })?;
    let size = size(&mut file)?;
    if config.holds == Some(FileSystem::Ext2) && !holds_ext2(&file)? {
        return Err(DiskDefect::NotExt2);
    }
    let lock = match writes {
        true => FlockOperation::NonBlockingLockExclusive,
        false => FlockOperation::NonBlockingLockShared,
    };
    match flock(&file, lock) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DiskDefect::Locked),
        // A file system without locks is no reason not to run.
        _ => Ok((file, size)),
    }
}

/// Whether there is an ext2 superblock: `s_magic`, 16 bits at byte 56 of the superblock at byte 1024.
fn holds_ext2(file: &File) -> Result<bool, DiskDefect> {
    use std::os::unix::fs::FileExt;
    let mut magic = [0; 2];
    match file.read_exact_at(&mut magic, 1024 + 56) {
        Ok(()) => Ok(u16::from_le_bytes(magic) == 0xef53),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn size(file: &mut File) -> Result<u64, DiskDefect> {
    use std::os::unix::fs::FileTypeExt;
    let metadata = file.metadata()?;
    let size = match metadata.file_type() {
        kind if kind.is_file() => metadata.len(),
        kind if kind.is_block_device() => file.seek(SeekFrom::End(0))?,
        _ => return Err(DiskDefect::NotADisk),
    };
    match size {
        0 => Err(DiskDefect::Empty),
        size if size % SECTOR != 0 => Err(DiskDefect::OddSize(size)),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests;
