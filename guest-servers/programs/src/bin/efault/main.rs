//! A test program: every system call, with every pointer argument (also those inside structures) set to every kind
//! of wrong address. `EFAULT`, or the error that Linux gives instead; never a signal, never a success.
//!
//! It runs on Linux too, where all must hold as well: so the table is right. Each row runs in a process of its own, so
//! that a call that kills is found and named. Not part of the image: the tests put it on a disk of theirs.
//!
//! `efault [--few] [NAME]...` runs the rows of the calls with these names, or all, with the kinds of places that
//! differ most (`--few`) or all; `efault --list` names the calls that the
//! table knows; `efault --missing` makes every other call once, and names those that are there after all (for
//! Ferrix: on Linux they might do something); `efault --races [ROUNDS]` takes memory away while a call uses it.

#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
mod env;
#[cfg(target_arch = "x86_64")]
mod places;
#[cfg(target_arch = "x86_64")]
mod races;
#[cfg(target_arch = "x86_64")]
mod raw;
#[cfg(target_arch = "x86_64")]
mod row;
#[cfg(target_arch = "x86_64")]
mod run;
#[cfg(target_arch = "x86_64")]
mod scenes;
#[cfg(target_arch = "x86_64")]
mod table;

#[cfg(target_arch = "x86_64")]
fn main() {
    std::process::exit(run::main());
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    eprintln!("efault: for x86-64 only");
    std::process::exit(2);
}
