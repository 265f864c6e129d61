//! Runs the kernel's own tests on a kernel that measures how long its locks are held, which it reports at the end.

use anyhow::{Context, Result, bail};
use std::process::Command;

use crate::run;

/// Where that kernel is built: beside the ordinary one, which it does not replace.
const TARGET: &str = "target/sections";

/// Builds and runs. With `--qemu` in QEMU without KVM, else by the monitor; further options go there.
pub fn main(options: &[String]) -> Result<()> {
    build()?;
    let kernel = format!("{TARGET}/x86_64-unknown-none/release/ferrix-kernel");
    let (tests, append) = ("target/image/ktest", "--append");
    let mut command = match options.split_first() {
        Some((first, rest)) if first == "--qemu" => {
            let mut qemu = Command::new("qemu-system-x86_64");
            qemu.args(["-M", "microvm,rtc=on,x-option-roms=off", "-accel", "tcg"])
                // Its clock is the number of instructions: how busy the host is does not matter.
                .args(["-icount", "shift=0,sleep=off"])
                .args(["-cpu", "max", "-m", "256", "-display", "none"])
                .args(["-serial", "stdio", "-no-reboot", "-nodefaults"])
                .args(["-kernel", &kernel, "-initrd", tests])
                .args(rest);
            qemu
        }
        _ => {
            let mut vmm = Command::new("target/release/vmm");
            vmm.args(["run", "--kernel", &kernel, "--initrd", tests])
                .args([append, "ktest"])
                .args(options);
            vmm
        }
    };
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}: build first (scripts/build)"))?;
    // QEMU's status for a power-off that it does not know is 0, too.
    if !status.success() {
        bail!("{command:?} ended with {status}: see the lines with FAILED");
    }
    Ok(())
}

fn build() -> Result<()> {
    run(Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "ferrix-kernel",
        ])
        .args(["--target", "x86_64-unknown-none", "--features", "sections"])
        .args(["--bin", "ferrix-kernel", "--target-dir", TARGET]))
}
