//! Room ahead of writing, and holes.

use super::*;
use crate::errno::EOPNOTSUPP;
use proptest::prelude::*;

#[test]
fn room_is_there_before_the_bytes() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs
        .allocate(inode, 5, 2 * PAGE, Allocation::Grow)
        .unwrap();
    assert_eq!(content(&mut tmpfs, inode), vec![0; 2 * PAGE as usize + 5]);
    assert_eq!(used(&mut tmpfs), 3);
    *memory.free.borrow_mut() = 0;
    let bytes = vec![7; 3 * PAGE as usize];
    assert_eq!(tmpfs.write(inode, 0, &bytes), Ok(bytes.len()));
    let more = tmpfs.allocate(inode, 0, 4 * PAGE, Allocation::Grow);
    assert_eq!(more, Err(ENOSPC));
    assert_eq!(content(&mut tmpfs, inode), bytes, "nothing has changed");
}

#[test]
fn the_size_stays() {
    let (mut tmpfs, _) = fresh();
    let inode = file(&mut tmpfs, b"f");
    size(&mut tmpfs, inode, 100).unwrap();
    tmpfs
        .allocate(inode, 0, PAGE, Allocation::KeepSize)
        .unwrap();
    assert_eq!(
        (content(&mut tmpfs, inode).len(), used(&mut tmpfs)),
        (100, 1)
    );
    let behind = tmpfs.allocate(inode, 0, PAGE + 1, Allocation::KeepSize);
    assert_eq!(behind, Err(EOPNOTSUPP));
    assert_eq!(
        tmpfs.allocate(inode, 1, u64::MAX, Allocation::Grow),
        Err(EFBIG)
    );
}

#[test]
fn a_hole_is_seen_in_mappings() {
    let (mut tmpfs, memory) = fresh();
    let inode = file(&mut tmpfs, b"f");
    tmpfs.write(inode, 0, &[7; 3 * PAGE as usize]).unwrap();
    let shared = tmpfs.object(inode, Share::Write).unwrap();
    tmpfs
        .allocate(inode, PAGE - 1, PAGE + 2, Allocation::Punch)
        .unwrap();
    let at = [PAGE - 2, PAGE - 1, PAGE, 2 * PAGE, 2 * PAGE + 1];
    let seen = at.map(|at| memory.peek(shared.handle, at));
    assert_eq!(seen, [7, 0, 0, 0, 7].map(Some));
    assert_eq!(used(&mut tmpfs), 2);
    assert_eq!(tmpfs.seek(inode, 0, Seek::Hole), Ok(PAGE));
    // What a program touches there counts again.
    assert!(memory.poke(shared.handle, PAGE + 9, 1));
    assert_eq!(used(&mut tmpfs), 3);
}

#[test]
fn seals_hold() {
    let (mut tmpfs, _) = fresh();
    let node = node(linux::S_IFREG | 0o600);
    let inode = tmpfs.create_unnamed(node, 0).unwrap();
    size(&mut tmpfs, inode, PAGE).unwrap();
    tmpfs.add_seals(inode, seal::GROW).unwrap();
    tmpfs.allocate(inode, 0, PAGE, Allocation::Grow).unwrap();
    let longer = tmpfs.allocate(inode, 1, PAGE, Allocation::Grow);
    assert_eq!(longer, Err(EPERM));
    tmpfs.allocate(inode, 0, 1, Allocation::Punch).unwrap();
    tmpfs.add_seals(inode, seal::WRITE).unwrap();
    let hole = tmpfs.allocate(inode, 0, 1, Allocation::Punch);
    assert_eq!(hole, Err(EPERM));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u64, u64),
    Allocate(u64, u64, Allocation),
    Truncate(u64),
    Share,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..8 * PAGE, 1..4 * PAGE);
    let how = prop::sample::select(vec![
        Allocation::Grow,
        Allocation::KeepSize,
        Allocation::Punch,
        Allocation::Punch,
    ]);
    prop_oneof![
        3 => range().prop_map(|(at, length)| Step::Write(at, length)),
        4 => (range(), how).prop_map(|((at, length), how)| Step::Allocate(at, length, how)),
        2 => (0..10 * PAGE).prop_map(Step::Truncate),
        1 => Just(Step::Share),
    ]
}

proptest! {
    /// The bytes are those of a plain vector, and the pages counted those that a mapping has.
    #[test]
    fn bytes_and_pages_agree_with_a_model(steps in prop::collection::vec(step(), 1..25)) {
        let (mut tmpfs, memory) = fresh();
        let inode = file(&mut tmpfs, b"f");
        let mut model: Vec<u8> = Vec::new();
        for (number, step) in (1u8..).zip(steps) {
            match step {
                Step::Write(at, length) => {
                    let (from, to) = (at as usize, (at + length) as usize);
                    tmpfs.write(inode, at, &vec![number; length as usize]).unwrap();
                    model.resize(model.len().max(to), 0);
                    model[from..to].fill(number);
                }
                Step::Allocate(at, length, how) => {
                    let (from, to) = (at as usize, (at + length) as usize);
                    let done = tmpfs.allocate(inode, at, length, how);
                    let behind = to as u64 > (model.len() as u64).next_multiple_of(PAGE);
                    match how {
                        Allocation::KeepSize if behind => prop_assert_eq!(done, Err(EOPNOTSUPP)),
                        Allocation::Punch => {
                            done.unwrap();
                            let end = to.min(model.len());
                            model[from.min(end)..end].fill(0);
                        }
                        Allocation::Grow => {
                            done.unwrap();
                            model.resize(model.len().max(to), 0);
                        }
                        Allocation::KeepSize => done.unwrap(),
                    }
                }
                Step::Truncate(to) => {
                    size(&mut tmpfs, inode, to).unwrap();
                    model.resize(to as usize, 0);
                }
                Step::Share => drop(tmpfs.object(inode, Share::Write).unwrap()),
            }
            prop_assert_eq!(&content(&mut tmpfs, inode), &model);
            let held: usize = memory.objects.borrow().values().map(|object| object.pages.len()).sum();
            prop_assert_eq!(used(&mut tmpfs), held as u64);
        }
    }
}
