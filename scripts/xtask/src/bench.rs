//! Counts kernel instructions: of each operation of `guest-servers/bench`, and of a boot to the prompt.
//!
//! The counts come from KVM's `insn_emulation`, so this needs a `/dev/kvm` that emulates the kernel
//! (docs/kvm.md, machine B); elsewhere it says so.

use crate::image::copy_sparse;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// The operations of `guest-servers/bench/src/operations.rs`, in its order: what one round does, and how many
/// there are; 0: as many as there were interrupts.
const OPERATIONS: &[(&str, u64)] = &[
    ("null system call", 1000),
    ("yield, nobody else ready", 1000),
    ("fork + exit + wait, a process of a few pages", 1000),
    ("fork + exit + wait, 4 MiB touched", 8),
    ("fork + exit + wait, 16 MiB touched", 8),
    ("fork + exit + wait, 64 MiB touched", 8),
    ("the same, and the child writes one page", 8),
    ("SHORT call + reply, two processes", 1000),
    ("SHORT call + reply, one process", 1000),
    ("LONG call of 256 bytes + SHORT reply, two processes", 1000),
    ("map + unmap of one page", 1000),
    ("map + touch + unmap of one page", 1000),
    ("anonymous page fault", 1000),
    ("copy-on-write fault, the copy included", 1000),
    ("write fault after fork, the child is gone", 1000),
    ("call with 1 shared page + SHORT reply, two processes", 100),
    (
        "call with 64 shared pages + SHORT reply, two processes",
        100,
    ),
    (
        "readiness: one signals, waits, and takes its signal back; the other one runs",
        2000,
    ),
    ("futex: one wakes, waits, and the other one runs", 2000),
    ("yield to another thread of the process", 2000),
    ("yield to another process", 2000),
    ("timer interrupt at the end of a slice, no switch", 0),
];
const FIRST_MILESTONE: usize = 16;
/// The last milestone is this and the number of interrupts in the last operation.
const INTERRUPTS: u64 = 128;

/// Prints a Markdown table.
pub fn all() -> Result<()> {
    let stats = run(&["images/bench.toml", "--timeout", "300"])?;
    println!("| operation | kernel instructions |\n|---|---|");
    for (index, (name, rounds)) in OPERATIONS.iter().enumerate() {
        let begin = instructions_at(&stats, &number_name(FIRST_MILESTONE + 2 * index))?;
        let end = instructions_at(&stats, &number_name(FIRST_MILESTONE + 2 * index + 1))?;
        let rounds = match rounds {
            0 => interrupts(&stats)?,
            _ => *rounds,
        };
        println!("| {name} | {:.1} |", (end - begin) as f64 / rounds as f64);
    }
    boot()
}

/// Interrupts in the last operation.
fn interrupts(stats: &Value) -> Result<u64> {
    let names = stats["milestones"].as_array().into_iter().flatten();
    let last = names.filter_map(|milestone| milestone["name"].as_str()?.parse::<u64>().ok());
    let count = last.max().and_then(|number| number.checked_sub(INTERRUPTS));
    count
        .filter(|count| *count != 0)
        .context("the guest did not count its interrupts")
}

/// A boot of the default image to the moment when the shell reads the terminal.
fn boot() -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in("target")?;
    let disk = folder.path().join("disk.img");
    copy_sparse(Path::new("target/image/root.img"), &disk)?;
    let disk = disk
        .to_str()
        .context("the path of the project is not UTF-8")?;
    let options = ["--disk", disk, "--command", "read line", "--timeout", "20"];
    let stats = run(&[&["images/default.toml"], &options[..]].concat())?;
    println!(
        "| boot to the first read of the terminal | {} |",
        instructions_at(&stats, "prompt")?
    );
    Ok(())
}

fn number_name(number: usize) -> String {
    number.to_string()
}

fn run(arguments: &[&str]) -> Result<Value> {
    let mut vmm = Command::new("target/release/vmm");
    vmm.arg("run")
        .args(arguments)
        .args(["--stats"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = vmm
        .stderr(Stdio::piped())
        .output()
        .context("running target/release/vmm")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let json = text.lines().rev().find(|line| line.starts_with('{'));
    let json = json.with_context(|| format!("no statistics came: {text}"))?;
    Ok(serde_json::from_str(json)?)
}

fn instructions_at(stats: &Value, name: &str) -> Result<u64> {
    let milestones = stats["milestones"]
        .as_array()
        .context("no milestones in the statistics")?;
    let found = milestones
        .iter()
        .find(|milestone| milestone["name"] == name);
    let milestone = found.with_context(|| format!("the guest did not reach {name}"))?;
    match milestone["insn_emulation"].as_u64() {
        Some(count) => Ok(count),
        None => bail!("this /dev/kvm does not count emulated instructions: see docs/kvm.md"),
    }
}
