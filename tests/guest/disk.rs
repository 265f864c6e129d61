//! What the guest writes is on the disk, as the host's own ext2 tools see it.

use std::fmt::Write;
use std::time::Duration;

use crate::trial::everywhere;
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

const SIZE: usize = 5 << 20;
/// Five megabytes through a pipe and two servers.
const WRITE_TIME: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    vec![
        everywhere("disk::five_megabytes", five_megabytes),
        everywhere("disk::trees_and_links", trees_and_links),
        everywhere("disk::read_only", read_only),
    ]
}

/// The first [`SIZE`] bytes of what `seq 1 800000` prints.
fn numbers() -> Vec<u8> {
    let mut text = String::with_capacity(SIZE + 16);
    let mut number = 1;
    while text.len() < SIZE {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number}");
        number += 1;
    }
    text.truncate(SIZE);
    text.into_bytes()
}

fn five_megabytes() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.run_within(
        "seq 1 800000 | head -c 5242880 > /home/numbers; sync",
        WRITE_TIME,
    )?;
    guest.check("wc -c < /home/numbers", "5242880\n")?;
    let sum = guest.run_within("sha256sum /home/numbers", WRITE_TIME)?;
    guest.power_off(0)?;
    disk.check()?;
    ensure!(
        disk.dump("/home/numbers")? == numbers(),
        "debugfs reads other bytes than the guest wrote"
    );
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    let again = guest.run_within("sha256sum /home/numbers", WRITE_TIME)?;
    ensure!(again == sum, "the next boot reads {again} instead of {sum}");
    guest.power_off(0)?;
    disk.check()
}

fn trees_and_links() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    let commands = [
        "mkdir -p /home/a/b/c && echo deep > /home/a/b/c/file",
        "ln -s a/b /home/short && ln /home/a/b/c/file /home/second",
        "mv /home/a/b/c /home/a/moved && rmdir /home/a/b",
        "echo more >> /home/second && rm /home/a/moved/file",
        "truncate -s 3M /home/hole && echo end >> /home/hole",
        "mkdir /home/many && cd /home/many && seq 1 300 | xargs touch; cd /",
    ];
    for command in commands {
        guest.check(command, "")?;
    }
    guest.check("ls /home/many | wc -l", "300\n")?;
    guest.check("readlink /home/short", "a/b\n")?;
    guest.check("cat /home/second", "deep\nmore\n")?;
    guest.power_off(0)?;
    disk.check()?;
    ensure!(disk.dump("/home/second")? == b"deep\nmore\n", "other bytes");
    let hole = disk.dump("/home/hole")?;
    ensure!(
        hole.len() == (3 << 20) + 4 && hole.ends_with(b"\0end\n"),
        "a file of {} bytes",
        hole.len()
    );
    Ok(())
}

fn read_only() -> Result<()> {
    let disk = Disk::copy()?.read_only();
    let before = std::fs::read(disk.path())?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    let answer = guest.run("touch /home/new; echo $?")?;
    ensure!(
        answer.contains("ead-only file system") && !answer.ends_with("\n0\n"),
        "touch on a read-only disk says {answer}"
    );
    guest.power_off(0)?;
    ensure!(std::fs::read(disk.path())? == before, "the disk changed");
    Ok(())
}
