//! The line discipline: echo, erase, interrupt, end of file.

use crate::trial::everywhere;
use anyhow::Result;
use ferrix_tests::guest::COMMAND_TIME;
use ferrix_tests::{Disk, Guest, Options, PROMPT};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("terminal::erase", erase),
        everywhere("terminal::interrupt", interrupt),
        everywhere("terminal::end_of_file", end_of_file),
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
