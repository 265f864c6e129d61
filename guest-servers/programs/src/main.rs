//! The programs of a Ferrix system in one multi-call binary.
//!
//! The base name of `argv[0]` chooses the program ([`table`]); `ferrix-programs NAME ARGS`
//! does the same by argument, and `ferrix-programs --list` prints every name, one a line, so
//! that whoever builds a disk image can make the links. All of it is plain Rust `std` on the
//! Linux system call interface: the same file runs on Linux.
//!
//! Neighbours: [`cx`] is what a utility gets, [`util`] holds one file per utility, [`sh`] is
//! the shell, [`sys`] is the only place with `unsafe`.

#![deny(unsafe_code)]

/// Writes to standard error with one system call, so that messages of several processes do
/// not mix. If it fails there is nowhere to say so.
macro_rules! err {
    ($($arg:tt)*) => {
        drop(std::io::Write::write_all(&mut { $crate::sys::fd::Fd::STDERR }, format!($($arg)*).as_bytes()))
    };
}

/// The same with a newline.
macro_rules! errln {
    () => { err!("\n") };
    ($format:literal $($arg:tt)*) => { err!("{}\n", format_args!($format $($arg)*)) };
}

mod cx;
mod opts;
mod sh;
#[expect(unsafe_code, reason = "the C library is called here and nowhere else")]
mod sys;
mod table;
mod text;
mod util;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The binary's own name; under it the first argument chooses.
const SELF: &str = "ferrix-programs";

fn main() {
    sys::signal::restore_default(libc::SIGPIPE);
    let args: Vec<OsString> = std::env::args_os().collect();
    std::process::exit(start(&args));
}

/// Runs the program that `args[0]` names and returns its exit status.
fn start(args: &[OsString]) -> i32 {
    let name = args
        .first()
        .and_then(|arg| Path::new(arg).file_name())
        .unwrap_or_default();
    // A login shell is started as `-sh`.
    let name = name
        .as_bytes()
        .strip_prefix(b"-")
        .unwrap_or(name.as_bytes());
    if name != SELF.as_bytes() {
        return run_named(name, args);
    }
    match args.get(1) {
        Some(list) if list == "--list" => list_names(),
        Some(chosen) => run_named(chosen.as_bytes(), &args[1..]),
        None => {
            errln!("usage: {SELF} --list | NAME [ARGUMENT]...");
            2
        }
    }
}

fn run_named(name: &[u8], args: &[OsString]) -> i32 {
    match table::find(name) {
        Some(tool) => cx::invoke(tool, &args[1..]),
        None => {
            let name = String::from_utf8_lossy(name);
            errln!("{SELF}: {name}: no such program; `{SELF} --list` names them all");
            127
        }
    }
}

fn list_names() -> i32 {
    let mut out = cx::stdout();
    let wrote = table::TOOLS
        .iter()
        .try_for_each(|tool| writeln!(out, "{}", tool.name));
    i32::from(wrote.and_then(|()| out.flush()).is_err())
}
