//! Programs that break the rules die, with the right signal, and nobody else notices.

use crate::trial::everywhere;
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

/// Program, status in the shell, what the shell says.
const CRIMES: [(&str, u8, &str); 4] = [
    ("segv", 139, "Segmentation fault"),
    ("kwrite", 139, "Segmentation fault"),
    ("execdata", 139, "Segmentation fault"),
    ("divzero", 136, "Floating point exception"),
];

pub fn trials() -> Vec<Trial> {
    vec![everywhere(
        "isolation::crimes_kill_only_their_program",
        crimes,
    )]
}

fn crimes() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.run("sleep 1000 & bystander=$!")?;
    for (program, status, message) in CRIMES {
        let output = guest.run(program)?;
        if !output.contains(message) {
            return Err(guest.wrong(format!("after `{program}` the shell says {output:?}")));
        }
        guest.run(program)?;
        guest.check("echo $?", &format!("{status}\n"))?;
    }
    guest.check("kill -0 $bystander; echo $?", "0\n")?;
    guest.check("cat /etc/motd | wc -l", "2\n")?;
    let ending = guest.power_off(0)?;
    ensure!(!ending.log.contains("panic"), "the log: {}", ending.log);
    disk.check()
}
