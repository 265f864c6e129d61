//! Runs the fuzzers of `vmm/fuzz` (libFuzzer, with a nightly compiler and its address sanitizer), each from the seeds
//! that `vmm/hostile` writes. What they find stays in `target/fuzz/found`, what they learn in `target/fuzz/corpus`.

use anyhow::{Context, Result, bail};
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use crate::{cargo, run as succeed};

/// The fuzzers, in the order in which they run.
pub const TARGETS: [&str; 6] = ["blk", "mmio", "console", "manifest", "kernel", "gdb"];
const PLACE: &str = "vmm/fuzz";
const BUILT: &str = "target/fuzz/build";
const SEEDS: &str = "target/fuzz/seeds";
const CORPUS: &str = "target/fuzz/corpus";
const FOUND: &str = "target/fuzz/found";
/// Bytes of an input: a whole session of a driver or a debugger.
const LONGEST: u32 = 4096;
/// Seconds after which one input hangs.
const PATIENCE: u32 = 25;
const DEFAULT_SECONDS: u32 = 60;

/// `fuzz [--seconds N] [TARGET…]`.
pub fn main(arguments: &[String]) -> Result<ExitCode> {
    let (mut seconds, mut targets) = (DEFAULT_SECONDS, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let number = words.next().context("--seconds wants a number")?;
                seconds = number
                    .parse()
                    .with_context(|| format!("`{number}` is no number"))?;
            }
            name => match TARGETS.iter().find(|target| **target == name) {
                Some(target) => targets.push(*target),
                None => bail!("no fuzzer `{name}`: expected {}", TARGETS.join(", ")),
            },
        }
    }
    if let Some(missing) = lacking() {
        bail!("{missing}");
    }
    if targets.is_empty() {
        targets = TARGETS.into();
    }
    targets
        .into_iter()
        .try_for_each(|target| run(target, seconds))?;
    Ok(ExitCode::SUCCESS)
}

/// Why no fuzzer can run; none if they can.
pub fn lacking() -> Option<String> {
    let output = nightly().args(["fuzz", "--version"]).output();
    let found = output.is_ok_and(|output| output.status.success());
    (!found).then(|| {
        "cargo-fuzz, or a nightly compiler, is not installed: run scripts/setup --long".into()
    })
}

/// Runs one fuzzer for so long, from its seeds on.
pub fn run(target: &str, seconds: u32) -> Result<()> {
    succeed(cargo().args([
        "run",
        "--quiet",
        "-p",
        "vmm-hostile",
        "--bin",
        "fuzz-seeds",
        "--",
        SEEDS,
    ]))?;
    let corpus = format!("{CORPUS}/{target}");
    let found = format!("{FOUND}/{target}/");
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder)?;
    }
    println!("fuzzer {target}: {seconds} s");
    let mut command = nightly();
    command.args([
        "fuzz",
        "run",
        "--fuzz-dir",
        PLACE,
        "--target-dir",
        BUILT,
        target,
    ]);
    command.args([corpus, format!("{SEEDS}/{target}")]);
    command.args(["--", &format!("-artifact_prefix={found}")]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-max_len={LONGEST}"));
    command.arg(format!("-timeout={PATIENCE}"));
    command.args(["-print_final_stats=1", "-verbosity=0"]);
    succeed(command.stdin(Stdio::null()))
}

/// Cargo of the nightly toolchain, not of this process.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command.arg("+nightly");
    command
}
