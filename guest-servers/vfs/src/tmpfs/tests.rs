mod allocate;
mod memory;
mod model;

use super::*;
use crate::dirent::records;
use crate::errno::{EEXIST, EFBIG, ENOSPC, ENXIO};
use memory::Memory;

const ROOM: u64 = 64;

fn fresh() -> (Tmpfs<Memory>, Memory) {
    let memory = Memory::new();
    let options = Options {
        pages: ROOM,
        inodes: 40,
        ..Options::of_machine(0)
    };
    (Tmpfs::new(memory.clone(), options), memory)
}

fn node(mode: u32) -> NewNode {
    NewNode {
        mode,
        uid: 5,
        gid: 6,
        rdev: 0,
    }
}

fn file(tmpfs: &mut Tmpfs<Memory>, name: &[u8]) -> u64 {
    let made = tmpfs.create(ROOT, name, node(linux::S_IFREG | 0o640));
    made.unwrap().inode
}

fn size(tmpfs: &mut Tmpfs<Memory>, inode: u64, size: u64) -> Result<()> {
    let to = Attributes {
        size,
        ..Attributes::default()
    };
    tmpfs.set_attributes(inode, Change::SIZE, &to)
}

fn used(tmpfs: &mut Tmpfs<Memory>) -> u64 {
    let info = tmpfs.info().unwrap();
    info.blocks - info.blocks_free
}

fn content(tmpfs: &mut Tmpfs<Memory>, inode: u64) -> Vec<u8> {
    let mut bytes = vec![0xff; tmpfs.attributes(inode).unwrap().size as usize + 10];
    let length = tmpfs.read(inode, 0, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn attributes_of_what_is_made() {
    let (mut tmpfs, _) = fresh();
    let made = tmpfs
        .create(ROOT, b"f", node(linux::S_IFREG | 0o640))
        .unwrap();
    assert_eq!(
        (made.mode, made.links, made.uid, made.gid),
        (0o100_640, 1, 5, 6)
    );
    let directory = tmpfs
        .create(ROOT, b"d", node(linux::S_IFDIR | 0o755))
        .unwrap();
    assert_eq!((directory.links, directory.size), (2, 40));
    let root = tmpfs.attributes(ROOT).unwrap();
    assert_eq!((root.mode, root.links, root.size), (0o041_777, 3, 80));
    assert_eq!(tmpfs.create(ROOT, b"f", node(linux::S_IFREG)), Err(EEXIST));
    tmpfs.create(ROOT, b"p", node(linux::S_IFIFO)).unwrap();
    assert_eq!(tmpfs.lookup(directory.inode, b"..").unwrap().inode, ROOT);
}

#[test]
fn holes_take_no_room() {
    let (mut tmpfs, _) = fresh();
    let inode = file(&mut tmpfs, b"f");
    let at = 1000 * PAGE + 100;
    assert_eq!(tmpfs.write(inode, at, b"end"), Ok(3));
    let stat = tmpfs.attributes(inode).unwrap();
    assert_eq!((stat.size, stat.blocks), (at + 3, 8));
    let mut bytes = [1; 300];
    assert_eq!(tmpfs.read(inode, at - 200, &mut bytes), Ok(203));
    assert_eq!(
        (&bytes[..200], &bytes[200..203]),
        (&[0; 200][..], &b"end"[..])
    );
    assert_eq!(tmpfs.seek(inode, 0, Seek::Data), Ok(1000 * PAGE));
    assert_eq!(tmpfs.seek(inode, 5, Seek::Hole), Ok(5));
    assert_eq!(tmpfs.seek(inode, at, Seek::Hole), Ok(at + 3));
    assert_eq!(tmpfs.seek(inode, at + 3, Seek::Data), Err(ENXIO));
}

#[test]
fn room_ends() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    let bytes = vec![7; (ROOM + 1) as usize * PAGE as usize];
    assert_eq!(tmpfs.write(inode, 0, &bytes), Ok((ROOM * PAGE) as usize));
    assert_eq!(tmpfs.write(inode, ROOM * PAGE, b"x"), Err(ENOSPC));
    assert_eq!(
        tmpfs.write(inode, 5, b"x"),
        Ok(1),
        "there is room where bytes are"
    );
    assert_eq!(used(&mut tmpfs), ROOM);
    size(&mut tmpfs, inode, PAGE + 1).unwrap();
    assert_eq!(used(&mut tmpfs), 2);
    // The machine runs out before the limit.
    *memory.free.borrow_mut() = 512 + 3;
    let bytes = vec![7; 8 * PAGE as usize];
    assert_eq!(tmpfs.write(inode, 2 * PAGE, &bytes), Ok(PAGE as usize));
    assert_eq!(tmpfs.write(inode, 1 << 47, b"x"), Err(EFBIG));
    for number in 0..40 {
        match tmpfs.create(ROOT, &[b'a', number], node(linux::S_IFREG)) {
            Ok(_) => {}
            Err(errno) => return assert_eq!((errno, number), (ENOSPC, 38)),
        }
    }
    panic!("40 inodes are all there are");
}

#[test]
fn what_was_cut_off_reads_as_zero() {
    let (mut tmpfs, _) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, 0, &[9; 100]).unwrap();
    size(&mut tmpfs, inode, 10).unwrap();
    size(&mut tmpfs, inode, 100).unwrap();
    assert_eq!(
        content(&mut tmpfs, inode),
        [&[9; 10][..], &[0; 90]].concat()
    );
    size(&mut tmpfs, inode, 0).unwrap();
    assert_eq!((content(&mut tmpfs, inode), used(&mut tmpfs)), (vec![], 0));
}

#[test]
fn mappings_and_calls_see_the_same_bytes() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, 0, b"hello").unwrap();
    let shared = tmpfs.object(inode, Share::Write).unwrap();
    assert_eq!(shared.size, 5);
    assert!(memory.poke(shared.handle, 1, b'E'));
    assert_eq!(content(&mut tmpfs, inode), b"hEllo");
    assert!(
        !memory.poke(shared.handle, PAGE, 1),
        "SIGBUS behind the end"
    );
    size(&mut tmpfs, inode, 3 * PAGE).unwrap();
    assert!(memory.poke(shared.handle, 2 * PAGE, b'!'));
    let stat = tmpfs.attributes(inode).unwrap();
    assert_eq!((stat.blocks, used(&mut tmpfs)), (16, 2));
    assert_eq!(content(&mut tmpfs, inode)[2 * PAGE as usize], b'!');
    tmpfs.write(inode, PAGE + 7, b"w").unwrap();
    assert_eq!(memory.peek(shared.handle, PAGE + 7), Some(b'w'));
    size(&mut tmpfs, inode, 1).unwrap();
    assert_eq!(memory.peek(shared.handle, PAGE), None);
    // Bytes that a mapping left behind the end do not appear when the file grows.
    assert!(memory.poke(shared.handle, 100, b'?'));
    tmpfs.write(inode, 200, b"x").unwrap();
    assert_eq!(memory.peek(shared.handle, 100), Some(0));
}

#[test]
fn an_empty_file_has_an_empty_object() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    let shared = tmpfs.object(inode, Share::Read).unwrap();
    assert_eq!(memory.peek(shared.handle, 0), None);
    tmpfs.write(inode, 0, b"a").unwrap();
    assert_eq!(memory.peek(shared.handle, 0), Some(b'a'));
}

#[test]
fn snapshots_stay_as_they_are() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, PAGE, b"old").unwrap();
    let copy = tmpfs.object(inode, Share::Snapshot).unwrap();
    tmpfs.write(inode, PAGE, b"new").unwrap();
    assert_eq!(
        (copy.size, memory.peek(copy.handle, PAGE)),
        (PAGE + 3, Some(b'o'))
    );
    assert_eq!(used(&mut tmpfs), 1);
}

#[test]
fn seals_hold() {
    let (mut tmpfs, memory) = fresh();
    let named = file(&mut tmpfs, b"f");
    assert_eq!(tmpfs.add_seals(named, seal::GROW), Err(EPERM));
    let inode = tmpfs
        .create_unnamed(node(linux::S_IFREG | 0o777), 0)
        .unwrap();
    tmpfs.write(inode, 0, &[1; 100]).unwrap();
    tmpfs.add_seals(inode, seal::GROW | seal::SHRINK).unwrap();
    assert_eq!(tmpfs.write(inode, 99, b"xy"), Err(EPERM));
    assert_eq!(size(&mut tmpfs, inode, 5), Err(EPERM));
    assert_eq!(size(&mut tmpfs, inode, 100), Ok(()));
    let shared = tmpfs.object(inode, Share::Write).unwrap();
    memory
        .objects
        .borrow_mut()
        .get_mut(&shared.handle.0)
        .unwrap()
        .users = 1;
    assert_eq!(tmpfs.add_seals(inode, seal::WRITE), Err(EBUSY));
    memory
        .objects
        .borrow_mut()
        .get_mut(&shared.handle.0)
        .unwrap()
        .users = 0;
    tmpfs.add_seals(inode, seal::WRITE | seal::SEAL).unwrap();
    assert_eq!(tmpfs.write(inode, 0, b"x"), Err(EPERM));
    assert_eq!(tmpfs.object(inode, Share::Write), Err(EPERM));
    assert!(tmpfs.object(inode, Share::Read).is_ok());
    assert_eq!(tmpfs.seals(inode), Ok(15));
    assert_eq!(tmpfs.add_seals(inode, seal::EXEC), Err(EPERM));
    tmpfs.close(inode);
    assert_eq!(tmpfs.attributes(inode), Err(ENOENT));
}

#[test]
fn open_files_outlive_their_names() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, 0, b"still").unwrap();
    assert_eq!(tmpfs.open(inode, 0), Ok(Opened::Held));
    tmpfs.unlink(ROOT, b"f", Removal::File).unwrap();
    assert_eq!(tmpfs.attributes(inode).unwrap().links, 0);
    assert_eq!(content(&mut tmpfs, inode), b"still");
    assert_eq!(tmpfs.unmount(Force::Polite), Err(EBUSY));
    tmpfs.close(inode);
    assert_eq!((memory.live(), used(&mut tmpfs)), (0, 0));
    assert_eq!(tmpfs.unmount(Force::Polite), Ok(()));
    let directory = tmpfs
        .create(ROOT, b"d", node(linux::S_IFDIR))
        .unwrap()
        .inode;
    tmpfs.open(directory, 0).unwrap();
    tmpfs.unlink(ROOT, b"d", Removal::Directory).unwrap();
    let inside = tmpfs.create(directory, b"x", node(linux::S_IFREG));
    assert_eq!(inside, Err(ENOENT));
}

#[test]
fn the_end_frees_everything() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, 0, b"x").unwrap();
    assert_eq!(memory.live(), 1);
    drop(tmpfs);
    assert_eq!(memory.live(), 0);
}

#[test]
fn directories_read_in_pieces() {
    let (mut tmpfs, _) = fresh();
    for name in [b"one", b"two", b"six"] {
        file(&mut tmpfs, name);
    }
    let (mut cookie, mut names) = (0, Vec::new());
    loop {
        let bytes = tmpfs.read_directory(ROOT, cookie, 50).unwrap();
        let Some(last) = records(&bytes).last() else {
            break;
        };
        cookie = last.next;
        names.extend(records(&bytes).map(|record| record.name.to_vec()));
    }
    assert_eq!(names, [&b"."[..], b"..", b"one", b"two", b"six"]);
}
