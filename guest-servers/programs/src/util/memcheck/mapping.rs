//! `mmap`, `munmap`, `mprotect`, `brk`.

use super::{Check, Wrong, fails, same};
use crate::sys::memory::{
    self, Limit, PAGE, Touch, fresh, in_child, map, peek, poke, touch, unmap,
};
use crate::sys::process::Change;
use libc::{
    EBADF, EEXIST, EINVAL, ENOMEM, EOVERFLOW, MAP_32BIT, MAP_ANONYMOUS, MAP_FIXED,
    MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED,
    MAP_STACK, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE, SIGSEGV,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("map.anonymous", anonymous),
    ("map.errors", errors),
    ("map.places", places),
    ("map.protection", protection),
    ("map.grows_down", grows_down),
    ("map.fork", fork_shares_and_copies),
    ("map.populate", populate),
    ("map.low", low),
    ("map.break", heap_break),
    ("map.limit", address_space_limit),
];

const READ_WRITE: i32 = PROT_READ | PROT_WRITE;
const PRIVATE: i32 = MAP_PRIVATE | MAP_ANONYMOUS;

fn anonymous() -> Result<(), Wrong> {
    let at = fresh(3)?;
    for page in 0..3 {
        same("a new page", peek(at + page * PAGE + 5), 0)?;
        poke(at + page * PAGE + 5, page as u8 + 1);
    }
    unmap(at + PAGE, PAGE)?;
    same("a hole", touch(at + PAGE, Touch::Read)?, Some(SIGSEGV))?;
    same("left", peek(at + 5), 1)?;
    same("right", peek(at + 2 * PAGE + 5), 3)?;
    unmap(at, 3 * PAGE)?;
    same("nothing to unmap", unmap(at, 3 * PAGE)?, 0)?;
    for flags in [
        PRIVATE | MAP_NORESERVE | MAP_STACK,
        MAP_SHARED | MAP_ANONYMOUS,
    ] {
        // The descriptor means nothing, an odd offset of pages neither.
        let at = map(0, 1, (READ_WRITE, flags), 77, PAGE as u64)?;
        poke(at + PAGE - 1, 9);
        unmap(at, 1)?;
    }
    Ok(())
}

fn errors() -> Result<(), Wrong> {
    let anonymous = (READ_WRITE, PRIVATE);
    fails("length 0", map(0, 0, anonymous, -1, 0), EINVAL)?;
    fails(
        "all there is",
        map(0, usize::MAX - PAGE, anonymous, -1, 0),
        ENOMEM,
    )?;
    fails("wrapping", map(0, usize::MAX, anonymous, -1, 0), ENOMEM)?;
    fails("an odd offset", map(0, 1, anonymous, -1, 5), EINVAL)?;
    let untyped = (READ_WRITE, MAP_ANONYMOUS);
    fails(
        "neither shared nor private",
        map(0, 1, untyped, -1, 0),
        EINVAL,
    )?;
    let file = (PROT_READ, MAP_PRIVATE);
    fails("no descriptor", map(0, 1, file, -1, 0), EBADF)?;
    fails("a wrong descriptor", map(0, 1, file, 999, 0), EBADF)?;
    let fixed = (READ_WRITE, PRIVATE | MAP_FIXED);
    fails(
        "an odd fixed address",
        map(0x7000_0001, 1, fixed, -1, 0),
        EINVAL,
    )?;
    let high = map(1 << 47, PAGE, fixed, -1, 0);
    fails("above everything", high, ENOMEM)?;
    let fd = memory::memory_file("offset", 0)?;
    let far = i64::MAX as u64 & !(PAGE as u64 - 1);
    fails("a far offset", map(0, 2 * PAGE, file, fd, far), EOVERFLOW)?;
    memory::close(fd)?;
    fails("unmap nothing", unmap(0x7000_0000, 0), EINVAL)?;
    fails("unmap an odd address", unmap(0x7000_0001, PAGE), EINVAL)?;
    fails(
        "unmap with a wrap",
        unmap(PAGE, usize::MAX & !(PAGE - 1)),
        EINVAL,
    )
}

fn places() -> Result<(), Wrong> {
    let at = fresh(4)?;
    poke(at, 1);
    let fixed = (READ_WRITE, PRIVATE | MAP_FIXED);
    same("a fixed mapping", map(at, PAGE, fixed, -1, 0)?, at)?;
    same("replaces", peek(at), 0)?;
    let careful = (READ_WRITE, PRIVATE | MAP_FIXED_NOREPLACE);
    fails(
        "no replacing",
        map(at + 3 * PAGE, 2 * PAGE, careful, -1, 0),
        EEXIST,
    )?;
    unmap(at, 4 * PAGE)?;
    same("no replacing", map(at, PAGE, careful, -1, 0)?, at)?;
    let hint = map(at + PAGE, PAGE, (READ_WRITE, PRIVATE), -1, 0)?;
    same("a hint that is free", hint, at + PAGE)?;
    let odd = map(at + 2 * PAGE + 7, PAGE, (READ_WRITE, PRIVATE), -1, 0)?;
    same("a hint inside a page", odd, at + 2 * PAGE)?;
    let taken = map(at, PAGE, (READ_WRITE, PRIVATE), -1, 0)?;
    same("a hint that is taken is no place", taken == at, false)?;
    unmap(at, 3 * PAGE)?;
    unmap(taken, PAGE)?;
    Ok(())
}

fn protection() -> Result<(), Wrong> {
    let at = map(0, 3 * PAGE, (PROT_NONE, PRIVATE), -1, 0)?;
    same("a guard page", touch(at, Touch::Read)?, Some(SIGSEGV))?;
    memory::protect(at + PAGE, PAGE, READ_WRITE as usize)?;
    poke(at + PAGE, 3);
    same(
        "still a guard",
        touch(at + 2 * PAGE, Touch::Write)?,
        Some(SIGSEGV),
    )?;
    memory::protect(at + PAGE, PAGE, PROT_READ as usize)?;
    same("reading", touch(at + PAGE, Touch::Read)?, None)?;
    same("writing", touch(at + PAGE, Touch::Write)?, Some(SIGSEGV))?;
    memory::protect(at + PAGE, PAGE, PROT_NONE as usize)?;
    memory::protect(at + PAGE, PAGE, (READ_WRITE | PROT_EXEC) as usize)?;
    same("the byte", peek(at + PAGE), 3)?;
    fails("an odd address", memory::protect(at + 1, PAGE, 1), EINVAL)?;
    fails("unknown bits", memory::protect(at, PAGE, 0x100), EINVAL)?;
    same("no length", memory::protect(at, 0, 1)?, 0)?;
    unmap(at + PAGE, PAGE)?;
    fails("a hole", memory::protect(at, 3 * PAGE, 1), ENOMEM)?;
    unmap(at, 3 * PAGE)?;
    fails("nothing", memory::protect(at, PAGE, 1), ENOMEM)
}

fn grows_down() -> Result<(), Wrong> {
    // Room below, so that nothing is in the way.
    let room = map(0, 1024 * PAGE, (PROT_NONE, PRIVATE), -1, 0)?;
    unmap(room, 1024 * PAGE)?;
    let at = room + 1000 * PAGE;
    let stack = (READ_WRITE, PRIVATE | MAP_FIXED | MAP_GROWSDOWN);
    map(at, PAGE, stack, -1, 0)?;
    for page in 1..=20 {
        poke(at - page * PAGE, 5);
    }
    same("as it grew", peek(at - 20 * PAGE), 5)?;
    unmap(at - 20 * PAGE, 21 * PAGE)?;
    Ok(())
}

fn fork_shares_and_copies() -> Result<(), Wrong> {
    let shared = map(0, PAGE, (READ_WRITE, MAP_SHARED | MAP_ANONYMOUS), -1, 0)?;
    let private = fresh(1)?;
    poke(shared, 1);
    poke(private, 1);
    let ended = in_child(|| {
        let seen = peek(shared) + peek(private);
        poke(shared, 7);
        poke(private, 7);
        seen.into()
    })?;
    same("what the child saw", ended, Change::Exited(2))?;
    same("shared", peek(shared), 7)?;
    same("private", peek(private), 1)?;
    unmap(shared, PAGE)?;
    unmap(private, PAGE)?;
    Ok(())
}

fn populate() -> Result<(), Wrong> {
    let full = map(0, 20 * PAGE, (READ_WRITE, PRIVATE | MAP_POPULATE), -1, 0)?;
    same("populated", memory::present(full, 20)?, vec![1; 20])?;
    let empty = fresh(20)?;
    same("not touched", memory::present(empty, 20)?, vec![0; 20])?;
    poke(empty + 10 * PAGE, 1);
    same("touched", memory::present(empty + 10 * PAGE, 1)?, vec![1])?;
    unmap(full, 20 * PAGE)?;
    unmap(empty, 20 * PAGE)?;
    Ok(())
}

fn low() -> Result<(), Wrong> {
    let first = map(0, PAGE, (READ_WRITE, PRIVATE | MAP_32BIT), -1, 0)?;
    let second = map(0, PAGE, (READ_WRITE, PRIVATE | MAP_32BIT), -1, 0)?;
    same("both in 2 GiB", first < 1 << 31 && second < 1 << 31, true)?;
    same("two places", first == second, false)?;
    poke(first, 1);
    poke(second, 1);
    unmap(first, PAGE)?;
    unmap(second, PAGE)?;
    Ok(())
}

fn heap_break() -> Result<(), Wrong> {
    // In a child: the C library may use the break too.
    let ended = in_child(|| match moved_break() {
        Ok(()) => 0,
        Err(Wrong(what)) => {
            errln!("{what}");
            1
        }
    })?;
    same("the child", ended, Change::Exited(0))
}

fn moved_break() -> Result<(), Wrong> {
    let start = memory::set_break(0)?;
    same(
        "up",
        memory::set_break(start + 10 * PAGE)?,
        start + 10 * PAGE,
    )?;
    same("fresh", peek(start + 9 * PAGE), 0)?;
    poke(start + 9 * PAGE, 1);
    same("down", memory::set_break(start)?, start)?;
    same(
        "up again",
        memory::set_break(start + 10 * PAGE)?,
        start + 10 * PAGE,
    )?;
    same("too far down", memory::set_break(PAGE)?, start + 10 * PAGE)?;
    memory::set_limit(Limit::Data, 1 << 20)?;
    let far = memory::set_break(start + (16 << 20))?;
    same("beyond the limit", far, start + 10 * PAGE)
}

fn address_space_limit() -> Result<(), Wrong> {
    let ended = in_child(|| match beyond_limit() {
        Ok(()) => 0,
        Err(Wrong(what)) => {
            errln!("{what}");
            1
        }
    })?;
    same("the child", ended, Change::Exited(0))
}

fn beyond_limit() -> Result<(), Wrong> {
    memory::set_limit(Limit::Space, 64 << 20)?;
    let anonymous = (READ_WRITE, PRIVATE);
    fails(
        "more than the limit",
        map(0, 80 << 20, anonymous, -1, 0),
        ENOMEM,
    )?;
    let at = map(0, 16 << 20, anonymous, -1, 0)?;
    unmap(at, 16 << 20)?;
    let at = map(0, 16 << 20, anonymous, -1, 0)?;
    unmap(at, 16 << 20)?;
    Ok(())
}
