use std::os::unix::fs::PermissionsExt;

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::config::MemorySize;
use crate::memory;
use crate::virtio::Segment;

fn file(size: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    file
}

fn config(path: &std::path::Path, read_only: bool) -> DiskConfig {
    let mode = match read_only {
        true => DiskMode::ReadOnly,
        false => DiskMode::ReadWrite,
    };
    DiskConfig {
        path: path.into(),
        mode,
        holds: None,
    }
}

fn defect(config: &DiskConfig) -> DiskDefect {
    let error = Disk::open(config).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&config.path.display().to_string()),
        "{text} names the file"
    );
    assert!(text.contains(';'), "{text} has a remedy");
    error.defect
}

#[test]
fn defects_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.img");
    assert!(matches!(
        defect(&config(&missing, false)),
        DiskDefect::Missing
    ));
    assert!(matches!(
        defect(&config(folder.path(), true)),
        DiskDefect::NotADisk
    ));
    assert!(matches!(
        defect(&config(folder.path(), false)),
        DiskDefect::NotADisk
    ));
    assert!(matches!(
        defect(&config(file(0).path(), false)),
        DiskDefect::Empty
    ));
    assert!(matches!(
        defect(&config(file(1000).path(), false)),
        DiskDefect::OddSize(1000)
    ));
}

#[test]
fn a_root_must_hold_its_file_system() {
    let disk = file(64 << 10);
    let mut wanted = config(disk.path(), false);
    wanted.holds = Some(FileSystem::Ext2);
    assert!(matches!(defect(&wanted), DiskDefect::NotExt2));
    let tiny = file(512);
    wanted.path = tiny.path().into();
    assert!(matches!(defect(&wanted), DiskDefect::NotExt2));
    std::os::unix::fs::FileExt::write_all_at(disk.as_file(), &[0x53, 0xef], 1024 + 56).unwrap();
    wanted.path = disk.path().into();
    assert!(Disk::open(&wanted).is_ok());
}

#[test]
fn read_only_file_needs_ro() {
    let disk = file(4096);
    std::fs::set_permissions(disk.path(), std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(Disk::open(&config(disk.path(), true)).is_ok());
    // The superuser may write it all the same.
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(
            defect(&config(disk.path(), false)),
            DiskDefect::NotWritable
        ));
    }
}

#[test]
fn writers_are_alone_and_readers_share() {
    let disk = file(4096);
    let writer = Disk::open(&config(disk.path(), false)).unwrap();
    assert!(matches!(
        defect(&config(disk.path(), false)),
        DiskDefect::Locked
    ));
    assert!(matches!(
        defect(&config(disk.path(), true)),
        DiskDefect::Locked
    ));
    drop(writer);
    let _one = Disk::open(&config(disk.path(), true)).unwrap();
    let _two = Disk::open(&config(disk.path(), true)).unwrap();
}

#[test]
fn segments_are_gathered_and_scattered() {
    let disk = Disk::open(&config(file(8192).path(), false)).unwrap();
    let ram = memory::allocate(MemorySize::mib(1)).unwrap();
    let text: Vec<u8> = (0..1024u32).map(|i| i as u8).collect();
    ram.write_slice(&text, GuestAddress(0x1000)).unwrap();
    let source = [(0x1000, 100), (0x1064, 0), (0x1064, 924)].map(Segment::from);
    disk.write(&ram, 512, &source).unwrap();
    let target = [(0x8000, 1000), (0x9000, 24)].map(Segment::from);
    disk.read(&ram, 512, &target).unwrap();
    let mut got = vec![0; 24];
    ram.read_slice(&mut got, GuestAddress(0x9000)).unwrap();
    assert_eq!(got, text[1000..]);
    disk.write_zeroes(1, 1).unwrap();
    disk.discard(2, 1).unwrap();
    disk.flush().unwrap();
    disk.read(&ram, 512, &[Segment::from((0x8000, 512))])
        .unwrap();
    let mut zeroes = vec![1; 512];
    ram.read_slice(&mut zeroes, GuestAddress(0x8000)).unwrap();
    assert!(zeroes.iter().all(|b| *b == 0));
}

#[test]
fn segments_outside_ram_are_errors() {
    let disk = Disk::open(&config(file(8192).path(), false)).unwrap();
    let ram = memory::allocate(MemorySize::mib(1)).unwrap();
    for bad in [(1 << 20, 512), ((1 << 20) - 1, 2), (u64::MAX - 3, 512)] {
        assert!(
            disk.read(&ram, 0, &[Segment::from(bad)]).is_err(),
            "{bad:x?}"
        );
    }
    assert!(
        disk.read(&ram, 8192, &[Segment::from((0, 512))]).is_err(),
        "beyond the end"
    );
}

fn snapshot(file: &tempfile::NamedTempFile) -> Disk {
    let mut config = config(file.path(), true);
    config.mode = DiskMode::Snapshot;
    Disk::open(&config).unwrap()
}

#[test]
fn snapshots_share_a_disk_that_nobody_writes() {
    let file = file(4096);
    let (_one, _two) = (snapshot(&file), snapshot(&file));
    assert!(matches!(
        defect(&config(file.path(), false)),
        DiskDefect::Locked
    ));
}

/// What a guest may do to a snapshot.
#[derive(Clone, Debug)]
enum Act {
    Write(u64, u64, u8),
    Zero(u64, u64),
    Discard(u64, u64),
}

proptest::proptest! {
    /// A snapshot reads as a disk would that was written, and the file stays what it was.
    #[test]
    fn a_snapshot_is_a_disk_of_its_own(acts in proptest::collection::vec(act(), 0..20)) {
        const SECTORS: u64 = 51;
        let size = SECTORS * SECTOR;
        let pristine: Vec<u8> = (0..size).map(|i| (i / 64) as u8).collect();
        let (file, mut model) = (file(size), pristine.clone());
        std::fs::write(file.path(), &pristine).unwrap();
        let (disk, ram) = (snapshot(&file), memory::allocate(MemorySize::mib(1)).unwrap());
        for act in acts {
            match act {
                Act::Write(sector, count, byte) => {
                    let range = (sector * SECTOR) as usize..((sector + count) * SECTOR) as usize;
                    ram.write_slice(&vec![byte; range.len()], GuestAddress(0x8000)).unwrap();
                    let half = range.len() as u32 / 2;
                    let pieces = [(0x8000, half), (0x8000 + u64::from(half), half)].map(Segment::from);
                    disk.write(&ram, sector * SECTOR, &pieces).unwrap();
                    model[range].fill(byte);
                }
                Act::Zero(sector, count) => {
                    disk.write_zeroes(sector, count).unwrap();
                    model[(sector * SECTOR) as usize..((sector + count) * SECTOR) as usize].fill(0);
                }
                Act::Discard(sector, count) => disk.discard(sector, count).unwrap(),
            }
        }
        let mut bytes = vec![0; size as usize];
        disk.read(&ram, 0, &[(0x8000, 700), (0x9000, size as u32 - 700)].map(Segment::from)).unwrap();
        ram.read_slice(&mut bytes[..700], GuestAddress(0x8000)).unwrap();
        ram.read_slice(&mut bytes[700..], GuestAddress(0x9000)).unwrap();
        proptest::prop_assert!(bytes == model);
        proptest::prop_assert!(std::fs::read(file.path()).unwrap() == pristine);
    }
}

fn act() -> impl proptest::strategy::Strategy<Value = Act> {
    use proptest::prelude::*;
    (0u64..50, 1u64..30, 0u8..3, any::<u8>()).prop_map(|(sector, count, kind, byte)| {
        let count = count.min(51 - sector);
        match kind {
            0 => Act::Write(sector, count, byte),
            1 => Act::Zero(sector, count),
            _ => Act::Discard(sector, count),
        }
    })
}
