//! Boots the default image on a copy of its disk.

use crate::image::copy_sparse;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the monitor; its status is ours.
pub fn boot(options: &[String]) -> Result<ExitCode> {
    let folder = tempfile::Builder::new()
        .prefix("boot-")
        .tempdir_in("target")
        .context("making a folder in target")?;
    let disk = folder.path().join("disk.img");
    copy_sparse(Path::new("target/image/root.img"), &disk)?;
    let mut vmm = Command::new("target/release/vmm");
    vmm.args(["run", "images/default.toml"]);
    if !options
        .iter()
        .any(|option| option == "--disk" || option.starts_with("--disk="))
    {
        vmm.arg("--disk").arg(&disk);
    }
    let status = vmm
        .args(options)
        .status()
        .context("running target/release/vmm")?;
    Ok(ExitCode::from(status.code().unwrap_or(128) as u8))
}
