//! Boots the default image on a copy of its disk by Firecracker, where that is to be had.

use crate::run::{disk_copy, finish};
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Names the program if it is not in the PATH.
const VARIABLE: &str = "FIRECRACKER";

/// Runs Firecracker with further `options` of its own; `poweroff` ends it, always with status 0, because
/// the machine can only be reset. Its console is the UART, on this terminal.
pub fn boot(options: &[String]) -> Result<ExitCode> {
    let program = std::env::var_os(VARIABLE).unwrap_or_else(|| "firecracker".into());
    let mut firecracker = Command::new(&program);
    if firecracker.arg("--version").output().is_err() {
        bail!(
            "there is no program `{}`: install Firecracker 1.12 or later, or name it in ${VARIABLE}",
            program.display()
        );
    }
    let (folder, disk) = disk_copy()?;
    let configuration = folder.path().join("firecracker.json");
    fs::write(&configuration, describe(&disk))?;
    let mut firecracker = Command::new(&program);
    firecracker
        .args(["--no-api", "--level", "Error", "--config-file"])
        .arg(&configuration)
        .args(options);
    finish(&mut firecracker, &program.to_string_lossy())
}

/// Firecracker's configuration: one CPU, 256 MiB, all modules as one initrd, one disk.
fn describe(disk: &Path) -> String {
    format!(
        r#"{{
  "boot-source": {{
    "kernel_image_path": "target/image/kernel",
    "initrd_path": "target/image/modules.cpio",
    "boot_args": "quiet"
  }},
  "drives": [ {{
    "drive_id": "root",
    "path_on_host": {:?},
    "is_root_device": false,
    "is_read_only": false
  }} ],
  "machine-config": {{ "vcpu_count": 1, "mem_size_mib": 256 }}
}}
"#,
        disk.display().to_string()
    )
}
