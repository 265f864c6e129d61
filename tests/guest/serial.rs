//! The terminal on the UART, with the kernel's log between its output.

use std::time::Duration;

use crate::trial::{everywhere, slow};
use anyhow::{Result, ensure};
use ferrix_tests::guest::COMMAND_TIME;
use ferrix_tests::{Console, Disk, Guest, Options, PROMPT};
use libtest_mimic::Trial;

/// For 64 KiB in and out, byte by byte, each an exit to the monitor.
const BULK_TIME: Duration = Duration::from_secs(90);

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("serial::line_editing", editing),
        everywhere("serial::interrupt_and_stop", job_control),
        slow(everywhere("serial::long_paste", paste)),
        everywhere("serial::long_output", output),
        everywhere("serial::log_lines_are_whole", log_lines),
        everywhere("serial::status_of_a_command", status),
    ]
}

fn at_prompt(disk: &Disk) -> Result<Guest> {
    Guest::at_prompt(disk, Options::new().console(Console::Serial))
}

fn editing() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = at_prompt(&disk)?;
    guest.send("echo wrong\x7f\x7f\x7f\x7f\x7fright | cat\r")?;
    guest.expect("\nright", COMMAND_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.send_line("cat | wc -l")?;
    guest.send("first\rsecond\r\x04")?;
    guest.expect("\n2", COMMAND_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.power_off(3)?;
    disk.check()
}

/// ^C ends the program in the foreground, ^Z stops it.
fn job_control() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = at_prompt(&disk)?;
    guest.send_line("sh -c 'echo ready; exec sleep 1000'")?;
    guest.expect("\nready", COMMAND_TIME)?;
    guest.send("\x1a")?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    let jobs = guest.run("jobs")?;
    ensure!(jobs.contains("sleep 1000"), "the stopped job: {jobs:?}");
    guest.send_line("fg")?;
    guest.expect("sleep 1000'", COMMAND_TIME)?;
    guest.send("\x03")?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.check("echo $?", "130\n")?;
    guest.power_off(0).map(drop)
}

/// What is typed faster than it is read waits.
fn paste() -> Result<()> {
    const LINE: &str = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXY";
    const LINES: usize = (64 << 10) / (LINE.len() + 1);
    let disk = Disk::copy()?;
    let mut guest = at_prompt(&disk)?;
    guest.run("stty -echo")?;
    guest.send_line("sleep 1; cat > /tmp/pasted; stty echo; echo done")?;
    guest.send(&format!("{LINE}\r").repeat(LINES))?;
    guest.send("\x04")?;
    guest.expect("done", BULK_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.check("sort -u /tmp/pasted", &format!("{LINE}\n"))?;
    guest.check("wc -l < /tmp/pasted", &format!("{LINES}\n"))?;
    guest.power_off(0).map(drop)
}

/// The machine ends only when all has been put out.
fn output() -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new()
        .console(Console::Serial)
        .command("seq 1 12000");
    let guest = Guest::boot(&disk, options, ferrix_tests::Wiring::Script)?;
    let ending = guest.wait(BULK_TIME)?;
    ending.must_be(0)?;
    let expected: String = (1..=12_000).map(|n| format!("{n}\r\n")).collect();
    if !ending.screen.ends_with(&expected) {
        return Err(ending.wrong("the output is not what was written"));
    }
    Ok(())
}

/// The kernel's log, here by way of init, comes out between the output of a program that writes all
/// the time, line by line.
fn log_lines() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = at_prompt(&disk)?;
    let blk = guest.run("ps | grep ' blk$' | head -1")?;
    let pid = blk
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_string();
    guest.send_line(&format!(
        "(sleep 1; kill -9 {pid}) & yes 0123456789 | head -2000; wait"
    ))?;
    let text = guest.expect(PROMPT, BULK_TIME)?.replace('\r', "");
    let mine = |line: &&str| line.contains("server blk ended");
    let log: Vec<_> = text.lines().filter(mine).collect();
    ensure!(
        log.len() == 1 && log[0].starts_with("init: server blk ended"),
        "the log's line: {log:?}"
    );
    Ok(())
}

fn status() -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new()
        .console(Console::Serial)
        .command("sh -c 'exit 7'");
    let guest = Guest::boot(&disk, options, ferrix_tests::Wiring::Script)?;
    guest.wait(BULK_TIME)?.must_be(7)
}
