//! A private copy of the root file system, and the host's own view of what the guest wrote.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::host;

/// A copy of `target/image/root.img`; removed when dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    path: PathBuf,
    access: Access,
}

/// What the guest may do with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

impl Disk {
    /// Copies the pristine image; holes stay holes.
    pub fn copy() -> Result<Self> {
        let image = host::built("image/root.img")?;
        let folder = folder()?;
        let path = folder.path().join("disk.img");
        let mut cp = host::tool("cp");
        cp.args(["--sparse=always", "--reflink=auto"])
            .arg(image)
            .arg(&path);
        host::output(&mut cp)?;
        Ok(Self {
            folder,
            path,
            access: Access::ReadWrite,
        })
    }

    /// The same disk, which the guest may only read.
    pub fn read_only(self) -> Self {
        Self {
            access: Access::ReadOnly,
            ..self
        }
    }

    /// The image file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `--disk` takes.
    pub fn argument(&self) -> String {
        match self.access {
            Access::ReadWrite => self.path.display().to_string(),
            Access::ReadOnly => format!("{},ro", self.path.display()),
        }
    }

    /// Puts a program or another file of the host into a directory of the guest, which is made if need be.
    pub fn add(&self, files: &[PathBuf], directory: &str) -> Result<()> {
        let script = self.folder.path().join("debugfs");
        let mut lines = format!("mkdir {directory}\ncd {directory}\n");
        for file in files {
            let name = file.file_name().unwrap_or_default().display();
            let _ = writeln!(lines, "write {} {name}", file.display());
            let _ = writeln!(lines, "set_inode_field {name} mode 0100755");
        }
        std::fs::write(&script, lines)?;
        let mut debugfs = host::tool("debugfs");
        debugfs.arg("-w").arg("-f").arg(&script).arg(&self.path);
        // It exits with 0 whatever happens: all that it says but its name is trouble.
        let messages = host::output(&mut debugfs)?.1;
        if messages.lines().count() > 1 {
            bail!("debugfs cannot write into {directory}: {messages}");
        }
        Ok(())
    }

    /// A file of the guest, read by `debugfs` on the host.
    pub fn dump(&self, file: &str) -> Result<Vec<u8>> {
        let copy = self.folder.path().join("dumped");
        let mut debugfs = host::tool("debugfs");
        debugfs
            .args(["-R", &format!("dump {file} {}", copy.display())])
            .arg(&self.path);
        // It exits with 0 whatever happens: its messages tell.
        let messages = host::output(&mut debugfs)?.1;
        let bytes = std::fs::read(&copy)
            .with_context(|| format!("debugfs cannot dump {file}: {messages}"))?;
        std::fs::remove_file(copy)?;
        Ok(bytes)
    }

    /// Whether `e2fsck -fn` has nothing to say; else what it says.
    pub fn check(&self) -> Result<()> {
        let output = host::tool("e2fsck")
            .arg("-fn")
            .arg(&self.path)
            .output()
            .context("e2fsck (package e2fsprogs)")?;
        if !output.status.success() {
            let found = String::from_utf8_lossy(&output.stdout).into_owned();
            bail!("e2fsck -fn: {}\n{found}", output.status);
        }
        Ok(())
    }
}

/// A folder for a test's files, inside the target folder; removed when dropped.
pub fn folder() -> Result<TempDir> {
    let target = host::root().join("target");
    tempfile::Builder::new()
        .prefix("test-")
        .tempdir_in(&target)
        .with_context(|| format!("cannot make a folder in {}", target.display()))
}
