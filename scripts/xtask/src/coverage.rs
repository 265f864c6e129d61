//! Line coverage of the monitor by its own tests and those of `vmm/hostile`; the guest trials, which cover more, are
//! not counted. By the compiler's instrumentation and the toolchain's `llvm-tools`.
//!
//! Counters live in mapped files (`%c`): a confined monitor can open none when it ends.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{cargo, run};

const BUILT: &str = "target/coverage";
const COUNTS: &str = "target/coverage/counts";
const MERGED: &str = "target/coverage/merged.profdata";
const FLAGS: &str = "-Cinstrument-coverage -Cllvm-args=-runtime-counter-relocation";
/// Sources that are not the monitor.
const OTHERS: &str = "registry|rustc|toolchains|/tests|testing|vmm/hostile";
const TESTS: [&str; 5] = ["test", "-p", "vmm", "-p", "vmm-hostile"];

/// Prints the table of files; its last line is the sum.
pub fn main() -> Result<()> {
    let tools = tools()?;
    if Path::new(COUNTS).exists() {
        fs::remove_dir_all(COUNTS)?;
    }
    fs::create_dir_all(COUNTS)?;
    let counts = fs::canonicalize(COUNTS)?;
    let instrumented = || {
        let mut cargo = cargo();
        cargo.args(TESTS).env("CARGO_TARGET_DIR", BUILT);
        cargo.env("RUSTFLAGS", FLAGS);
        cargo.env("LLVM_PROFILE_FILE", counts.join("%p-%m%c.profraw"));
        cargo
    };
    run(&mut instrumented())?;
    let programs = programs(&mut instrumented())?;
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge.args(["merge", "-sparse", "-o", MERGED]);
    for entry in fs::read_dir(COUNTS)? {
        merge.arg(entry?.path());
    }
    run(&mut merge)?;
    let mut report = Command::new(tools.join("llvm-cov"));
    report.args(["report", "--show-region-summary=false"]);
    report.arg("--show-branch-summary=false");
    report.arg(format!("--instr-profile={MERGED}"));
    report.arg(format!("--ignore-filename-regex={OTHERS}"));
    report.arg(format!("{BUILT}/debug/vmm"));
    for program in programs {
        report.arg("--object").arg(program);
    }
    run(&mut report)
}

/// The test programs, as cargo names them: `Executable unittests src/lib.rs (PATH)`.
fn programs(cargo: &mut Command) -> Result<Vec<PathBuf>> {
    let output = cargo.arg("--no-run").stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let paths = said.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("Executable ")?;
        Some(line.rsplit_once('(')?.1.strip_suffix(')')?.into())
    });
    let paths: Vec<PathBuf> = paths.collect();
    ensure!(!paths.is_empty(), "cargo names no test programs: {said}");
    Ok(paths)
}

/// The folder of `llvm-cov` in this toolchain.
fn tools() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()?;
    let library = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let tools = library
        .parent()
        .context("the toolchain's folder")?
        .join("bin");
    if !tools.join("llvm-cov").exists() {
        bail!(
            "no llvm-cov in {}: `rustup component add llvm-tools`",
            tools.display()
        );
    }
    Ok(tools)
}
