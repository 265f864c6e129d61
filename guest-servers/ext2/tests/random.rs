//! Random operations against the model, on every block size and feature set; after each
//! session `e2fsck` must find nothing and `debugfs` must see the same tree.

mod common;

use common::rng::seed;
use common::session::Session;
use common::{NOW, assert_clean_but_mounted, mke2fs, mount, unmount};
use ferrix_ext2::Ino;

/// Operations on each image.
const STEPS: u64 = 5000;

fn run(options: &str, kib: u64, default_seed: u64) {
    let Some(bytes) = mke2fs(options, kib) else {
        return;
    };
    let seed = seed(default_seed);
    let mut session = Session::new(bytes, seed);
    for round in 0..5 {
        for _ in 0..STEPS / 5 {
            session.step();
        }
        session.compare_all();
        let context = format!("mke2fs {options}, seed {seed}, round {round}");
        session = session.remount(&context);
    }
    session.model.close_all();
    let bytes = unmount(session.fs, "end");
    session.fs = mount(bytes.clone());
    session.compare_with_debugfs(&bytes);
}

#[test]
fn blocks_of_1k() {
    run("-b 1024", 24 << 10, 1);
}

#[test]
fn blocks_of_2k() {
    run("-b 2048", 24 << 10, 2);
}

#[test]
fn blocks_of_4k() {
    run("-b 4096 -N 4096", 24 << 10, 3);
}

#[test]
fn revision_0() {
    run("-b 1024 -r 0", 24 << 10, 4);
}

#[test]
fn no_features() {
    run("-b 1024 -O none -I 128", 24 << 10, 5);
}

#[test]
fn inodes_of_256_bytes_and_many_small_groups() {
    run("-b 1024 -I 256 -g 1024 -O ^resize_inode", 24 << 10, 6);
}

#[test]
fn no_sparse_superblocks_and_no_file_types() {
    run(
        "-b 4096 -g 512 -O ^sparse_super,^filetype,^resize_inode -N 4096",
        24 << 10,
        7,
    );
}

#[test]
fn what_is_synced_is_whole() {
    let Some(bytes) = mke2fs("-b 1024", 8 << 10) else {
        return;
    };
    let mut session = Session::new(bytes, seed(8));
    for _ in 0..600 {
        session.step();
    }
    let orphans: Vec<Ino> = session
        .model
        .nodes
        .iter()
        .filter(|(_, n)| n.nlink == 0)
        .map(|(&i, _)| i)
        .collect();
    for ino in orphans {
        while session.model.nodes.contains_key(&ino) {
            session.fs.close(ino, NOW).unwrap();
            session.model.close(ino);
        }
    }
    session.fs.sync().unwrap();
    let bytes = session.fs.into_device().bytes;
    assert_clean_but_mounted(bytes.clone(), "synced");
    session.fs = mount(bytes);
    assert!(!session.fs.was_clean());
    session.model.close_all();
    session.compare_all();
}
