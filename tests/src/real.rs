//! Programs of others, which `scripts/real-programs` builds.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::host;

/// Why the programs of a kind cannot be built here.
pub(crate) fn lacking(kind: &str) -> Option<String> {
    build(kind).err().map(|error| format!("{error:#}"))
}

/// Programs of a kind by name, built if need be.
pub fn programs(kind: &str, names: &[&str]) -> Result<Vec<PathBuf>> {
    build(kind)?;
    let folder = host::root().join("target/real-programs");
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

fn build(kind: &str) -> Result<()> {
    // One at a time: they write to one folder.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock();
    let output = Command::new(host::root().join("scripts/real-programs"))
        .arg(kind)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.trim().trim_start_matches("real-programs: missing ");
    ensure!(output.status.success(), "{reason}");
    Ok(())
}
