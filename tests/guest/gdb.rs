//! A real gdb against the running kernel.

use std::process::Command;
use std::time::Duration;

use crate::trial::{everywhere, except, needs};
use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Machine, Options, PROMPT, Wiring};
use libtest_mimic::Trial;

/// The handler of a native system call that init makes more than once, as the line tables name it.
const FUNCTION: &str = "session_create";
/// What gdb says of its frame: the first instructions may be those of what it calls.
const STOPPED: &str = "session_create () at guest-kernel/src/syscall/port.rs";

pub fn trials() -> Vec<Trial> {
    let breaks = everywhere("gdb::break_inspect_step_detach", break_inspect_step_detach);
    let breaks = except(
        breaks,
        Machine::Hardware,
        "QEMU's emulated SVM neither intercepts INT3 nor has hardware breakpoints",
    );
    let steps = everywhere("gdb::inspect_step_detach", inspect_step_detach);
    vec![needs(breaks, &[Need::Gdb]), needs(steps, &[Need::Gdb])]
}

/// At the first sessions that are created.
fn break_inspect_step_detach() -> Result<()> {
    let breakpoint = format!("break {FUNCTION}");
    let more = [
        &breakpoint,
        "continue",
        "backtrace",
        "info registers rip rsp",
        "printf \"ring %d\\n\", $cs & 3",
        "printf \"at %p\\n\", $pc",
        "x/4xb $pc",
        "stepi",
        "printf \"then %p\\n\", $pc",
        "continue",
        "delete",
    ];
    session(&more, |text| {
        let stops = text
            .lines()
            .filter(|line| line.starts_with("Breakpoint 1, "));
        let stops = stops.count();
        ensure!(stops == 2, "{stops} stops at {FUNCTION} instead of 2");
        let frames = text.lines().filter(|line| line.starts_with('#'));
        let named =
            frames.filter(|line| line.contains(STOPPED) || line.contains("ferrix_kernel::"));
        ensure!(named.count() >= 2, "the backtrace has no two names");
        ensure!(text.contains(STOPPED), "no frame of {FUNCTION}");
        ensure!(text.contains("ring 0"), "the registers");
        let (at, then) = (value(text, "at ")?, value(text, "then ")?);
        ensure!(at > 0xffff_8000_0000_0000, "{at:#x} is no kernel address");
        ensure!(then != at, "the single step did not move");
        four_bytes(text)
    })
}

/// At the first instructions (in QEMU, of its firmware): without breakpoints, which not every KVM can set.
fn inspect_step_detach() -> Result<()> {
    let more = [
        "printf \"at %p\\n\", $pc",
        "x/4xb $pc",
        "stepi",
        "stepi",
        "printf \"then %p\\n\", $pc",
    ];
    session(&more, |text| {
        let (at, then) = (value(text, "at ")?, value(text, "then ")?);
        ensure!(then != at, "two steps from {at:#x} led nowhere");
        four_bytes(text)
    })
}

fn four_bytes(text: &str) -> Result<()> {
    let bytes = text.lines().find(|line| line.matches("\t0x").count() == 4);
    bytes.map(drop).context("no line with four bytes of memory")
}

/// gdb's commands from the guest's first instruction on; then the guest boots to its prompt.
fn session(commands: &[&str], check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let disk = Disk::copy()?;
    let socket = disk.path().with_extension("gdb");
    let (mut guest, address) = match Machine::current()?.is_monitor() {
        true => under_monitor(&disk, Options::new(), &[])?,
        false => under_qemu(&disk, &socket.display().to_string())?,
    };
    let text = gdb(&address, commands)?;
    let detached = text.contains("detached");
    check(&text)
        .and_then(|()| detached.then_some(()).context("no detach"))
        .with_context(|| format!("gdb printed:\n{text}"))?;
    guest.expect(PROMPT, BOOT_TIME)?;
    guest.check("echo hello | wc -c", "6\n")?;
    guest.power_off(0).map(drop)
}

/// A guest that waits for gdb before its first instruction, and where.
pub fn under_monitor(disk: &Disk, options: Options, more: &[&str]) -> Result<(Guest, String)> {
    let options = options.monitor(&["--gdb", "127.0.0.1:0"]).monitor(more);
    let mut guest = Guest::boot(disk, options, Wiring::Terminal)?;
    guest.expect_log("127.0.0.1:", BOOT_TIME)?;
    let port = guest.expect_log("\n", Duration::from_secs(1))?;
    Ok((guest, format!("127.0.0.1:{}", port.trim())))
}

/// As [`under_monitor`], by QEMU's own server, which says when it listens.
fn under_qemu(disk: &Disk, socket: &str) -> Result<(Guest, String)> {
    let server = format!("socket,id=gdb,path={socket},server=on,wait=on");
    let options = Options::new().qemu(&["-chardev", &server, "-gdb", "chardev:gdb", "-S"]);
    let mut guest = Guest::boot(disk, options, Wiring::Terminal)?;
    guest.expect_log("waiting for connection", BOOT_TIME)?;
    Ok((guest, socket.into()))
}

/// What gdb prints; each value that is checked is printed behind a name.
fn gdb(address: &str, more: &[&str]) -> Result<String> {
    let kernel = host::built("image/kernel")?;
    let target = format!("target remote {address}");
    let mut gdb = Command::new("gdb");
    gdb.args(["-batch", "-nx"]);
    for command in ["set confirm off", "set pagination off", &target] {
        gdb.args(["-ex", command]);
    }
    for command in more.iter().chain(&["detach"]) {
        gdb.args(["-ex", command]);
    }
    let output = gdb.arg(kernel).output().context("gdb")?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The hexadecimal number after `name` at the start of a line.
fn value(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let digits = line.and_then(|line| line.trim().strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.with_context(|| format!("no address after `{name}`"))
}
