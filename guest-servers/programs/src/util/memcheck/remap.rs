//! `mremap`.

use super::{Check, Wrong, fails, same};
use crate::sys::memory::{self, PAGE, Touch, fresh, map, peek, poke, remap, touch, unmap};
use libc::{
    EFAULT, EINVAL, ENOMEM, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_NONE,
    PROT_READ, PROT_WRITE, SIGBUS, SIGSEGV,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("remap.sizes", sizes),
    ("remap.fixed", fixed),
    ("remap.errors", errors),
    ("remap.shared", shared),
    ("remap.private_file", private_file),
    ("remap.keep", keep),
];

const MAY_MOVE: usize = libc::MREMAP_MAYMOVE as usize;
const FIXED: usize = libc::MREMAP_FIXED as usize;
const DONTUNMAP: usize = 4;
const READ_WRITE: i32 = PROT_READ | PROT_WRITE;

/// Fills the first byte of each page with its number + 1.
fn number(at: usize, pages: usize) {
    for page in 0..pages {
        poke(at + page * PAGE, page as u8 + 1);
    }
}

fn numbered(at: usize, pages: usize) -> Result<(), Wrong> {
    let all: Vec<u8> = (0..pages).map(|page| peek(at + page * PAGE)).collect();
    let should: Vec<u8> = (1..=pages as u8).collect();
    same("the bytes that moved", all, should)
}

/// Pages of the test's own that nobody may touch, to map over and to be in the way.
fn walled(pages: usize) -> Result<usize, Wrong> {
    Ok(map(
        0,
        pages * PAGE,
        (PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS),
        -1,
        0,
    )?)
}

fn sizes() -> Result<(), Wrong> {
    let at = fresh(8)?;
    number(at, 8);
    same(
        "shrinks where it is",
        remap(at, 8 * PAGE, 4 * PAGE, 0, 0)?,
        at,
    )?;
    same("cut off", touch(at + 4 * PAGE, Touch::Read)?, Some(SIGSEGV))?;
    same(
        "grows where it is",
        remap(at, 4 * PAGE, 6 * PAGE, 0, 0)?,
        at,
    )?;
    numbered(at, 4)?;
    same("new", peek(at + 5 * PAGE), 0)?;
    // Something in the way.
    let wall = (PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
    map(at + 6 * PAGE, PAGE, wall, -1, 0)?;
    fails("no room", remap(at, 6 * PAGE, 9 * PAGE, 0, 0), ENOMEM)?;
    let moved = remap(at, 6 * PAGE, 9 * PAGE, MAY_MOVE, 0)?;
    same("moves", moved == at, false)?;
    numbered(moved, 4)?;
    same("new", peek(moved + 8 * PAGE), 0)?;
    same("the old place", touch(at, Touch::Read)?, Some(SIGSEGV))?;
    unmap(moved, 9 * PAGE)?;
    unmap(at + 6 * PAGE, PAGE)?;
    Ok(())
}

fn fixed() -> Result<(), Wrong> {
    let (at, target) = (fresh(4)?, fresh(6)?);
    number(at, 4);
    poke(target + PAGE, 99);
    let moved = remap(at, 2 * PAGE, 3 * PAGE, MAY_MOVE | FIXED, target + PAGE)?;
    same("at the address given", moved, target + PAGE)?;
    numbered(moved, 2)?;
    same("what was there is gone", peek(moved + 2 * PAGE), 0)?;
    same("the rest stays", peek(at + 2 * PAGE), 3)?;
    same("the old place", touch(at, Touch::Read)?, Some(SIGSEGV))?;
    let smaller = remap(moved, 3 * PAGE, PAGE, MAY_MOVE | FIXED, at)?;
    same("smaller", (smaller, peek(at)), (at, 1))?;
    same("its end", touch(at + PAGE, Touch::Read)?, Some(SIGSEGV))?;
    unmap(at, 4 * PAGE)?;
    unmap(target, 6 * PAGE)?;
    Ok(())
}

fn errors() -> Result<(), Wrong> {
    let at = fresh(4)?;
    fails("an odd address", remap(at + 1, PAGE, PAGE, 0, 0), EINVAL)?;
    fails("nothing", remap(at, PAGE, 0, MAY_MOVE, 0), EINVAL)?;
    fails("unknown flags", remap(at, PAGE, PAGE, 64, 0), EINVAL)?;
    fails(
        "fixed and not moving",
        remap(at, PAGE, PAGE, FIXED, at),
        EINVAL,
    )?;
    let over = remap(at, 2 * PAGE, 2 * PAGE, MAY_MOVE | FIXED, at + PAGE);
    fails("onto itself", over, EINVAL)?;
    let odd = remap(at, PAGE, PAGE, MAY_MOVE | FIXED, at + 2 * PAGE + 1);
    fails("to an odd address", odd, EINVAL)?;
    fails(
        "private pages twice",
        remap(at, 0, PAGE, MAY_MOVE, 0),
        EINVAL,
    )?;
    unmap(at + PAGE, 3 * PAGE)?;
    fails(
        "more than there is",
        remap(at, 2 * PAGE, 3 * PAGE, MAY_MOVE, 0),
        EFAULT,
    )?;
    unmap(at, PAGE)?;
    fails(
        "nothing there",
        remap(at, PAGE, 2 * PAGE, MAY_MOVE, 0),
        EFAULT,
    )
}

fn shared() -> Result<(), Wrong> {
    let fd = memory::memory_file("remap", 0)?;
    memory::truncate(fd, 4 * PAGE)?;
    let at = map(0, 2 * PAGE, (READ_WRITE, MAP_SHARED), fd, PAGE as u64)?;
    number(at, 2);
    let grown = remap(at, 2 * PAGE, 4 * PAGE, MAY_MOVE, 0)?;
    numbered(grown, 2)?;
    poke(grown + 2 * PAGE, 3);
    same(
        "beyond the file",
        touch(grown + 3 * PAGE, Touch::Read)?,
        Some(SIGBUS),
    )?;
    let second = remap(grown, 0, 3 * PAGE, MAY_MOVE, 0)?;
    numbered(second, 3)?;
    poke(second, 77);
    same("one file", peek(grown), 77)?;
    let tail = remap(grown + PAGE, PAGE, PAGE, MAY_MOVE | FIXED, second)?;
    same("a part, moved", peek(tail), 2)?;
    unmap(grown, 4 * PAGE)?;
    unmap(second, 3 * PAGE)?;
    memory::close(fd)?;
    let at = walled(2)?;
    let anonymous = (READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
    map(at, PAGE, anonymous, -1, 0)?;
    poke(at, 5);
    let moved = remap(at, PAGE, 2 * PAGE, MAY_MOVE, 0)?;
    same("shared anonymous", peek(moved), 5)?;
    same(
        "beyond what was shared",
        touch(moved + PAGE, Touch::Read)?,
        Some(SIGBUS),
    )?;
    unmap(moved, 2 * PAGE)?;
    unmap(at + PAGE, PAGE)?;
    Ok(())
}

fn private_file() -> Result<(), Wrong> {
    let fd = memory::memory_file("remap", 0)?;
    memory::truncate(fd, 4 * PAGE)?;
    let file = map(0, 4 * PAGE, (READ_WRITE, MAP_SHARED), fd, 0)?;
    number(file, 4);
    let at = walled(3)?;
    map(at, 2 * PAGE, (READ_WRITE, MAP_PRIVATE | MAP_FIXED), fd, 0)?;
    poke(at + PAGE, 50);
    let moved = remap(at, 2 * PAGE, 4 * PAGE, MAY_MOVE, 0)?;
    let bytes: Vec<u8> = (0..4).map(|page| peek(moved + page * PAGE)).collect();
    same("its copies and the file's pages", bytes, vec![1, 50, 3, 4])?;
    same("the file", peek(file + PAGE), 2)?;
    unmap(moved, 4 * PAGE)?;
    unmap(file, 4 * PAGE)?;
    unmap(at + 2 * PAGE, PAGE)?;
    Ok(memory::close(fd)?)
}

fn keep() -> Result<(), Wrong> {
    let at = fresh(2)?;
    number(at, 2);
    let moved = remap(at, 2 * PAGE, 2 * PAGE, MAY_MOVE | DONTUNMAP, 0)?;
    same("somewhere else", moved == at, false)?;
    numbered(moved, 2)?;
    same(
        "the old place is empty",
        (peek(at), peek(at + PAGE)),
        (0, 0),
    )?;
    let longer = remap(moved, PAGE, 2 * PAGE, MAY_MOVE | DONTUNMAP, 0);
    fails("another length", longer, EINVAL)?;
    unmap(moved, 2 * PAGE)?;
    unmap(at, 2 * PAGE)?;
    Ok(())
}
