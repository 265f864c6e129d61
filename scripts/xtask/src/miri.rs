//! The memory manager's tests under Miri, which finds undefined behaviour: a short run.

use anyhow::{Result, bail};
use std::process::{Command, ExitCode};

use crate::run;

/// "RAM" is one allocation that is never freed, in which pointers are made from addresses: the aliasing model knows
/// nothing of them and would take most of the time. Tests read the clock and the environment.
const FLAGS: &str = "-Zmiri-permissive-provenance -Zmiri-disable-stacked-borrows -Zmiri-ignore-leaks \
                     -Zmiri-disable-isolation";

/// Runs the tests with a text in their name.
pub fn main(filter: &[String]) -> Result<ExitCode> {
    let found = Command::new("cargo")
        .args(["+nightly", "miri", "--version"])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        bail!("Miri is not there: `rustup toolchain install nightly --component miri,rust-src`");
    }
    let filter = filter.first().map_or("mm::", String::as_str);
    let mut command = Command::new("cargo");
    // The toolchain of this process is not Miri's.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command.env("MIRIFLAGS", FLAGS).env("PROPTEST_CASES", "2");
    command.args(["+nightly", "miri", "test", "--quiet", "-p", "ferrix-kernel"]);
    run(command.args(["--lib", "--", filter]))?;
    Ok(ExitCode::SUCCESS)
}
