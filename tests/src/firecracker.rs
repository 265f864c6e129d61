//! Guests by Firecracker itself, where it is to be had.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::disk::Disk;
use crate::host;

/// Names the program if it is not in the PATH.
pub const VARIABLE: &str = "FIRECRACKER";

/// The program.
pub fn program() -> OsString {
    std::env::var_os(VARIABLE).unwrap_or_else(|| "firecracker".into())
}

/// Firecracker, not yet started, with the default image on `disk`; it puts its configuration into
/// `folder`. The console is the UART, on standard input and output; every end has status 0.
pub fn command(disk: &Disk, cpus: u32, memory: u32, folder: &Path) -> Result<Command> {
    let configuration = folder.join("firecracker.json");
    let text = format!(
        r#"{{
  "boot-source": {{ "kernel_image_path": {:?}, "initrd_path": {:?}, "boot_args": "quiet" }},
  "drives": [ {{
    "drive_id": "root", "path_on_host": {:?}, "is_root_device": false, "is_read_only": false
  }} ],
  "machine-config": {{ "vcpu_count": {cpus}, "mem_size_mib": {memory} }}
}}"#,
        host::built("image/kernel")?,
        host::built("image/modules.cpio")?,
        disk.path(),
    );
    std::fs::write(&configuration, text).context("writing Firecracker's configuration")?;
    let mut command = host::tool("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(program())
        .args(["--no-api", "--level", "Error", "--log-path"])
        .arg(folder.join("firecracker.log"))
        .arg("--config-file")
        .arg(configuration);
    Ok(command)
}
