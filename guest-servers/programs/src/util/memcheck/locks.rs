//! `mlock` and its relatives.

use super::{Check, Wrong, fails, same};
use crate::sys::memory::{
    self, Limit, PAGE, fresh, in_child, lock, lock_all, lock2, present, unlock, unmap,
};
use crate::sys::process::Change;
use libc::{EINVAL, ENOMEM, EPERM, MCL_CURRENT, MCL_FUTURE};

pub const CHECKS: &[(&str, Check)] = &[
    ("lock.pages", pages),
    ("lock.errors", errors),
    ("lock.limit", limit),
    ("lock.all", all),
];

fn pages() -> Result<(), Wrong> {
    let at = fresh(4)?;
    lock(at + PAGE + 5, PAGE)?;
    same(
        "both pages that it touches",
        present(at + PAGE, 2)?,
        vec![1, 1],
    )?;
    unlock(at, 4 * PAGE)?;
    lock2(at, PAGE, 1)?;
    same("no length", lock(at, 0)?, 0)?;
    unlock(at, PAGE)?;
    unmap(at, 4 * PAGE)?;
    Ok(())
}

fn errors() -> Result<(), Wrong> {
    let at = fresh(3)?;
    fails("unknown flags", lock2(at, PAGE, 6), EINVAL)?;
    fails("wrapping", lock(at, usize::MAX - 16 * PAGE), EINVAL)?;
    unmap(at + PAGE, PAGE)?;
    fails("a hole", lock(at, 3 * PAGE), ENOMEM)?;
    fails("a hole", unlock(at, 3 * PAGE), ENOMEM)?;
    unmap(at, 3 * PAGE)?;
    fails("nothing", lock(at, PAGE), ENOMEM)?;
    fails("no flags", lock_all(0), EINVAL)?;
    fails("unknown flags", lock_all(64), EINVAL)?;
    fails("on fault alone", lock_all(4), EINVAL)
}

/// Runs a check in a child, which may change what cannot be changed back.
fn apart(check: fn() -> Result<(), Wrong>) -> Result<(), Wrong> {
    let ended = in_child(|| match check() {
        Ok(()) => 0,
        Err(Wrong(what)) => {
            errln!("{what}");
            1
        }
    })?;
    same("the child", ended, Change::Exited(0))
}

fn limit() -> Result<(), Wrong> {
    if !memory::is_root() {
        return Ok(());
    }
    apart(|| {
        let at = fresh(16)?;
        memory::set_limit(Limit::Locked, 4 * PAGE as u64)?;
        memory::become_user(1000)?;
        lock(at, 4 * PAGE)?;
        lock(at, 4 * PAGE)?;
        fails("one more", lock(at + 4 * PAGE, PAGE), ENOMEM)?;
        unlock(at, PAGE)?;
        lock(at + 4 * PAGE, PAGE)?;
        let locked = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_LOCKED;
        let mapped = memory::map(0, 2 * PAGE, (libc::PROT_READ, locked), -1, 0);
        fails("a locked mapping", mapped, libc::EAGAIN)?;
        unlock(at, 16 * PAGE)?;
        memory::set_limit(Limit::Locked, 0)?;
        fails("none at all", lock(at, PAGE), EPERM)
    })
}

fn all() -> Result<(), Wrong> {
    apart(|| {
        let before = fresh(3)?;
        lock_all((MCL_CURRENT | MCL_FUTURE) as usize)?;
        same("what was there", present(before, 3)?, vec![1; 3])?;
        let after = fresh(3)?;
        same("what came later", present(after, 3)?, vec![1; 3])?;
        memory::unlock_all()?;
        let free = fresh(3)?;
        same("no longer", present(free, 3)?, vec![0; 3])
    })
}
