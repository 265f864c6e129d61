//! `limitcheck [NAME]...`: what POSIX and Linux say of resource limits. It runs on Linux too, where every check must
//! hold as well.

mod files;
mod memory;
mod processes;

use super::memcheck::{Check, Wrong, checks, same};
use crate::cx::{Cx, Outcome};
use crate::sys::memory::in_child;
use crate::sys::process::Change;

const GROUPS: &[&[(&str, Check)]] = &[memory::CHECKS, files::CHECKS, processes::CHECKS];

/// `limitcheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}

/// Runs a check in a child, which may change what cannot be changed back.
fn apart(check: impl FnOnce() -> Result<(), Wrong>) -> Result<(), Wrong> {
    let ended = in_child(|| match check() {
        Ok(()) => 0,
        Err(wrong) => {
            errln!("{}", wrong.text());
            1
        }
    })?;
    same("the child", ended, Change::Exited(0))
}

/// A user without privileges.
const USER: u32 = 1000;
