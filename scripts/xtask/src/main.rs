//! The real logic behind `scripts/`: building, making the image, booting, testing.
//!
//! | command | what |
//! |---|---|
//! | `build` | monitor, kernel, servers, programs, image |
//! | `boot [vmm options]` | runs the monitor on a copy of the disk |
//! | `boot-qemu [--machine NAME] [QEMU options]` | the same in QEMU, without KVM |
//! | `boot-firecracker [Firecracker's options]` | the same by Firecracker |
//! | `hardware-kvm COMMAND…` | runs a command in a machine with a hardware `/dev/kvm` |
//! | `test [--quick] [--machine NAME] [filter]` | all tests, on every machine; a table and a closing line |
//! | `bench` | kernel instructions per operation |
//! | `sections [--qemu] [options]` | how long the kernel holds its locks, in its own tests |
//! | `compare-boot` | seconds to the prompt, beside Linux on the same machine |
//! | `miri [filter]` | the memory manager's tests under Miri |
//! | `fuzz [--seconds N] [TARGET…]` | the fuzzers of `vmm/fuzz`, one after the other |
//! | `coverage` | line coverage of the monitor |
//! | `size` | lines of code of the monitor, which are bounded |
//! | `lint` | formatting, clippy for host and guest, names in the documentation, the monitor's size |

mod archive;
mod bench;
mod build;
mod compare_boot;
mod coverage;
mod docs;
mod firecracker;
mod fuzz;
mod hardware_kvm;
mod image;
mod lint;
mod miri;
mod run;
mod sections;
mod size;
mod test;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    std::env::set_current_dir(root())?;
    match command.as_str() {
        "build" => build::all().map(|()| ExitCode::SUCCESS),
        "boot" => run::boot(&rest),
        "boot-qemu" => run::boot_qemu(&rest),
        "boot-firecracker" => firecracker::boot(&rest),
        "hardware-kvm" => Ok(hardware_kvm::main(&rest)),
        "test" => test::all(&rest),
        "bench" => bench::all().map(|()| ExitCode::SUCCESS),
        "sections" => sections::main(&rest).map(|()| ExitCode::SUCCESS),
        "compare-boot" => compare_boot::main(&rest).map(|()| ExitCode::SUCCESS),
        "miri" => miri::main(&rest),
        "fuzz" => fuzz::main(&rest),
        "coverage" => coverage::main().map(|()| ExitCode::SUCCESS),
        "size" => size::print().map(|()| ExitCode::SUCCESS),
        "lint" => lint::all().map(|()| ExitCode::SUCCESS),
        other => {
            bail!(
                "unknown command `{other}`: expected build, boot, boot-qemu, boot-firecracker, hardware-kvm, test, bench, sections, compare-boot, miri, fuzz, coverage, size or lint"
            )
        }
    }
}

/// The project's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a command; an error names it.
fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// A command that may be in `/sbin`, which a user's PATH does not always have.
fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/sbin:/usr/sbin"));
    command
}

/// This cargo.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
