//! Damaged images: whatever the bytes are, nothing panics and nothing takes long.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::rng::{Rng, seed};
use common::{Disk, NEW, NOW, mke2fs, mount, mount_with, unmount, write_all};
use ferrix_ext2::{Emit, Error, Ext2, FileType, Ino, Place, SetAttr};

/// A small file system with one of everything.
fn populated(options: &str) -> Option<Vec<u8>> {
    let mut fs = mount(mke2fs(options, 1 << 10)?);
    let mut dir = Ino::ROOT;
    for level in 0..4 {
        for index in 0..12 {
            let name = format!("file {level} {index}");
            let ino = fs.create(dir, name.as_bytes(), &NEW).unwrap();
            write_all(&mut fs, ino, 0, &vec![index as u8; 300 * index]);
        }
        let sparse = fs.create(dir, b"sparse", &NEW).unwrap();
        for shift in [10, 14, 19, 27] {
            write_all(&mut fs, sparse, 1 << shift, b"piece");
        }
        fs.symlink(dir, b"fast", b"target", &NEW).unwrap();
        fs.symlink(dir, b"slow", &[b't'; 200], &NEW).unwrap();
        fs.link(sparse, dir, b"hard", NOW).unwrap();
        dir = fs.mkdir(dir, b"down", &NEW).unwrap();
    }
    Some(unmount(fs, "populated"))
}

/// Blocks that hold metadata: all that are not zero and not file data.
fn interesting(bytes: &[u8]) -> Vec<usize> {
    let chunk = 128;
    (0..bytes.len() / chunk)
        .filter(|&i| {
            let part = &bytes[i * chunk..(i + 1) * chunk];
            part.iter().any(|&byte| byte != part[0])
        })
        .map(|i| i * chunk)
        .collect()
}

fn damage(bytes: &mut [u8], places: &[usize], rng: &mut Rng) {
    for _ in 0..1 + rng.below(12) {
        let at = match rng.below(6) {
            0 => 1024 + rng.below(264) as usize,
            _ => *rng.pick(places) + rng.below(128) as usize,
        };
        match rng.below(4) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next() as u8,
            2 => bytes[at] = *rng.pick(&[0, 0xff, 0x7f, 0x80, 1]),
            _ => {
                // A pointer to somewhere plausible, where a pointer may be.
                let at = at & !3;
                bytes[at..at + 4].copy_from_slice(&(rng.below(1100) as u32).to_le_bytes());
            }
        }
    }
}

/// Reads all that can be reached; returns (directory, name, inode) of it.
fn survey(fs: &mut Ext2<Disk>) -> Vec<(Ino, Vec<u8>, Ino)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![Ino::ROOT];
    let mut buf = vec![0; 50_000];
    while let Some(dir) = open.pop() {
        if !seen.insert(dir) {
            continue;
        }
        let start = found.len();
        let _ = fs.readdir(dir, 0, |entry| {
            found.push((dir, entry.name.to_vec(), entry.ino));
            if found.len() - start < 200 {
                Emit::Taken
            } else {
                Emit::Full
            }
        });
        for (dir, name, ino) in &found[start..] {
            let (dir, ino) = (*dir, *ino);
            let _ = fs.lookup(dir, name);
            match fs.getattr(ino).map(|stat| stat.file_type) {
                Ok(FileType::Directory) => open.push(ino),
                Ok(FileType::Symlink) => drop(fs.readlink(ino, &mut buf)),
                Ok(_) => {
                    for offset in [0, 1 << 14, 1 << 19, 1 << 27, 1 << 33] {
                        let _ = fs.read(ino, offset, &mut buf);
                    }
                }
                Err(_) => {}
            }
        }
    }
    found
}

/// Changes what was found, in every way there is.
fn abuse(fs: &mut Ext2<Disk>, found: &[(Ino, Vec<u8>, Ino)], rng: &mut Rng) {
    for _ in 0..60 {
        let (dir, name, ino) = rng.pick(found);
        let (other_dir, other_name, _) = rng.pick(found);
        let fresh = format!("new {}", rng.below(1000));
        match rng.below(12) {
            0 => drop(fs.create(*dir, fresh.as_bytes(), &NEW)),
            1 => drop(fs.mkdir(*dir, fresh.as_bytes(), &NEW)),
            2 => drop(fs.unlink(*dir, name, NOW)),
            3 => drop(fs.rmdir(*dir, name, NOW)),
            4 => drop(fs.rename(
                Place { dir: *dir, name },
                Place {
                    dir: *other_dir,
                    name: other_name,
                },
                NOW,
            )),
            5 => drop(fs.rename(
                Place { dir: *dir, name },
                Place {
                    dir: *other_dir,
                    name: fresh.as_bytes(),
                },
                NOW,
            )),
            6 => drop(fs.link(*ino, *other_dir, fresh.as_bytes(), NOW)),
            7 => drop(fs.write(*ino, rng.below(1 << 28), &[7; 3000], NOW)),
            8 => drop(fs.truncate(*ino, rng.below(1 << 15), NOW)),
            9 => drop(fs.open(*ino)),
            10 => drop(fs.close(*ino, NOW)),
            _ => {
                let attr = SetAttr {
                    size: Some(0),
                    uid: Some(1),
                    ..SetAttr::default()
                };
                let _ = fs.setattr(*ino, &attr, NOW);
            }
        }
    }
    let _ = fs.sync();
}

fn torture(options: &str, default_seed: u64, rounds: u64) {
    let Some(pristine) = populated(options) else {
        return;
    };
    let places = interesting(&pristine);
    let first = seed(default_seed);
    let mut mounted = 0;
    for round in 0..rounds {
        let mut rng = Rng::new(first * 1_000_003 + round);
        let mut bytes = pristine.clone();
        damage(&mut bytes, &places, &mut rng);
        let start = Instant::now();
        if let Ok(mut fs) = mount_with(Disk::new(bytes), 64) {
            mounted += 1;
            let found = survey(&mut fs);
            if !found.is_empty() {
                abuse(&mut fs, &found, &mut rng);
            }
            survey(&mut fs);
            let _ = fs.unmount(NOW);
        }
        let time = start.elapsed();
        assert!(
            time < Duration::from_secs(5),
            "seed {first}, round {round} took {time:?}"
        );
    }
    assert!(
        mounted > rounds / 4,
        "only {mounted} of {rounds} could be mounted"
    );
}

#[test]
fn damaged_images_of_1k_blocks() {
    torture("-b 1024 -N 128", 21, 1500);
}

#[test]
fn damaged_images_of_4k_blocks() {
    torture("-b 4096 -N 128", 22, 1500);
}

#[test]
fn damaged_images_of_small_groups() {
    torture("-b 1024 -g 256 -N 128 -O ^resize_inode,^filetype", 23, 1500);
}

/// A file whose pointers lead to the inode table, a bitmap or the superblock cannot be used
/// to read or overwrite these.
#[test]
fn pointers_to_metadata_are_refused() {
    let Some(pristine) = populated("-b 1024 -N 128") else {
        return;
    };
    let mut fs = mount(pristine.clone());
    let ino = fs.lookup(Ino::ROOT, b"file 0 5").unwrap();
    let word = |at: usize| u32::from_le_bytes(pristine[at..at + 4].try_into().unwrap());
    let (block_bitmap, inode_bitmap, table) = (word(2048), word(2052), word(2056));
    let inode_size = usize::from(pristine[1024 + 88]) | usize::from(pristine[1024 + 89]) << 8;
    let pointer = table as usize * 1024 + (ino.0 as usize - 1) * inode_size + 40;
    for target in [
        1,
        2,
        block_bitmap,
        inode_bitmap,
        table,
        table + 3,
        1024,
        u32::MAX,
    ] {
        let mut bytes = pristine.clone();
        bytes[pointer..pointer + 4].copy_from_slice(&target.to_le_bytes());
        let mut fs = mount_with(Disk::new(bytes), 64).unwrap();
        let corrupt = |result| matches!(result, Err(Error::Corrupt { .. }));
        assert!(
            corrupt(fs.read(ino, 0, &mut [0; 10])),
            "read from block {target}"
        );
        assert!(
            corrupt(fs.write(ino, 0, b"x", NOW)),
            "write to block {target}"
        );
        assert!(
            corrupt(fs.truncate(ino, 0, NOW).map(|()| 0)),
            "free of block {target}"
        );
        fs.unmount(NOW).unwrap();
        assert_eq!(
            fs.into_device().bytes[1024 + 58] & 2,
            2,
            "s_state says errors"
        );
    }
}
