//! Mapped files under hard conditions: less memory than file, full and broken disks, a server that dies.

use std::fs::OpenOptions;
use std::process::Command;
use std::time::Duration;

use crate::trial::{everywhere, except, on_monitor, slow};
use anyhow::{Result, ensure};
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::{Disk, Guest, Machine, Options, PROMPT, Wiring, host};
use libtest_mimic::Trial;

/// For thousands of page faults.
const FAULTS_TIME: Duration = Duration::from_secs(120);
/// Operations of `coherence` on each file system.
const OPERATIONS: u32 = 150;
const MIB: u64 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    vec![
        slow(everywhere(
            "paging::a_file_larger_than_memory",
            larger_than_memory,
        )),
        slow(everywhere("paging::mapped_files_give_way", give_way)),
        everywhere("paging::all_ways_agree", all_ways_agree),
        everywhere("paging::a_full_tmpfs_is_a_bus_error", full_tmpfs),
        everywhere("paging::a_full_disk_is_told_by_msync", full_disk),
        only_here("paging::a_write_error_is_told_by_msync", write_error),
        only_here("paging::a_read_error_is_a_bus_error", read_error),
        everywhere("paging::programs_outlive_their_pager", pager_dies),
    ]
}

/// A trial that has the host break the disk.
fn only_here(name: &str, test: fn() -> Result<()>) -> Trial {
    let why = "about files of the host, which the monitor opens";
    except(
        on_monitor(name, why, test),
        Machine::Hardware,
        "the disk is inside the emulated computer",
    )
}

/// 200 MiB in 32 MiB of RAM: pages written at random come and go, and nobody is killed.
fn larger_than_memory() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().memory(32))?;
    let output = guest.run_within("bigmap -n 350 /home/big 200; echo $?", FAULTS_TIME)?;
    if !output.starts_with("51200 pages, seed 1, sum ") || !output.ends_with("\n0\n") {
        return Err(guest.wrong(format!("bigmap printed {output}")));
    }
    guest.check("wc -l < /etc/motd", "2\n")?;
    let ending = guest.power_off(0)?;
    ensure!(
        !ending.log.contains("out of memory"),
        "the log: {}",
        ending.log
    );
    disk.check()
}

/// The pages of mapped files make room for files in memory, without harm to who maps them.
fn give_way() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().memory(32))?;
    guest.run("bigmap -n 100000 /home/big 60 & mapper=$!")?;
    let free = "$(free | grep Mem | tr -s ' ' | cut -d ' ' -f 4)";
    let until_little = format!("until [ {free} -lt 12000 ]; do true; done");
    guest.run_within(&until_little, FAULTS_TIME)?;
    let fill = "dd if=/dev/zero of=/dev/shm/x bs=64k count=160 2> /dev/null; echo $?";
    let status = guest.run_within(fill, FAULTS_TIME)?;
    ensure!(status.ends_with("0\n"), "dd: {status}");
    guest.check(
        "stat -c %s /dev/shm/x; kill -0 $mapper; echo $?",
        "10485760\n0\n",
    )?;
    guest.run_within("kill $mapper; wait $mapper", FAULTS_TIME)?;
    let ending = guest.power_off(0)?;
    ensure!(
        !ending.log.contains("out of memory"),
        "the log: {}",
        ending.log
    );
    Ok(())
}

/// Reading, writing, mappings and children, on the disk and in memory.
fn all_ways_agree() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    for (seed, place) in [(4711, "/home"), (4712, "/dev/shm")] {
        let command = format!("coherence -s {seed} -n {OPERATIONS} {place}/file; echo $?");
        let output = guest.run_within(&command, FAULTS_TIME)?;
        if !output.ends_with("all agree\n0\n") {
            return Err(guest.wrong(format!("coherence printed {output}")));
        }
    }
    guest.power_off(0)?;
    disk.check()
}

fn full_tmpfs() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("mkdir /mnt/m && mount -t tmpfs -o size=64k none /mnt/m", "")?;
    let told = "msync: ok\nfsync: ok\nfsync: ok\n";
    let used = "df /mnt/m | tail -1 | tr -s ' ' | cut -d ' ' -f 3";
    guest.check(
        "mapfill /mnt/m/f 20",
        &format!("touched 16 pages, then SIGBUS\n{told}"),
    )?;
    guest.check(used, "64\n")?;
    guest.check(
        "dd if=/dev/zero of=/mnt/m/g bs=1 count=1 2> /dev/null; echo $?",
        "1\n",
    )?;
    guest.check("rm /mnt/m/f", "")?;
    guest.check(used, "0\n")?;
    guest.check(
        "mapfill /mnt/m/f 16",
        &format!("touched 16 pages, all\n{told}"),
    )?;
    guest.power_off(0).map(drop)
}

/// An empty file system of so many bytes, in blocks of 1 KiB.
fn small_disk(bytes: u64) -> Result<Disk> {
    let disk = Disk::copy()?;
    let image = OpenOptions::new().write(true).open(disk.path())?;
    image.set_len(0)?;
    image.set_len(bytes)?;
    let mut mke2fs = host::tool("mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext2", "-b", "1024"]);
    host::output(mke2fs.arg(disk.path()))?;
    Ok(disk)
}

/// A guest with a second disk, mounted.
fn with_second(root: &Disk, second: &Disk) -> Result<Guest> {
    let options = Options::new().disk(root).disk(second);
    mounted(Guest::launch(&options, Wiring::Terminal)?)
}

fn mounted(mut guest: Guest) -> Result<Guest> {
    guest.expect(PROMPT, BOOT_TIME)?;
    guest.check("mount -t ext2 /dev/vdb /mnt", "")?;
    Ok(guest)
}

/// Blocks are taken when pages are written back, as Linux's ext2 does: so the error is `msync`'s. The pages stay, and
/// go to the disk as soon as there is room.
fn full_disk() -> Result<()> {
    let (disk, small) = (Disk::copy()?, small_disk(2 * MIB)?);
    let mut guest = with_second(&disk, &small)?;
    let error = "No space left on device";
    let told = format!("msync: {error}\nfsync: {error}\nfsync: {error}\n");
    guest.check(
        "mapfill /mnt/large 600",
        &format!("touched 600 pages, all\n{told}"),
    )?;
    guest.check(
        "mapfill /mnt/late 4",
        &format!("touched 4 pages, all\n{told}"),
    )?;
    guest.check("rm /mnt/large; sync", "")?;
    guest.check(
        "mapfill /mnt/next 4",
        "touched 4 pages, all\nmsync: ok\nfsync: ok\nfsync: ok\n",
    )?;
    guest.check("umount /mnt", "")?;
    guest.power_off(0)?;
    small.check()?;
    let late = small.dump("/late")?;
    let first: Vec<u8> = late.iter().step_by(4096).copied().collect();
    ensure!(first == [1, 1, 3, 3], "what was written late: {first:?}");
    Ok(())
}

/// A guest whose second disk, of 8 MiB, cannot be written behind its first megabytes.
fn on_a_limited_disk(root: &Disk, small: &Disk) -> Result<Guest> {
    let options = Options::new().disk(root).disk(small);
    let inner = Machine::Kvm.command(&options)?;
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(host::root());
    mounted(Guest::start(command, Wiring::Terminal)?)
}

fn write_error() -> Result<()> {
    let (root, small) = (Disk::copy()?.read_only(), small_disk(8 * MIB)?);
    let mut guest = on_a_limited_disk(&root, &small)?;
    let error = "I/O error";
    guest.check(
        "mapfill /mnt/f 1500",
        &format!("touched 1500 pages, all\nmsync: {error}\nfsync: {error}\nfsync: {error}\n"),
    )?;
    guest.check("ls /bin/sh", "/bin/sh\n")
}

/// The image loses its end while the guest runs.
fn read_error() -> Result<()> {
    let (root, small) = (Disk::copy()?, small_disk(8 * MIB)?);
    let mut guest = with_second(&root, &small)?;
    guest.check("mapfill /mnt/f 1500 | head -1", "touched 1500 pages, all\n")?;
    guest.check("umount /mnt && mount -t ext2 /dev/vdb /mnt", "")?;
    let image = OpenOptions::new().write(true).open(small.path())?;
    image.set_len(4 * MIB)?;
    let output = guest.run("mapfill -r /mnt/f 1500")?;
    let first = output.lines().next().unwrap_or_default();
    if !first.starts_with("touched ") || !first.ends_with(" pages, then SIGBUS") {
        return Err(guest.wrong(format!("mapfill -r printed {output}")));
    }
    guest.check("ls /bin/sh", "/bin/sh\n")
}

/// Whoever waits for a page of a server that dies gets SIGBUS; with the next server all goes on.
fn pager_dies() -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    guest.check("touch /home/big; sync", "")?;
    guest.run("bigmap -n 1000000 /home/big 60 & program=$!")?;
    guest.run("until [ -s /home/big ]; do true; done")?;
    let server = "$(ps | grep ' ext2$' | tr -s ' ' | cut -d ' ' -f 2)";
    guest.run(&format!("kill -9 {server}"))?;
    let waited = guest.run("wait $program; echo $?")?;
    ensure!(waited.ends_with("135\n"), "the program: {waited}");
    guest.check("wc -l < /etc/motd", "2\n")?;
    guest.check("echo back > /home/back; cat /home/back", "back\n")?;
    guest.check("mapwrite /home/back BACK; cat /home/back", "BACK\n")?;
    guest.check("ls /home | grep -c back; sync", "1\n")?;
    guest.power_off(0)?;
    // Blocks that the dead server had just taken may be lost until e2fsck finds them; no more than that.
    ensure!(disk.dump("/home/back")? == b"BACK\n", "other bytes");
    Ok(())
}
