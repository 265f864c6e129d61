//! Programs of others that use memory-mapped files and locks as hard as any: sqlite (glibc) and LMDB (musl), unmodified
//! static binaries of Linux, by their own test programs. On the disk and in memory.
//!
//! Each is short here. With `FERRIX_TESTS=long` in the environment they run as long as their authors meant.

use std::process::Command;
use std::time::Duration;

use crate::trial::{everywhere, needs};
use anyhow::{Context, Result, ensure};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Options, extent, real};
use libtest_mimic::Trial;

/// For a command in the guest: minutes, as a machine under load takes long for what is mostly system calls.
const TIME: Duration = Duration::from_secs(90);
const LONG_TIME: Duration = Duration::from_secs(3600);

pub fn trials() -> Vec<Trial> {
    let sqlite = [
        everywhere("sqlite::speedtest_verifies", speedtest),
        everywhere("sqlite::several_processes", several_processes),
        everywhere("sqlite::a_killed_writer_is_undone", killed_writer),
        everywhere("sqlite::blobs_through_a_mapping", key_values),
    ];
    let lmdb = everywhere("sqlite::lmdb_through_a_writable_map", lmdb);
    let sqlite = sqlite
        .into_iter()
        .map(|trial| needs(trial, &[Need::Sqlite]));
    sqlite.chain([needs(lmdb, &[Need::Lmdb])]).collect()
}

/// A guest that has programs of `kind`, and other files, in `/real`.
fn guest_with(kind: &str, names: &[&str], files: &[&str]) -> Result<(Disk, Guest)> {
    let mut all = real::programs(kind, names)?;
    all.extend(files.iter().map(|file| host::root().join(file)));
    let disk = Disk::copy()?;
    disk.add(&all, "/real")?;
    let guest = Guest::at_prompt(&disk, Options::new().cpus(2))?;
    Ok((disk, guest))
}

/// How many, in the short form and in the long one.
fn short_or(short: usize, long: usize) -> usize {
    if extent::is_long() { long } else { short }
}

/// What a command prints that must succeed.
fn succeed(guest: &mut Guest, command: &str) -> Result<String> {
    let time = if extent::is_long() { LONG_TIME } else { TIME };
    let output = guest.run_within(&format!("{command}; echo \" status $?\""), time)?;
    match output.trim_end().strip_suffix(" status 0") {
        Some(printed) => Ok(printed.to_string()),
        None => Err(guest.wrong(format!("{command} printed {output}"))),
    }
}

fn finish(disk: &Disk, guest: Guest) -> Result<()> {
    guest.power_off(0)?;
    disk.check()
}

/// sqlite's measure of speed, which hashes all that its queries find: the same as on this machine.
fn speedtest() -> Result<()> {
    let size = if extent::is_long() { "25" } else { "1" };
    let (disk, mut guest) = guest_with("sqlite", &["speedtest1"], &[])?;
    let all = [("wal", "/tmp"), ("delete", "/dev/shm")];
    for (journal, place) in &all[..short_or(1, 2)] {
        let options = format!("--size {size} --mmap 100000000 --journal {journal} --verify");
        let folder = ferrix_tests::disk::folder()?;
        let host = Command::new(&real::programs("sqlite", &["speedtest1"])?[0])
            .args(options.split(' '))
            .arg(folder.path().join("speed.db"))
            .output()?;
        let expected = hash(&String::from_utf8_lossy(&host.stdout))?;
        let found = succeed(
            &mut guest,
            &format!("/real/speedtest1 {options} {place}/speed.db"),
        )?;
        ensure!(hash(&found)? == expected, "{found}\nbut here {expected}");
    }
    finish(&disk, guest)
}

fn hash(printed: &str) -> Result<String> {
    let line = printed
        .lines()
        .find(|line| line.starts_with("Verification Hash"));
    let line = line.with_context(|| format!("no hash in {printed}"))?;
    Ok(line.trim_end().to_string())
}

/// sqlite's test of several processes on one database.
fn several_processes() -> Result<()> {
    let upstream = ["multiwrite01.test", "crash01.test", "crash02.subtest"];
    let upstream = upstream.map(|name| format!("target/real-programs/sqlite3/mptest/{name}"));
    let mut files = vec!["tests/real/processes.test"];
    files.extend(upstream.iter().map(String::as_str));
    let (disk, mut guest) = guest_with("sqlite", &["mptest"], &files)?;
    let scripts: &[&str] = match extent::is_long() {
        true => &["multiwrite01.test", "crash01.test"],
        false => &["processes.test"],
    };
    let journals: &[&str] = match extent::is_long() {
        true => &["WAL", "DELETE", "PERSIST", "TRUNCATE"],
        false => &["WAL"],
    };
    for (number, journal) in journals.iter().enumerate() {
        for script in scripts {
            let database = format!("{}/{journal}.db", ["/dev/shm", "/tmp"][number % 2]);
            let command = format!(
                "/real/mptest {database} /real/{script} --journalmode {journal} | grep Summary"
            );
            let printed = succeed(&mut guest, &command)?;
            ensure!(
                printed.contains("Summary: 0 errors"),
                "{command}: {printed}"
            );
        }
    }
    finish(&disk, guest)
}

/// Writers, a reader, and a writer killed in the middle of a transaction: the others go on, and it is undone.
fn killed_writer() -> Result<()> {
    let (rows, journals): (_, &[_]) = match extent::is_long() {
        true => ("25000", &["wal", "delete", "truncate", "persist"]),
        false => ("100", &["wal"]),
    };
    let (disk, mut guest) = guest_with("sqlite", &["sqlite_storm"], &[])?;
    for (number, journal) in journals.iter().enumerate() {
        let place = ["/tmp", "/dev/shm"][number % 2];
        let writers = if extent::is_long() { 4 } else { 2 };
        let command = format!(
            "/real/sqlite_storm {place}/storm-{journal}.db {journal} 100000000 {writers} {rows}"
        );
        let printed = succeed(&mut guest, &command)?;
        ensure!(printed.contains("integrity ok"), "{command}: {printed}");
    }
    finish(&disk, guest)
}

/// Large values, read and overwritten through a mapping.
fn key_values() -> Result<()> {
    let count = short_or(20, 2000);
    let (disk, mut guest) = guest_with("sqlite", &["kvtest"], &[])?;
    for place in &["/dev/shm", "/tmp"][..short_or(1, 2)] {
        let run = |more: &str| {
            format!("/real/kvtest run {place}/kv.db --count {count} --mmap 100000000 {more}")
        };
        succeed(
            &mut guest,
            &format!("/real/kvtest init {place}/kv.db --count {count} --size 10000"),
        )?;
        let before = succeed(&mut guest, &run("--integrity-check"))?;
        succeed(&mut guest, &run("--update --random"))?;
        let after = succeed(&mut guest, &run("--integrity-check --desc"))?;
        for printed in [before, after] {
            ensure!(
                printed.contains("integrity-check: ok"),
                "{place}: {printed}"
            );
        }
    }
    finish(&disk, guest)
}

/// LMDB's tests; once with its pages written by calls, once with all of the database mapped writable.
fn lmdb() -> Result<()> {
    let names = ["mtest", "mtest2", "mtest3", "mtest4", "mtest5"];
    let mapped = names.map(|name| format!("{name}-writemap"));
    let all: Vec<&str> = names
        .into_iter()
        .chain(mapped.iter().map(String::as_str))
        .collect();
    let short = [
        "/tmp mtest2",
        "/dev/shm mtest3-writemap",
        "/tmp mtest5-writemap",
    ];
    let (disk, mut guest) = guest_with("lmdb", &all, &[])?;
    for place in ["/tmp", "/dev/shm"] {
        for name in &all {
            if !extent::is_long() && !short.contains(&&*format!("{place} {name}")) {
                continue;
            }
            let test =
                format!("mkdir {place}/testdb; cd {place}; /real/{name} > out || tail -n 3 out");
            let printed = succeed(&mut guest, &format!("({test}) && rm -r {place}/testdb"))?;
            ensure!(printed.is_empty(), "{name} in {place}: {printed}");
        }
    }
    finish(&disk, guest)
}
