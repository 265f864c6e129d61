//! System V shared memory.

use std::fs;
use std::process::Command;

use super::{Check, Wrong, fails, same};
use crate::sys::memory::{
    self, PAGE, Touch, attach, detach, in_child, peek, poke, remove_segment, segment,
    segment_status, touch,
};
use crate::sys::process::Change;
use libc::{EACCES, EEXIST, EINVAL, ENOENT, IPC_CREAT, IPC_EXCL, SHM_RDONLY, SHM_RND, SIGSEGV};

pub const CHECKS: &[(&str, Check)] = &[
    ("shm.attach", attachments),
    ("shm.keys", keys),
    ("shm.fork", fork_and_exit),
    ("shm.remove", removal),
    ("shm.places", places),
    ("shm.others", others),
];

const PRIVATE: usize = 0;
const KEY: usize = 0x4652_5801;

/// Removes a segment that an earlier run left.
fn clear(key: usize) {
    if let Ok(id) = segment(key, 0, 0) {
        let _ = remove_segment(id);
    }
}

fn attachments() -> Result<(), Wrong> {
    let id = segment(PRIVATE, PAGE + 1, 0o600)?;
    let first = attach(id, 0, 0)?;
    let second = attach(id, 0, SHM_RDONLY as usize)?;
    poke(first + PAGE + 100, 6);
    same("both are one", peek(second + PAGE + 100), 6)?;
    let (size, count, mode, last) = segment_status(id)?;
    same("status", (size, count, mode), (PAGE + 1, 2, 0o600))?;
    same("last process", last, std::process::id() as i32)?;
    same("read only", touch(second, Touch::Write)?, Some(SIGSEGV))?;
    detach(first)?;
    fails("twice", detach(first), EINVAL)?;
    fails("inside", detach(second + PAGE), EINVAL)?;
    same("detached", touch(first, Touch::Read)?, Some(SIGSEGV))?;
    same("one less", segment_status(id)?.1, 1)?;
    detach(second)?;
    remove_segment(id)?;
    fails("gone", segment_status(id), EINVAL)
}

fn keys() -> Result<(), Wrong> {
    clear(KEY);
    let create = IPC_CREAT as usize | 0o600;
    fails("no such key", segment(KEY, PAGE, 0), ENOENT)?;
    fails("no size", segment(KEY, 0, create), EINVAL)?;
    let id = segment(KEY, 2 * PAGE, create)?;
    same("the same", segment(KEY, PAGE, 0)?, id)?;
    fails("too large", segment(KEY, 3 * PAGE, 0), EINVAL)?;
    fails(
        "exclusively",
        segment(KEY, PAGE, create | IPC_EXCL as usize),
        EEXIST,
    )?;
    let listed = fs::read_to_string("/proc/sysvipc/shm")?;
    let line = listed
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(&id.to_string()));
    let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    same("listed", fields.get(2..4), Some(&["600", "8192"][..]))?;
    remove_segment(id)?;
    Ok(())
}

fn fork_and_exit() -> Result<(), Wrong> {
    let id = segment(PRIVATE, PAGE, 0o600)?;
    let at = attach(id, 0, 0)?;
    let ended = in_child(|| {
        poke(at, 9);
        let count = segment_status(id).map_or(0, |status| status.1);
        if detach(at).is_err() {
            return 100;
        }
        let left = segment_status(id).map_or(0, |status| status.1);
        (10 * count + left) as i32
    })?;
    same("in the child two, then one", ended, Change::Exited(21))?;
    same("what it wrote", peek(at), 9)?;
    same("it is gone", segment_status(id)?.1, 1)?;
    in_child(|| 0)?;
    same("the end of a process detaches", segment_status(id)?.1, 1)?;
    let status = Command::new("true").status()?;
    same(
        "exec detaches",
        (status.success(), segment_status(id)?.1),
        (true, 1),
    )?;
    remove_segment(id)?;
    detach(at)?;
    Ok(())
}

fn removal() -> Result<(), Wrong> {
    clear(KEY);
    let create = IPC_CREAT as usize | 0o600;
    let id = segment(KEY, PAGE, create)?;
    let at = attach(id, 0, 0)?;
    remove_segment(id)?;
    poke(at, 2);
    let (_, count, mode, _) = segment_status(id)?;
    same("marked", (count, mode), (1, 0o1600))?;
    let other = segment(KEY, PAGE, create)?;
    same("the key is free", other == id, false)?;
    remove_segment(other)?;
    detach(at)?;
    fails("gone with the last", attach(id, 0, 0), EINVAL)
}

fn places() -> Result<(), Wrong> {
    let id = segment(PRIVATE, PAGE, 0o600)?;
    let room = memory::fresh(4)?;
    memory::unmap(room + PAGE, PAGE)?;
    fails("an odd address", attach(id, room + PAGE + 5, 0), EINVAL)?;
    fails("a place that is taken", attach(id, room, 0), EINVAL)?;
    let at = attach(id, room + PAGE + 5, SHM_RND as usize)?;
    same("rounded down", at, room + PAGE)?;
    poke(at, 1);
    memory::unmap(room, 4 * PAGE)?;
    same("unmapped is detached", segment_status(id)?.1, 0)?;
    fails("no segment", attach(id + 1_000_000, 0, 0), EINVAL)?;
    remove_segment(id)?;
    Ok(())
}

fn others() -> Result<(), Wrong> {
    if !memory::is_root() {
        return Ok(());
    }
    let (closed, open) = (
        segment(PRIVATE, PAGE, 0o600)?,
        segment(PRIVATE, PAGE, 0o644)?,
    );
    let ended = in_child(|| {
        let check = || -> Result<(), Wrong> {
            memory::become_user(1000)?;
            fails("a closed segment", attach(closed, 0, 0), EACCES)?;
            fails("its status", segment_status(closed), EACCES)?;
            fails("writing", attach(open, 0, 0), EACCES)?;
            fails("removal", remove_segment(open), libc::EPERM)?;
            detach(attach(open, 0, SHM_RDONLY as usize)?)?;
            Ok(())
        };
        match check() {
            Ok(()) => 0,
            Err(Wrong(what)) => {
                errln!("{what}");
                1
            }
        }
    })?;
    remove_segment(closed)?;
    remove_segment(open)?;
    same("the child", ended, Change::Exited(0))
}
