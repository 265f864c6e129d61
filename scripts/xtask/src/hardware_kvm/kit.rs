//! What every machine boots, in `target/hardware-kvm`: fetched and made once, and again when it changed.

use super::{initramfs, packages};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub const FOLDER: &str = "target/hardware-kvm";

/// The files to boot.
pub struct Kit {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
}

/// Makes ready what is not; one process at a time.
pub fn prepare() -> Result<Kit> {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).with_context(|| FOLDER.to_owned())?;
    let lock = File::create(folder.join("lock")).context("target/hardware-kvm/lock")?;
    flock(&lock, FlockOperation::LockExclusive).context("target/hardware-kvm/lock")?;
    let (unpacked, stamp) = (folder.join("root"), folder.join("fetched"));
    if !stamp.exists() {
        let _ = fs::remove_dir_all(&unpacked); // of a fetch that did not come to its end
        packages::fetch(&unpacked)?;
        fs::write(&stamp, "Remove this file to fetch the kernel again.\n")?;
    }
    let modules = only_entry(&unpacked.join("lib/modules"), "")
        .or_else(|_| only_entry(&unpacked.join("usr/lib/modules"), ""))?;
    let initramfs = folder.join("initramfs.cpio");
    initramfs::update(&modules, &stamp, &initramfs)?;
    Ok(Kit {
        kernel: only_entry(&unpacked.join("boot"), "vmlinuz-")?,
        initramfs,
    })
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!(
        "{} holds no {prefix}…: remove {FOLDER} and try again",
        folder.display()
    )
}
