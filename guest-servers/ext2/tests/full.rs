//! Full disks and full inode tables.

mod common;

use common::rng::{Rng, seed};
use common::{Disk, NEW, NOW, content, list, mke2fs, mount, unmount};
use ferrix_ext2::{Error, Ext2, Ino, Privilege};

/// Fills the disk by one file; nothing is lost on the way.
#[test]
fn a_full_disk_takes_what_fits() {
    for options in [
        "-b 1024",
        "-b 1024 -m 0 -g 512 -O ^resize_inode",
        "-b 4096 -N 100",
    ] {
        let Some(bytes) = mke2fs(options, 3 << 10) else {
            return;
        };
        let mut fs = mount(bytes);
        let before = fs.statfs();
        let ino = fs.create(Ino::ROOT, b"big", &NEW).unwrap();
        let piece = Rng::new(1).bytes(70_001);
        let mut written = Vec::new();
        loop {
            match fs.write(ino, written.len() as u64, &piece, NOW) {
                Ok(count) => written.extend_from_slice(&piece[..count]),
                Err(error) => break assert_eq!(error, Error::NoSpace),
            }
        }
        assert_eq!(fs.statfs().blocks_free, 0, "{options}");
        assert!(content(&mut fs, ino) == written);
        let link = fs.symlink(Ino::ROOT, b"slow", &[b't'; 100], &NEW);
        assert_eq!(link, Err(Error::NoSpace));
        assert_eq!(fs.mkdir(Ino::ROOT, b"dir", &NEW), Err(Error::NoSpace));
        let mut fs = mount(unmount(fs, options));
        assert!(content(&mut fs, ino) == written);
        fs.truncate(ino, 100, NOW).unwrap();
        fs.unlink(Ino::ROOT, b"big", NOW).unwrap();
        assert_eq!(fs.statfs(), before, "{options}");
        unmount(fs, options);
    }
}

/// Fills the disk by everything at once, at random, and checks that it stays whole.
#[test]
fn a_nearly_full_disk_stays_whole() {
    let Some(bytes) = mke2fs("-b 1024 -N 200", 1 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let mut rng = Rng::new(seed(9));
    let mut full = 0;
    let mut dirs = vec![Ino::ROOT];
    for step in 0..3000 {
        let dir = *rng.pick(&dirs);
        let name = format!("{}{}", "n".repeat(rng.below(200) as usize), rng.below(60));
        let result = match rng.below(6) {
            0 => fs
                .mkdir(dir, name.as_bytes(), &NEW)
                .map(|ino| dirs.push(ino)),
            1 => fs
                .symlink(dir, name.as_bytes(), &[b's'; 99], &NEW)
                .map(|_| ()),
            2 => fs.unlink(dir, name.as_bytes(), NOW),
            _ => fs.create(dir, name.as_bytes(), &NEW).and_then(|ino| {
                let len = 1 + rng.below(40_000) as usize;
                let data = rng.bytes(len);
                fs.write(ino, rng.below(400_000), &data, NOW).map(|_| ())
            }),
        };
        match result {
            Ok(()) | Err(Error::Exists | Error::NotFound | Error::IsDirectory) => {}
            Err(error) => {
                assert_eq!(error, Error::NoSpace);
                full += 1;
                if full % 40 == 0 {
                    let victims = list(&mut fs, dir);
                    for (name, ..) in victims.iter().take(10) {
                        let _ = fs.unlink(dir, name, NOW);
                    }
                }
            }
        }
        if step % 500 == 0 {
            fs = mount(unmount(fs, "nearly full"));
        }
    }
    assert!(full > 100, "the disk was full only {full} times");
    unmount(fs, "nearly full");
}

#[test]
fn inodes_run_out_and_come_back() {
    let Some(bytes) = mke2fs("-b 1024 -N 64", 2 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let before = fs.statfs();
    let mut made = 0u32;
    let error = loop {
        match fs.create(Ino::ROOT, format!("f{made}").as_bytes(), &NEW) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error, u64::from(made)),
        (Error::NoSpace, before.files_free)
    );
    assert_eq!(fs.mkdir(Ino::ROOT, b"d", &NEW), Err(Error::NoSpace));
    let mut fs = mount(unmount(fs, "no inodes"));
    for index in 0..made {
        fs.unlink(Ino::ROOT, format!("f{index}").as_bytes(), NOW)
            .unwrap();
    }
    assert_eq!(fs.statfs().files_free, before.files_free);
    unmount(fs, "inodes back");
}

#[test]
fn reserved_blocks_are_for_the_privileged() {
    let Some(bytes) = mke2fs("-b 1024 -m 20", 2 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let reserved = fs.statfs().blocks_free - fs.statfs().blocks_available;
    assert!(reserved > 300);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    let fill = |fs: &mut Ext2<Disk>| {
        let mut size = fs.getattr(ino).unwrap().size;
        loop {
            match fs.write(ino, size, &[7; 10_000], NOW) {
                Ok(count) => size += count as u64,
                Err(error) => break error,
            }
        }
    };
    fs.set_privilege(Privilege::Unprivileged);
    assert_eq!(fill(&mut fs), Error::NoSpace);
    assert_eq!(
        (fs.statfs().blocks_available, fs.statfs().blocks_free),
        (0, reserved)
    );
    fs.set_privilege(Privilege::Privileged);
    assert_eq!(fill(&mut fs), Error::NoSpace);
    assert_eq!(fs.statfs().blocks_free, 0);
    unmount(fs, "reserve");
}

/// Room ahead: what was a hole has blocks, and all reads as before.
#[test]
fn holes_get_blocks_and_stay_zero() {
    for options in ["-b 1024", "-b 4096"] {
        let Some(bytes) = mke2fs(options, 4 << 10) else {
            return;
        };
        let mut fs = mount(bytes);
        let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
        let mut model = vec![0; 300_000];
        for at in [5_000, 60_000, 299_000] {
            fs.write(ino, at, &[7; 1000], NOW).unwrap();
            model[at as usize..at as usize + 1000].fill(7);
        }
        let sparse = fs.getattr(ino).unwrap().blocks;
        fs.allocate(ino, 5_500, 200_000, NOW).unwrap();
        assert!(content(&mut fs, ino) == model);
        let dense = fs.getattr(ino).unwrap().blocks;
        assert!(dense >= sparse + 190_000 / 512, "{sparse} {dense}");
        fs.allocate(ino, 299_000, 50_000, NOW).unwrap();
        model.resize(349_000, 0);
        assert!(content(&mut fs, ino) == model);
        // What has its blocks needs no more.
        let free = fs.statfs().blocks_free;
        assert_eq!(fs.write(ino, 5_500, &[9; 150_000], NOW), Ok(150_000));
        assert_eq!(fs.statfs().blocks_free, free);
        model[5_500..155_500].fill(9);
        let mut fs = mount(unmount(fs, options));
        assert!(content(&mut fs, ino) == model);
    }
}

/// Without space for all of it, a file does not grow.
#[test]
fn room_that_is_not_there() {
    let Some(bytes) = mke2fs("-b 1024", 1 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    fs.write(ino, 3000, b"text", NOW).unwrap();
    let before = fs.statfs().blocks_free;
    assert_eq!(fs.allocate(ino, 4000, 2 << 20, NOW), Err(Error::NoSpace));
    assert_eq!(fs.getattr(ino).unwrap().size, 3004);
    assert_eq!(fs.statfs().blocks_free, before);
    assert_eq!(fs.allocate(ino, 0, 1 << 50, NOW), Err(Error::FileTooLarge));
    fs.allocate(ino, 0, 3004, NOW).unwrap();
    let bytes = [&[0; 3000][..], b"text"].concat();
    let mut fs = mount(unmount(fs, "full"));
    assert!(content(&mut fs, ino) == bytes);
}
