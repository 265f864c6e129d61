//! What is mounted and what is refused; orphans; images made by others; failing devices.

mod common;

use common::{
    Disk, NEW, NOW, content, debugfs, mke2fs, mount, mount_with, tool, unmount, write_all,
};
use ferrix_ext2::{Access, Error, Ext2, Ino, MountOptions, Place};

fn read_only(bytes: Vec<u8>) -> Result<Ext2<Disk>, Error> {
    let disk = Disk {
        read_only: true,
        ..Disk::new(bytes)
    };
    Ext2::mount(
        disk,
        MountOptions {
            access: Access::ReadOnly,
            cache_blocks: 64,
            now: NOW,
        },
    )
}

#[test]
fn what_is_not_ext2_is_refused_and_left_alone() {
    for bytes in [
        vec![],
        vec![0; 512],
        vec![0; 1 << 20],
        b"text\n".repeat(4096),
    ] {
        let mut bytes = bytes;
        bytes.resize(bytes.len() / 512 * 512, 0);
        assert_eq!(mount_with(Disk::new(bytes), 64).err(), Some(Error::NotExt2));
    }
    let Some(bytes) = mke2fs("-b 1024", 1 << 10) else {
        return;
    };
    let half = Disk {
        read_only: true,
        ..Disk::new(bytes[..512 << 10].to_vec())
    };
    let options = MountOptions {
        access: Access::ReadOnly,
        cache_blocks: 64,
        now: NOW,
    };
    assert!(matches!(
        Ext2::mount(half, options).err(),
        Some(Error::Corrupt { .. })
    ));
    let locked = Disk {
        read_only: true,
        ..Disk::new(bytes)
    };
    assert_eq!(mount_with(locked, 64).err(), Some(Error::ReadOnly));
}

#[test]
fn features_decide() {
    let Some(extents) = mke2fs("-O extents -b 1024", 8 << 10) else {
        return;
    };
    let refused = mount_with(Disk::new(extents), 64).err();
    assert!(matches!(
        refused,
        Some(Error::Unsupported {
            what: "s_feature_incompat",
            ..
        })
    ));
    let huge = mke2fs("-b 1024 -O huge_file", 1 << 10).unwrap();
    let mut fs = mount(huge.clone());
    assert!(fs.is_read_only());
    assert_eq!(fs.create(Ino::ROOT, b"f", &NEW), Err(Error::ReadOnly));
    fs.unmount(NOW).unwrap();
    assert!(fs.into_device().bytes == huge, "a read-only mount wrote");
    let journal = mke2fs("-b 1024 -O has_journal", 8 << 10).unwrap();
    let mut fs = mount(journal);
    assert!(!fs.is_read_only());
    fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    unmount(fs, "clean journal");
}

#[test]
fn the_superblock_tells_whether_it_was_unmounted() {
    let Some(bytes) = mke2fs("-b 2048", 2 << 10) else {
        return;
    };
    assert_eq!(bytes[1024 + 58], 1);
    let fs = mount(bytes);
    assert!(fs.was_clean());
    let crashed = fs.into_device().bytes;
    assert_eq!(crashed[1024 + 58], 0);
    let fs = mount(crashed.clone());
    assert!(!fs.was_clean());
    let mut fs = fs;
    fs.unmount(NOW).unwrap();
    let bytes = fs.into_device().bytes;
    assert_eq!(bytes[1024 + 58], 0, "only e2fsck makes it clean again");
    let mut fs = read_only(crashed.clone()).unwrap();
    fs.readdir(Ino::ROOT, 0, |_| ferrix_ext2::Emit::Taken)
        .unwrap();
    fs.sync().unwrap();
    fs.unmount(NOW).unwrap();
    assert!(fs.into_device().bytes == crashed);
}

#[test]
fn open_files_outlive_their_names() {
    let Some(bytes) = mke2fs("-b 1024", 2 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let before = fs.statfs();
    let make = |fs: &mut Ext2<Disk>, name: &[u8]| {
        let ino = fs.create(Ino::ROOT, name, &NEW).unwrap();
        write_all(fs, ino, 0, &[name[0]; 30_000]);
        fs.open(ino).unwrap();
        fs.unlink(Ino::ROOT, name, NOW).unwrap();
        ino
    };
    let inos = [b"a", b"b", b"c", b"d"].map(|name| make(&mut fs, name));
    let dir = fs.mkdir(Ino::ROOT, b"dir", &NEW).unwrap();
    fs.open(dir).unwrap();
    fs.rmdir(Ino::ROOT, b"dir", NOW).unwrap();
    assert_eq!(fs.create(dir, b"f", &NEW), Err(Error::NotFound));
    assert_eq!(fs.lookup(Ino::ROOT, b"a"), Err(Error::NotFound));
    assert!(content(&mut fs, inos[1]) == [b'b'; 30_000]);
    write_all(&mut fs, inos[1], 30_000, b"more");
    // From the middle, the tail and the head of the list.
    for index in [1, 0, 3] {
        fs.close(inos[index], NOW).unwrap();
        assert_eq!(fs.getattr(inos[index]), Err(Error::Stale));
    }
    assert!(content(&mut fs, inos[2]) == [b'c'; 30_000]);
    // A crash with a file and a directory on the list.
    let mut crashed = fs;
    crashed.sync().unwrap();
    let mut fs = mount(crashed.into_device().bytes);
    assert_eq!(fs.getattr(inos[2]), Err(Error::Stale));
    let after = fs.statfs();
    assert_eq!(
        (after.blocks_free, after.files_free),
        (before.blocks_free, before.files_free)
    );
    fs.unmount(NOW).unwrap();
    common::assert_clean_but_mounted(fs.into_device().bytes, "orphans freed");
}

#[test]
fn unmounting_frees_what_is_still_open() {
    let Some(bytes) = mke2fs("-b 1024", 2 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let before = fs.statfs();
    let ino = fs.create(Ino::ROOT, b"a", &NEW).unwrap();
    write_all(&mut fs, ino, 0, &[1; 50_000]);
    fs.open(ino).unwrap();
    fs.create(Ino::ROOT, b"b", &NEW).unwrap();
    let (from, to) = (
        Place {
            dir: Ino::ROOT,
            name: b"b",
        },
        Place {
            dir: Ino::ROOT,
            name: b"a",
        },
    );
    fs.rename(from, to, NOW).unwrap();
    assert!(content(&mut fs, ino) == [1; 50_000]);
    let fs = mount(unmount(fs, "open at unmount"));
    assert_eq!(fs.statfs().blocks_free, before.blocks_free);
}

#[test]
fn a_broken_orphan_list_is_dropped_and_noted() {
    let Some(mut bytes) = mke2fs("-b 1024", 2 << 10) else {
        return;
    };
    bytes[1024 + 232..1024 + 236].copy_from_slice(&0x00ff_ffffu32.to_le_bytes());
    let mut fs = mount(bytes);
    fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    fs.unmount(NOW).unwrap();
    let bytes = fs.into_device().bytes;
    assert_eq!(bytes[1024 + 58], 3, "unmounted, with errors");
    assert_eq!(bytes[1024 + 232..1024 + 236], [0; 4]);
}

#[test]
fn a_folder_put_into_an_image_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i / 7) as u8).collect();
    std::fs::create_dir_all(dir.path().join("etc/deep")).unwrap();
    std::fs::write(dir.path().join("etc/motd"), "welcome\n").unwrap();
    std::fs::write(dir.path().join("etc/deep/data"), &data).unwrap();
    std::os::unix::fs::symlink("etc/motd", dir.path().join("link")).unwrap();
    for options in ["-b 1024", "-b 4096 -I 256"] {
        let options = format!("{options} -d {}", dir.path().display());
        let Some(bytes) = mke2fs(&options, 4 << 10) else {
            return;
        };
        let mut fs = read_only(bytes).unwrap();
        let etc = fs.lookup(fs.root(), b"etc").unwrap();
        let motd = fs.lookup(etc, b"motd").unwrap();
        assert_eq!(content(&mut fs, motd), b"welcome\n");
        let deep = fs.lookup(etc, b"deep").unwrap();
        let ino = fs.lookup(deep, b"data").unwrap();
        assert!(content(&mut fs, ino) == data);
        let link = fs.lookup(Ino::ROOT, b"link").unwrap();
        let mut target = [0; 20];
        assert_eq!(fs.readlink(link, &mut target), Ok(8));
        assert_eq!(&target[..8], b"etc/motd");
        assert_eq!(fs.lookup(motd, b"x"), Err(Error::NotDirectory));
        assert_eq!(fs.read(etc, 0, &mut target), Err(Error::IsDirectory));
    }
}

#[test]
fn hash_trees_become_lists_when_they_change() {
    let Some(bytes) = mke2fs("-b 1024 -N 4000", 4 << 10) else {
        return;
    };
    let Some(e2fsck) = tool("e2fsck") else { return };
    let mut fs = mount(bytes);
    let dir = fs.mkdir(Ino::ROOT, b"d", &NEW).unwrap();
    for index in 0..500 {
        fs.create(dir, format!("some name {index}").as_bytes(), &NEW)
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, unmount(fs, "list")).unwrap();
    let output = std::process::Command::new(e2fsck)
        .arg("-fyD")
        .arg(&image)
        .output()
        .unwrap();
    assert!(output.status.code().is_some_and(|code| code <= 1));
    let mut fs = mount(std::fs::read(&image).unwrap());
    assert_eq!(
        fs.getattr(dir).unwrap().flags & 0x1000,
        0x1000,
        "e2fsck -D made a hash tree"
    );
    assert_eq!(common::list(&mut fs, dir).len(), 500);
    for index in 0..500 {
        let name = format!("some name {index}");
        fs.lookup(dir, name.as_bytes()).unwrap();
        if index % 2 == 0 {
            fs.unlink(dir, name.as_bytes(), NOW).unwrap();
        }
        fs.create(dir, format!("new {index}").as_bytes(), &NEW)
            .unwrap();
    }
    assert_eq!(fs.getattr(dir).unwrap().flags & 0x1000, 0);
    assert_eq!(common::list(&mut fs, dir).len(), 750);
    unmount(fs, "list again");
}

#[test]
fn blocks_of_extended_attributes_go_with_their_last_file() {
    let Some(bytes) = mke2fs("-b 1024 -I 128", 2 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let before = fs.statfs();
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    write_all(&mut fs, ino, 0, &[1; 5000]);
    fs.symlink(Ino::ROOT, b"s", b"target", &NEW).unwrap();
    let bytes = unmount(fs, "without");
    let Some((folder, _)) = debugfs(&bytes, "ea_set /f user.key value") else {
        return;
    };
    let bytes = std::fs::read(folder.path().join("image")).unwrap();
    let mut fs = mount(bytes);
    assert_eq!(
        fs.getattr(ino).unwrap().blocks,
        12,
        "5 blocks and 1 of attributes"
    );
    fs.unlink(Ino::ROOT, b"f", NOW).unwrap();
    fs.unlink(Ino::ROOT, b"s", NOW).unwrap();
    assert_eq!(fs.statfs(), before);
    unmount(fs, "with");
}

#[test]
fn backups_follow() {
    let Some(bytes) = mke2fs("-b 1024 -g 1024", 8 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    write_all(&mut fs, ino, 0, &[3; 2 << 20]);
    let bytes = unmount(fs, "primary");
    // Group 1 starts at block 1025: its copy must be enough to check everything.
    let primary = &bytes[1024..2048];
    let backup = &bytes[1025 * 1024..1026 * 1024];
    assert_eq!(primary[..58], backup[..58]);
    assert_eq!(
        (backup[58], backup[90]),
        (0, 1),
        "a backup is never clean; its group's number"
    );
    let table = |block: usize| &bytes[block * 1024..(block + 1) * 1024];
    assert!(table(2) == table(1026));
}

#[test]
fn a_failing_device_fails_operations_and_nothing_else() {
    let Some(bytes) = mke2fs("-b 1024", 2 << 10) else {
        return;
    };
    for budget in 0..150 {
        let disk = Disk {
            budget,
            ..Disk::new(bytes.clone())
        };
        let Ok(mut fs) = mount_with(disk, 32) else {
            continue;
        };
        let mut failed = false;
        for index in 0..30 {
            let dir = fs.mkdir(Ino::ROOT, format!("d{index}").as_bytes(), &NEW);
            let outcome = dir
                .and_then(|dir| fs.create(dir, b"f", &NEW))
                .and_then(|ino| fs.write(ino, 9_000, &[1; 20_000], NOW))
                .and_then(|_| fs.sync());
            match outcome {
                Ok(()) => assert!(!failed, "budget {budget}: works again"),
                Err(error) => {
                    assert!(failed || error == Error::Io, "budget {budget}: {error:?}");
                    failed = true;
                }
            }
        }
        assert!(failed);
    }
}
