//! The far ends: triple indirect blocks, big directories, long names, many links, few requests.

mod common;

use common::rng::Rng;
use common::{
    Disk, NEW, NOW, assert_clean_but_mounted, content, debugfs, list, mke2fs, mount, mount_with,
    unmount, write_all,
};
use ferrix_ext2::{Emit, Error, Ino, LINK_MAX, Place};

/// First blocks of the direct, single, double and triple range, and the last block of all.
fn landmarks(block_size: u64) -> [u64; 5] {
    let pointers = block_size / 4;
    let double = 12 + pointers;
    let triple = double + pointers * pointers;
    [
        0,
        12,
        double,
        triple,
        triple + pointers * pointers * pointers - 1,
    ]
}

fn sparse(block_size: u64) {
    let Some(bytes) = mke2fs(&format!("-b {block_size}"), 4 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let free = fs.statfs().blocks_free;
    let ino = fs.create(Ino::ROOT, b"sparse", &NEW).unwrap();
    let mut marks = landmarks(block_size);
    if block_size == 4096 {
        // i_blocks ends first, at just under 2 TiB.
        marks[4] = (1 << 29) - 600_000;
    }
    for (index, &block) in marks.iter().enumerate() {
        // Across the end of the block before, where there is one.
        let offset = (block * block_size).saturating_sub(3);
        let piece = [index as u8 + 1; 9];
        write_all(&mut fs, ino, offset, &piece);
        let mut buf = [0xee; 20];
        assert_eq!(fs.read(ino, offset, &mut buf), Ok(9));
        assert_eq!(buf[..9], piece);
    }
    let size = fs.getattr(ino).unwrap().size;
    assert_eq!(fs.write(ino, 1 << 50, b"x", NOW), Err(Error::FileTooLarge));
    assert_eq!(fs.truncate(ino, 1 << 50, NOW), Err(Error::FileTooLarge));
    let mut hole = [0xee; 5000];
    assert_eq!(
        fs.read(ino, marks[3] * block_size + 20_000, &mut hole),
        Ok(5000)
    );
    assert_eq!(hole, [0; 5000]);
    let mut fs = mount(unmount(fs, "sparse"));
    assert_eq!(fs.getattr(ino).unwrap().size, size);
    for (index, &block) in marks.iter().enumerate().rev() {
        let mut buf = [0; 6];
        assert_eq!(fs.read(ino, block * block_size, &mut buf), Ok(6));
        assert_eq!(buf, [index as u8 + 1; 6]);
        fs.truncate(ino, block * block_size + 2, NOW).unwrap();
        fs.truncate(ino, block * block_size + 6, NOW).unwrap();
        fs.read(ino, block * block_size, &mut buf).unwrap();
        assert_eq!(buf[2..], [0; 4], "what was cut reads as zeros");
        fs = mount(unmount(fs, "cut"));
        fs.truncate(ino, block * block_size, NOW).unwrap();
    }
    assert_eq!(fs.getattr(ino).unwrap().blocks, 0);
    fs.unlink(Ino::ROOT, b"sparse", NOW).unwrap();
    assert_eq!(fs.statfs().blocks_free, free);
    unmount(fs, "empty again");
}

#[test]
fn sparse_files_to_triple_indirect_1k() {
    sparse(1024);
}

#[test]
fn sparse_files_to_triple_indirect_2k() {
    sparse(2048);
}

#[test]
fn sparse_files_to_triple_indirect_4k() {
    sparse(4096);
}

#[test]
fn debugfs_maps_the_same_blocks() {
    let Some(bytes) = mke2fs("-b 1024", 4 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    let [.., triple, last] = landmarks(1024);
    for block in [triple, triple + 70_000, last] {
        write_all(&mut fs, ino, block * 1024, &block.to_le_bytes().repeat(128));
    }
    let bytes = unmount(fs, "mapped");
    for block in [triple, triple + 70_000, last] {
        let Some((_dir, out)) = debugfs(&bytes, &format!("bmap /f {block}")) else {
            return;
        };
        let at = out.trim().parse::<usize>().unwrap() * 1024;
        assert_eq!(bytes[at..at + 1024], block.to_le_bytes().repeat(128));
    }
}

#[test]
fn revision_0_files_end_at_2_gib() {
    let Some(bytes) = mke2fs("-b 1024 -r 0", 4 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    assert_eq!(fs.write(ino, (1 << 31) - 3, b"abc", NOW), Ok(2));
    assert_eq!(
        fs.write(ino, (1 << 31) - 1, b"abc", NOW),
        Err(Error::FileTooLarge)
    );
    unmount(fs, "2 GiB");
}

#[test]
fn a_large_file_sets_its_feature() {
    let Some(bytes) = mke2fs("-b 1024 -O ^large_file", 4 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    write_all(&mut fs, ino, 3 << 30, b"far");
    let bytes = unmount(fs, "large");
    assert_eq!(bytes[1024 + 100] & 2, 2, "RO_COMPAT_LARGE_FILE");
}

#[test]
fn a_big_directory_is_listed_while_it_shrinks() {
    let Some(bytes) = mke2fs("-b 1024 -N 8000", 8 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let dir = fs.mkdir(Ino::ROOT, b"big", &NEW).unwrap();
    for index in 0..2000 {
        fs.create(dir, format!("entry number {index}").as_bytes(), &NEW)
            .unwrap();
    }
    let mut fs = mount(unmount(fs, "big directory"));
    // Lists in small pieces and removes what was listed; each entry comes exactly once.
    let (mut cookie, mut seen) = (0, std::collections::BTreeSet::new());
    loop {
        let mut piece = Vec::new();
        let next = fs
            .readdir(dir, cookie, |entry| {
                if piece.len() == 7 {
                    return Emit::Full;
                }
                piece.push(entry.name.to_vec());
                Emit::Taken
            })
            .unwrap();
        if piece.is_empty() {
            assert_eq!(next, cookie);
            break;
        }
        cookie = next;
        for name in piece {
            if !name.starts_with(b".") {
                fs.unlink(dir, &name, NOW).unwrap();
            }
            assert!(seen.insert(name));
        }
    }
    assert_eq!(seen.len(), 2002);
    assert!(list(&mut fs, dir).is_empty());
    fs.rmdir(Ino::ROOT, b"big", NOW).unwrap();
    unmount(fs, "gone");
}

#[test]
fn links_end_at_their_limit() {
    let Some(bytes) = mke2fs("-b 4096 -N 100", 8 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    // 32,000 names in one directory would take the linear walk 10^9 steps: spread them.
    let mut made = 1;
    for number in 0.. {
        let dir = fs
            .mkdir(Ino::ROOT, format!("d{number}").as_bytes(), &NEW)
            .unwrap();
        for index in 0..500 {
            match fs.link(ino, dir, format!("{index}").as_bytes(), NOW) {
                Ok(()) => made += 1,
                Err(error) => {
                    assert_eq!((error, made), (Error::TooManyLinks, LINK_MAX));
                    unmount(fs, "links");
                    return;
                }
            }
        }
    }
}

#[test]
fn names_have_rules() {
    let Some(bytes) = mke2fs("-b 1024", 1 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let dir = fs.mkdir(Ino::ROOT, b"d", &NEW).unwrap();
    for name in [&b""[..], b"a/b", b"a\0b"] {
        assert_eq!(fs.create(Ino::ROOT, name, &NEW), Err(Error::Invalid));
    }
    assert_eq!(
        fs.create(Ino::ROOT, &[b'n'; 256], &NEW),
        Err(Error::NameTooLong)
    );
    fs.create(Ino::ROOT, &[b'n'; 255], &NEW).unwrap();
    assert_eq!(fs.mkdir(Ino::ROOT, b"..", &NEW), Err(Error::Exists));
    assert_eq!(fs.rmdir(dir, b".", NOW), Err(Error::Invalid));
    assert_eq!(fs.rmdir(dir, b"..", NOW), Err(Error::NotEmpty));
    assert_eq!(fs.unlink(dir, b"..", NOW), Err(Error::IsDirectory));
    let (dot, target) = (
        Place { dir, name: b"." },
        Place {
            dir: Ino::ROOT,
            name: b"x",
        },
    );
    assert_eq!(fs.rename(dot, target, NOW), Err(Error::Invalid));
    assert_eq!(
        fs.symlink(Ino::ROOT, b"s", &[b't'; 1024], &NEW),
        Err(Error::NameTooLong)
    );
    for len in [59, 60, 1023] {
        let name = format!("s{len}");
        let ino = fs
            .symlink(Ino::ROOT, name.as_bytes(), &vec![b't'; len], &NEW)
            .unwrap();
        let blocks = fs.getattr(ino).unwrap().blocks;
        assert_eq!(blocks, if len < 60 { 0 } else { 2 });
        assert_eq!(fs.readlink(ino, &mut [0; 2000]), Ok(len));
    }
    unmount(fs, "names");
}

#[test]
fn files_written_in_turns_stay_in_pieces_of_runs() {
    let Some(bytes) = mke2fs("-b 1024", 8 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let files: Vec<Ino> = (0..4)
        .map(|i| {
            fs.create(Ino::ROOT, format!("f{i}").as_bytes(), &NEW)
                .unwrap()
        })
        .collect();
    for block in 0..256u64 {
        for (index, &ino) in files.iter().enumerate() {
            write_all(&mut fs, ino, block * 1024, &[index as u8; 1024]);
        }
    }
    fs.sync().unwrap();
    let bytes = unmount(fs, "in turns");
    let mut fs = mount(bytes);
    let before = fs.cache_stats().device_reads;
    for (index, &ino) in files.iter().enumerate() {
        assert!(content(&mut fs, ino) == vec![index as u8; 256 << 10]);
    }
    let requests = fs.cache_stats().device_reads - before;
    assert!(requests < 4 * 256 / 6, "1 MiB took {requests} requests");
}

#[test]
fn sequential_access_is_few_requests_and_warm_reads_are_none() {
    let Some(bytes) = mke2fs("-b 4096", 8 << 10) else {
        return;
    };
    let mut fs = mount(bytes);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    for piece in 0..256u64 {
        write_all(&mut fs, ino, piece * 4096, &[piece as u8; 4096]);
    }
    fs.sync().unwrap();
    let writes = fs.cache_stats();
    assert!(writes.device_writes < 20, "{writes:?}");
    assert_clean_but_mounted(unmount(fs, "written"), "written");
    let disk = Disk::new(mke2fs("-b 4096", 8 << 10).unwrap());
    let mut fs = mount_with(disk, 512).unwrap();
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    write_all(&mut fs, ino, 0, &[5; 1 << 20]);
    let mut fs = mount(unmount(fs, "again"));
    let mut buf = [0; 4096];
    let before = fs.cache_stats().device_reads;
    for piece in 0..256 {
        fs.read(ino, piece * 4096, &mut buf).unwrap();
        assert_eq!(buf, [5; 4096]);
    }
    let cold = fs.cache_stats().device_reads - before;
    assert!(cold < 20, "{cold} requests for 1 MiB in sequence");
    for piece in 0..256 {
        fs.read(ino, piece * 4096, &mut buf).unwrap();
    }
    assert_eq!(
        fs.cache_stats().device_reads - before,
        cold,
        "warm reads ask the device"
    );
}

#[test]
fn a_small_cache_is_enough() {
    let Some(bytes) = mke2fs("-b 1024", 8 << 10) else {
        return;
    };
    let mut fs = mount_with(Disk::new(bytes), 0).unwrap();
    let data = Rng::new(3).bytes(3 << 20);
    let ino = fs.create(Ino::ROOT, b"f", &NEW).unwrap();
    write_all(&mut fs, ino, 0, &data);
    assert!(content(&mut fs, ino) == data);
    assert!(fs.cache_stats().cached <= 32);
    let mut fs = mount(unmount(fs, "small cache"));
    assert!(content(&mut fs, ino) == data);
}
