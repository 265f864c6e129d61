//! Formatting, lints for host and guest, names in the documentation, the monitor's size: without a complaint.

use crate::{build, cargo, docs, run, size};
use anyhow::Result;

/// Fails at the first complaint.
pub fn all() -> Result<()> {
    docs::check()?;
    size::check()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--quiet", "--all-targets", "--", "-Dwarnings"]))?;
    run(build::guest_cargo("clippy").args(["--", "-Dwarnings"]))
}
