//! Power cuts: after any of them the file system mounts again without e2fsck, what was synced
//! is there, and going on does not damage it.

mod common;

use std::collections::BTreeSet;

use common::rng::{Rng, seed};
use common::{Disk, NEW, NOW, content, list, mke2fs, mount_with, tool, write_all};
use ferrix_ext2::{Ext2, Ino};

const FILES: u64 = 12;

/// Files that are synced, then other work until the power goes.
fn session(bytes: Vec<u8>, rng: &mut Rng) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut fs = mount_with(Disk::new(bytes), 64).unwrap();
    let dir = fs.mkdir(Ino::ROOT, b"kept", &NEW).unwrap();
    let mut kept = Vec::new();
    for index in 0..FILES {
        let ino = fs.create(dir, format!("{index}").as_bytes(), &NEW).unwrap();
        let len = rng.below(60_000) as usize;
        let data = rng.bytes(len);
        write_all(&mut fs, ino, 0, &data);
        fs.fsync(ino).unwrap();
        kept.push(data);
    }
    fs.fsync(dir).unwrap();
    fs.fsync(Ino::ROOT).unwrap();
    let disk = fs.into_device();
    let power = 5 + rng.below(200);
    let mut fs = mount_with(
        Disk {
            power,
            writes: 0,
            ..disk
        },
        64,
    )
    .unwrap();
    if let Ok(other) = fs.mkdir(Ino::ROOT, b"other", &NEW) {
        work(&mut fs, other, rng, 400);
    }
    (fs.into_device().bytes, kept)
}

fn work(fs: &mut Ext2<Disk>, dir: Ino, rng: &mut Rng, steps: u32) {
    for _ in 0..steps {
        let name = format!("{}", rng.below(30));
        if let Ok(ino) = fs.create(dir, name.as_bytes(), &NEW) {
            let _ = fs.write(ino, 0, &vec![0xdd; rng.below(40_000) as usize], NOW);
        } else {
            let _ = fs.unlink(dir, name.as_bytes(), NOW);
        }
        if rng.one_in(10) {
            let _ = fs.sync();
        }
    }
}

fn assert_kept(fs: &mut Ext2<Disk>, kept: &[Vec<u8>], context: &str) {
    let dir = fs.lookup(Ino::ROOT, b"kept").unwrap();
    for (index, data) in kept.iter().enumerate() {
        let ino = fs.lookup(dir, format!("{index}").as_bytes()).unwrap();
        assert!(&content(fs, ino) == data, "{context}: synced file {index}");
    }
}

#[test]
fn what_was_synced_survives() {
    let Some(image) = mke2fs("-b 1024", 4 << 10) else {
        return;
    };
    let first = seed(31);
    for round in 0..40 {
        let context = format!("seed {first}, round {round}");
        let mut rng = Rng::new(first * 1000 + round);
        let (crashed, kept) = session(image.clone(), &mut rng);
        let mut fs = mount_with(Disk::new(crashed.clone()), 64).unwrap();
        assert!(!fs.was_clean());
        assert_kept(&mut fs, &kept, &context);
        let new = fs.mkdir(Ino::ROOT, b"new", &NEW).unwrap();
        work(&mut fs, new, &mut rng, 200);
        assert_no_inode_twice(&mut fs, &context);
        let left = fs.lookup(Ino::ROOT, b"other");
        if let Ok(left) = left {
            work(&mut fs, left, &mut rng, 200);
        }
        assert_kept(&mut fs, &kept, &context);
        fs.unmount(NOW).unwrap();
        assert_nothing_shared(&fs.into_device().bytes, &context);
        repair_and_compare(crashed, &kept, &context);
    }
}

/// The test makes no hard links: two names of one inode would be a file that came back from
/// its deletion and shares its inode with a new one.
fn assert_no_inode_twice(fs: &mut Ext2<Disk>, context: &str) {
    let mut seen = BTreeSet::new();
    for dir in [&b"kept"[..], b"other", b"new"] {
        let Ok(dir) = fs.lookup(Ino::ROOT, dir) else {
            continue;
        };
        for (name, ino, _) in list(fs, dir) {
            let name = String::from_utf8_lossy(&name).into_owned();
            assert!(seen.insert(ino), "{context}: {name} shares {ino:?}");
        }
    }
}

/// Lost space may be found, but no block that belongs to two files.
fn assert_nothing_shared(bytes: &[u8], context: &str) {
    let Some(e2fsck) = tool("e2fsck") else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, bytes).unwrap();
    let output = std::process::Command::new(e2fsck)
        .arg("-fn")
        .arg(&image)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("ultiply-claimed"), "{context}: {text}");
}

/// `e2fsck -fy` mends what the power cut left, and the files are still there.
fn repair_and_compare(bytes: Vec<u8>, kept: &[Vec<u8>], context: &str) {
    let Some(e2fsck) = tool("e2fsck") else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, bytes).unwrap();
    let output = std::process::Command::new(e2fsck)
        .arg("-fy")
        .arg(&image)
        .output()
        .unwrap();
    assert!(
        output.status.code().is_some_and(|code| code <= 1),
        "{context}: {output:?}"
    );
    let mut fs = mount_with(Disk::new(std::fs::read(&image).unwrap()), 64).unwrap();
    assert!(fs.was_clean());
    assert_kept(&mut fs, kept, context);
}
