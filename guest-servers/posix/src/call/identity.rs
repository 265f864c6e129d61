//! Who the process is: user and group ids, process groups, sessions. Ids are kept here, so asking needs no call.

use crate::state::IDENTITY;
use crate::user;
use ferrix_abi::process::Identity;
use ferrix_posix::credentials::{self, Ids, Of};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{process, utcb};

pub fn getpid(_: &mut Frame) -> Result<u64> {
    Ok(utcb::pid().into())
}

pub fn gettid(_: &mut Frame) -> Result<u64> {
    Ok(utcb::tid().into())
}

pub fn getppid(_: &mut Frame) -> Result<u64> {
    Ok(process::parent(0)?.into())
}

pub fn getuid(_: &mut Frame) -> Result<u64> {
    Ok(IDENTITY.lock().ruid.into())
}

pub fn geteuid(_: &mut Frame) -> Result<u64> {
    Ok(IDENTITY.lock().euid.into())
}

pub fn getgid(_: &mut Frame) -> Result<u64> {
    Ok(IDENTITY.lock().rgid.into())
}

pub fn getegid(_: &mut Frame) -> Result<u64> {
    Ok(IDENTITY.lock().egid.into())
}

pub fn getresuid(frame: &mut Frame) -> Result<u64> {
    store(frame, Of::Users)
}

pub fn getresgid(frame: &mut Frame) -> Result<u64> {
    store(frame, Of::Groups)
}

fn store(frame: &Frame, of: Of) -> Result<u64> {
    let Ids(ids) = credentials::get(&IDENTITY.lock(), of);
    for (place, id) in frame.args().into_iter().zip(ids) {
        user::write(place, &id)?;
    }
    Ok(0)
}

/// Sets ids; the kernel decides whether the caller may.
fn change(of: Of, new: impl FnOnce(Ids, &Identity) -> Ids) -> Result<u64> {
    let mut identity = IDENTITY.lock();
    let ids = new(credentials::get(&identity, of), &identity);
    let wanted = credentials::with(*identity, of, ids);
    if wanted != *identity {
        process::set_identity(&wanted)?;
        *identity = wanted;
    }
    Ok(0)
}

pub fn setuid(frame: &mut Frame) -> Result<u64> {
    let id = frame.rdi as u32;
    change(Of::Users, |ids, identity| {
        credentials::set(ids, id, identity.euid == 0)
    })
}

pub fn setgid(frame: &mut Frame) -> Result<u64> {
    let id = frame.rdi as u32;
    change(Of::Groups, |ids, identity| {
        credentials::set(ids, id, identity.euid == 0)
    })
}

pub fn setreuid(frame: &mut Frame) -> Result<u64> {
    let [real, effective, ..] = frame.args();
    change(Of::Users, |ids, _| {
        credentials::set_two(ids, real as u32, effective as u32)
    })
}

pub fn setregid(frame: &mut Frame) -> Result<u64> {
    let [real, effective, ..] = frame.args();
    change(Of::Groups, |ids, _| {
        credentials::set_two(ids, real as u32, effective as u32)
    })
}

pub fn setresuid(frame: &mut Frame) -> Result<u64> {
    let [real, effective, saved, ..] = frame.args();
    change(Of::Users, |ids, _| {
        credentials::set_all(ids, [real as u32, effective as u32, saved as u32])
    })
}

pub fn setresgid(frame: &mut Frame) -> Result<u64> {
    let [real, effective, saved, ..] = frame.args();
    change(Of::Groups, |ids, _| {
        credentials::set_all(ids, [real as u32, effective as u32, saved as u32])
    })
}

/// `NGROUPS_MAX`.
const GROUPS_MAX: u64 = 65536;

/// There are no supplementary groups.
pub fn getgroups(_: &mut Frame) -> Result<u64> {
    Ok(0)
}

/// The empty list can be set by the privileged; no other can be kept.
pub fn setgroups(frame: &mut Frame) -> Result<u64> {
    let [count, list, ..] = frame.args();
    match u64::from(count as u32) {
        _ if IDENTITY.lock().euid != 0 => Err(Errno::EPERM),
        0 => Ok(0),
        1..=GROUPS_MAX => {
            for index in 0..u64::from(count as u32) {
                user::read::<u32>(list.checked_add(index * 4).ok_or(Errno::EFAULT)?)?;
            }
            Err(Errno::EINVAL)
        }
        _ => Err(Errno::EINVAL),
    }
}

pub fn getpgrp(_: &mut Frame) -> Result<u64> {
    Ok(process::group(0)?.into())
}

pub fn getpgid(frame: &mut Frame) -> Result<u64> {
    Ok(process::group(frame.rdi as u32)?.into())
}

pub fn setpgid(frame: &mut Frame) -> Result<u64> {
    let [pid, group, ..] = frame.args();
    if (pid as i32) < 0 || (group as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    process::set_group(pid as u32, group as u32)?;
    Ok(0)
}

pub fn getsid(frame: &mut Frame) -> Result<u64> {
    Ok(process::session(frame.rdi as u32)?.into())
}

pub fn setsid(_: &mut Frame) -> Result<u64> {
    Ok(process::new_session()?.into())
}
