//! The line discipline: echo, erase, interrupt, end of file.

use crate::trial::{everywhere, on_monitor};
use anyhow::Result;
use ferrix_tests::guest::COMMAND_TIME;
use ferrix_tests::{Disk, Guest, Options, PROMPT};
use libtest_mimic::Trial;

const WHY: &str = "keys and window of the monitor's own terminal";

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("terminal::erase", erase),
        everywhere("terminal::interrupt", interrupt),
        everywhere("terminal::end_of_file", end_of_file),
        on_monitor("terminal::monitor_prompt", WHY, monitor_prompt),
        on_monitor("terminal::window", WHY, window),
        on_monitor("terminal::window_signal", WHY, window_signal),
        on_monitor("terminal::where_the_guest_is", WHY, where_it_is),
    ]
}

fn erase() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.send("echo wrong\x7f\x7f\x7f\x7f\x7fright | cat\r")?;
    guest.expect("\nright", COMMAND_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.power_off(0).map(drop)
}

/// ^C ends the program in the foreground, not the shell.
fn interrupt() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.send_line("echo ready; sleep 1000")?;
    guest.expect("\nready", COMMAND_TIME)?;
    guest.send("\x03")?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.check("echo $?", "130\n")?;
    guest.power_off(0).map(drop)
}

/// ^D is the end of a program's input; at the prompt it ends the shell, and with it the machine.
fn end_of_file() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.send_line("cat | wc -l")?;
    guest.send("first\rsecond\r\x04")?;
    guest.expect("\n2", COMMAND_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.send("\x04")?;
    guest.wait(COMMAND_TIME)?.must_be(0)
}

/// Ctrl-A c asks the monitor, and the guest sees nothing of it.
fn monitor_prompt() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    guest.send("\x01c")?;
    guest.expect_log("(vmm) ", COMMAND_TIME)?;
    guest.send("infi\x7fo\r")?;
    guest.expect_log("CPU 1: rip 0x", COMMAND_TIME)?;
    guest.send("threads\r")?;
    guest.expect_log("PID   TID STATE", COMMAND_TIME)?;
    guest.expect_log("init\r", COMMAND_TIME)?;
    guest.send("nonsense\r")?;
    guest.expect_log("no command `nonsense`", COMMAND_TIME)?;
    guest.send("\r")?;
    guest.expect_log("back to the guest", COMMAND_TIME)?;
    guest.check("echo hello", "hello\n")?;
    guest.power_off(0).map(drop)
}

/// SIGUSR1 asks the monitor from outside, and the guest goes on.
fn where_it_is() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    guest.ask_where();
    for line in [
        "vmm: where the guest is:",
        "CPU 0: ",
        "vectors in service: ",
        "timer: LVT ",
        "backtrace:",
        "CPU 1: ",
        "PID   TID STATE",
        "vmm: the guest goes on",
    ] {
        guest.expect_log(line, COMMAND_TIME)?;
    }
    guest.check("echo hello", "hello\n")?;
    guest.power_off(0).map(drop)
}

/// A program in the foreground gets SIGWINCH, and finds the new size then.
fn window_signal() -> Result<()> {
    const WAITS: &str = "while true; do sleep 0.05; done";
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.send_line(&format!(
        "sh -c 'trap \"stty size; exit 7\" WINCH; echo ready; {WAITS}'"
    ))?;
    guest.expect("\nready", COMMAND_TIME)?;
    guest.resize(40, 100)?;
    // The terminal is not the monitor's controlling one, so that nobody signals it: it looks when a key comes.
    guest.send("\x7f")?;
    guest.expect("\n40 100", COMMAND_TIME)?;
    guest.expect(PROMPT, COMMAND_TIME)?;
    guest.check("echo $?", "7\n")?;
    guest.power_off(0).map(drop)
}

/// A new size reaches programs.
fn window() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("stty size", "24 80\n")?;
    guest.resize(50, 132)?;
    guest.check("stty size", "50 132\n")?;
    guest.power_off(0).map(drop)
}
