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
    DiskConfig {
        path: path.into(),
        read_only,
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
