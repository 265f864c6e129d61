//! Locks on files: the checks of `lockcheck`, which hold on Linux too.

use crate::passes::passes;
use crate::trial::everywhere;
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let groups = [
        ("locks::held", "record ofd flock"),
        ("locks::awaited", "wait"),
    ];
    groups
        .map(|(name, groups)| everywhere(name, move || passes(&format!("lockcheck {groups}"))))
        .into()
}
