//! Memory as Linux programs see it: the checks of `memcheck`, which hold on Linux too, files in memory, and what
//! `/proc` tells of them.

use std::time::{Duration, Instant};

use crate::passes::{CHECK_TIME, passes};
use crate::trial::{everywhere, slow};
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Machine, Options};
use libtest_mimic::Trial;

/// From one look at the disk to the next.
const LOOK: Duration = Duration::from_millis(300);

pub fn trials() -> Vec<Trial> {
    let checks = [
        ("memory::map", "map"),
        ("memory::remap", "remap"),
        ("memory::advice", "advise sync core"),
        ("memory::locks", "lock"),
        ("memory::files", "file"),
        ("memory::memfd", "memfd"),
        ("memory::disk_files", "disk"),
        ("memory::segments", "shm"),
    ];
    let checks = checks.map(|(name, groups)| everywhere(name, move || checked(groups)));
    let others = [
        everywhere("memory::robust_locks", || passes("robustcheck")),
        everywhere("memory::tmpfs", tmpfs),
        everywhere("memory::programs_in_memory", programs_in_memory),
        everywhere("memory::proc", proc),
        slow(everywhere(
            "memory::mapped_bytes_reach_the_disk",
            mapped_bytes_reach_the_disk,
        )),
    ];
    checks.into_iter().chain(others).collect()
}

/// Runs groups of checks; every line must end with `ok`.
fn checked(groups: &str) -> Result<()> {
    passes(&format!("memcheck {groups}"))
}

/// tmpfs under the shell's own tools.
fn tmpfs() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    for command in [
        "mkdir /mnt/m && mount -t tmpfs -o size=2m,mode=755 none /mnt/m",
        "mkdir -p /mnt/m/a/b && echo deep > /mnt/m/a/b/file",
        "ln -s a/b /mnt/m/short && ln /mnt/m/short/file /mnt/m/second",
        "mv /mnt/m/a/b /mnt/m/moved && rmdir /mnt/m/a",
        "echo more >> /mnt/m/second && rm /mnt/m/moved/file",
        "cd /mnt/m/moved && seq 1 100 | xargs touch; cd /",
    ] {
        guest.check(command, "")?;
    }
    guest.check("cat /mnt/m/second", "deep\nmore\n")?;
    guest.check("ls /mnt/m/moved | wc -l", "100\n")?;
    guest.check(
        "readlink /mnt/m/short; stat -c '%h %s' /mnt/m/second",
        "a/b\n1 10\n",
    )?;
    guest.check(
        "mkfifo /mnt/m/p; (echo through > /mnt/m/p & cat /mnt/m/p; wait)",
        "through\n",
    )?;
    guest.check(
        "truncate -s 100M /mnt/m/hole; du -k /mnt/m/hole | cut -f 1",
        "0\n",
    )?;
    guest.check(
        "head -c 4000000 /dev/zero > /mnt/m/big 2> /dev/null; echo $?",
        "1\n",
    )?;
    guest.check("rm /mnt/m/big; df /mnt/m | tail -1 | grep -c ' 1% '", "1\n")?;
    guest.check(
        "cd /mnt/m; umount /mnt/m; echo $?; cd /",
        "umount: /mnt/m: Resource busy\n1\n",
    )?;
    guest.check("umount /mnt/m && ls /mnt/m", "")?;
    guest.check("mount | grep -c '/dev/shm tmpfs rw'", "1\n")?;
    guest.power_off(0)?;
    disk.check()
}

/// A program that runs from tmpfs, and changes under the feet of nobody.
fn programs_in_memory() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check(
        "cp /bin/echo /dev/shm/echo && /dev/shm/echo from memory",
        "from memory\n",
    )?;
    guest.check(
        "cp /bin/sleep /dev/shm/sleep; (/dev/shm/sleep 1 & truncate -s 0 /dev/shm/sleep; wait $!; echo $?)",
        "0\n",
    )?;
    guest.check(
        "printf '#!/bin/sh\\necho script $1\\n' > /dev/shm/s; chmod 755 /dev/shm/s; /dev/shm/s ran",
        "script ran\n",
    )?;
    guest.power_off(0).map(drop)
}

/// By `msync`, by time, and by the file's last use, however the machine ends.
fn mapped_bytes_reach_the_disk() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check(
        "cd /home; for f in a b c; do echo old text > $f; done; sync; cd /",
        "",
    )?;
    guest.check(
        "mapwrite -n /home/b TIME; mapwrite -n /home/c END; cat /home/b",
        "TIMEtext\n",
    )?;
    for (path, text) in [("/home/b", "TIMEtext\n"), ("/home/c", "END text\n")] {
        until_on_disk(&disk, path, text)?;
    }
    guest.check("mapwrite /home/a SYNC; cat /home/a", "SYNCtext\n")?;
    // As by a power cut.
    drop(guest);
    for (path, text) in [
        ("/home/a", "SYNCtext\n"),
        ("/home/b", "TIMEtext\n"),
        ("/home/c", "END text\n"),
    ] {
        let found = disk.dump(path)?;
        ensure!(
            found == text.as_bytes(),
            "{path} holds {}",
            String::from_utf8_lossy(&found)
        );
    }
    Ok(())
}

/// Looks at the disk, which the guest is using, until a file holds a text there.
fn until_on_disk(disk: &Disk, path: &str, text: &str) -> Result<()> {
    let end = Instant::now() + Machine::current()?.limit(CHECK_TIME);
    loop {
        // What is read while it is written may be no file system at all.
        let found = disk.dump(path).unwrap_or_default();
        if found == text.as_bytes() {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&found);
        ensure!(
            Instant::now() < end,
            "{path} holds {found:?} on the disk, not {text:?}"
        );
        std::thread::sleep(LOOK);
    }
}

fn proc() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("grep -c '\\[stack\\]' /proc/self/maps", "1\n")?;
    guest.check("grep -c ' r-x[ps] ' /proc/self/maps", "1\n")?;
    for field in [
        "VmPeak", "VmSize", "VmLck", "VmHWM", "VmRSS", "VmData", "VmStk", "VmExe",
    ] {
        guest.check(
            &format!("grep -c '^{field}:.* kB$' /proc/self/status"),
            "1\n",
        )?;
    }
    guest.check(
        "head -c 3000000 /dev/zero > /dev/shm/x; grep Shmem: /proc/meminfo | tr -s ' ' | cut -d ' ' -f 2",
        "2932\n",
    )?;
    guest.check("head -1 /proc/sysvipc/shm | wc -w", "16\n")?;
    guest.power_off(0).map(drop)
}
