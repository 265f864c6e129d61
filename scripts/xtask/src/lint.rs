//! Formatting and lints, for host and guest, without a warning.

use crate::{build, cargo, run};
use anyhow::Result;

/// Fails at the first complaint.
pub fn all() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--quiet", "--all-targets", "--", "-Dwarnings"]))?;
    run(build::guest_cargo("clippy").args(["--", "-Dwarnings"]))
}
