//! `madvise`, `msync`, `mincore`.

use super::{Check, Wrong, fails, same};
use crate::sys::memory::{
    self, PAGE, Touch, advise, fresh, in_child, map, peek, poke, resident, sync, unmap,
};
use crate::sys::process::Change;
use libc::{
    EBUSY, EFAULT, EINVAL, ENOMEM, MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, MADV_FREE,
    MADV_NORMAL, MADV_WILLNEED, MAP_ANONYMOUS, MAP_SHARED, MS_ASYNC, MS_INVALIDATE, MS_SYNC,
    PROT_READ, PROT_WRITE, SIGSEGV,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("advise.discard", discard),
    ("advise.fork", fork),
    ("advise.populate", populate),
    ("advise.errors", errors),
    ("sync.flags", sync_flags),
    ("core.errors", core_errors),
];

const POPULATE_READ: usize = 22;
const POPULATE_WRITE: usize = 23;
const SHARED: (i32, i32) = (PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);

const fn number(advice: i32) -> usize {
    advice as usize
}

fn discard() -> Result<(), Wrong> {
    let at = fresh(3)?;
    for page in 0..3 {
        poke(at + page * PAGE, 9);
    }
    advise(at + PAGE, PAGE, number(MADV_DONTNEED))?;
    let bytes: Vec<u8> = (0..3).map(|page| peek(at + page * PAGE)).collect();
    same("private memory starts anew", bytes, vec![9, 0, 9])?;
    advise(at, PAGE, number(MADV_FREE))?;
    poke(at, 4);
    same("written after it was freed", peek(at), 4)?;
    let shared = map(0, PAGE, SHARED, -1, 0)?;
    poke(shared, 8);
    advise(shared, PAGE, number(MADV_DONTNEED))?;
    same("shared memory stays", peek(shared), 8)?;
    fails(
        "free what is shared",
        advise(shared, PAGE, number(MADV_FREE)),
        EINVAL,
    )?;
    memory::lock(at, PAGE)?;
    fails(
        "locked pages",
        advise(at, PAGE, number(MADV_DONTNEED)),
        EINVAL,
    )?;
    memory::unlock(at, PAGE)?;
    unmap(shared, PAGE)?;
    unmap(at, 3 * PAGE)?;
    Ok(())
}

fn fork() -> Result<(), Wrong> {
    let at = fresh(2)?;
    poke(at, 1);
    poke(at + PAGE, 2);
    advise(at, PAGE, number(MADV_DONTFORK))?;
    same(
        "not the child's",
        memory::touch(at, Touch::Read)?,
        Some(SIGSEGV),
    )?;
    same(
        "its neighbour",
        memory::touch(at + PAGE, Touch::Read)?,
        None,
    )?;
    advise(at, PAGE, number(MADV_DOFORK))?;
    let ended = in_child(|| peek(at).into())?;
    same("the child's again", ended, Change::Exited(1))?;
    unmap(at, 2 * PAGE)?;
    Ok(())
}

fn populate() -> Result<(), Wrong> {
    let at = fresh(4)?;
    advise(at, 2 * PAGE, POPULATE_WRITE)?;
    same("made present", memory::present(at, 2)?, vec![1, 1])?;
    advise(at + 2 * PAGE, PAGE, POPULATE_READ)?;
    same("zero", peek(at), 0)?;
    memory::protect(at, PAGE, PROT_READ as usize)?;
    fails("not writable", advise(at, PAGE, POPULATE_WRITE), EINVAL)?;
    unmap(at, 4 * PAGE)?;
    Ok(())
}

fn errors() -> Result<(), Wrong> {
    let at = fresh(3)?;
    fails(
        "an odd address",
        advise(at + 1, PAGE, number(MADV_NORMAL)),
        EINVAL,
    )?;
    fails("unknown advice", advise(at, PAGE, 4711), EINVAL)?;
    fails(
        "wrapping",
        advise(at, usize::MAX - PAGE, number(MADV_NORMAL)),
        EINVAL,
    )?;
    same("no length", advise(at, 0, number(MADV_NORMAL))?, 0)?;
    same("willneed", advise(at, 3 * PAGE, number(MADV_WILLNEED))?, 0)?;
    poke(at, 1);
    poke(at + 2 * PAGE, 1);
    unmap(at + PAGE, PAGE)?;
    fails(
        "a hole",
        advise(at, 3 * PAGE, number(MADV_DONTNEED)),
        ENOMEM,
    )?;
    same(
        "done around it all the same",
        (peek(at), peek(at + 2 * PAGE)),
        (0, 0),
    )?;
    unmap(at, 3 * PAGE)?;
    fails("nothing", advise(at, PAGE, number(MADV_NORMAL)), ENOMEM)
}

fn sync_flags() -> Result<(), Wrong> {
    let at = fresh(3)?;
    for flags in [0, MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_INVALIDATE] {
        same("good flags", sync(at, 3 * PAGE, flags as usize)?, 0)?;
    }
    fails(
        "both",
        sync(at, PAGE, (MS_SYNC | MS_ASYNC) as usize),
        EINVAL,
    )?;
    fails("unknown", sync(at, PAGE, 64), EINVAL)?;
    fails(
        "an odd address",
        sync(at + 1, PAGE, MS_SYNC as usize),
        EINVAL,
    )?;
    memory::lock(at, PAGE)?;
    let locked = sync(at, PAGE, (MS_SYNC | MS_INVALIDATE) as usize);
    fails("locked pages", locked, EBUSY)?;
    memory::unlock(at, PAGE)?;
    unmap(at + PAGE, PAGE)?;
    fails("a hole", sync(at, 3 * PAGE, MS_SYNC as usize), ENOMEM)?;
    unmap(at, 3 * PAGE)?;
    Ok(())
}

fn core_errors() -> Result<(), Wrong> {
    let at = fresh(2)?;
    let mut vector = [7u8; 4];
    let place = vector.as_mut_ptr() as usize;
    fails("an odd address", resident(at + 1, PAGE, place), EINVAL)?;
    fails("nowhere to write", resident(at, PAGE, 8), EFAULT)?;
    same("one byte and one page", resident(at, PAGE + 1, place)?, 0)?;
    same(
        "two bytes are written",
        (vector[0] <= 1, vector[1] <= 1, vector[2]),
        (true, true, 7),
    )?;
    unmap(at, 2 * PAGE)?;
    fails("nothing", resident(at, PAGE, place), ENOMEM)
}
