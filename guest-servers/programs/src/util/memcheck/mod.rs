//! `memcheck [NAME]...`: what POSIX and Linux say of memory, call by call. It runs on Linux too, where every check
//! must hold as well.

mod advice;
mod allocation;
mod files;
mod locks;
mod mapping;
mod more_files;
mod remap;
mod segments;

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Fail, Outcome};
use crate::sys::memory;

/// A check: what is wrong, if anything.
pub type Check = fn() -> Result<(), Wrong>;

/// What is wrong.
#[derive(Debug)]
pub struct Wrong(String);

impl Wrong {
    /// What is wrong.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The same, with the place where it is.
    pub fn at(self, place: &str) -> Wrong {
        Wrong(format!("{place}: {}", self.0))
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Wrong {
        Wrong(format!("unexpected error: {error}"))
    }
}

const GROUPS: &[&[(&str, Check)]] = &[
    mapping::CHECKS,
    remap::CHECKS,
    advice::CHECKS,
    locks::CHECKS,
    files::CHECKS,
    more_files::CHECKS,
    allocation::CHECKS,
    segments::CHECKS,
];

/// Two values must be equal.
pub fn same<T: PartialEq + Debug>(what: &str, is: T, should: T) -> Result<(), Wrong> {
    if is == should {
        return Ok(());
    }
    Err(Wrong(format!("{what}: is {is:?}, should be {should:?}")))
}

/// A call must fail with this error.
pub fn fails<T: Debug>(what: &str, result: io::Result<T>, errno: i32) -> Result<(), Wrong> {
    let is = result.map_err(|error| error.raw_os_error().unwrap_or(0));
    match is {
        Err(number) if number == errno => Ok(()),
        Err(number) => Err(Wrong(format!(
            "{what}: fails with {}, should with {}",
            io::Error::from_raw_os_error(number),
            io::Error::from_raw_os_error(errno)
        ))),
        Ok(value) => Err(Wrong(format!(
            "{what}: gives {value:?}, should fail with {}",
            io::Error::from_raw_os_error(errno)
        ))),
    }
}

/// `memcheck [NAME]...`: the checks whose names begin so; all without a name.
pub fn run(cx: &mut Cx) -> Outcome {
    checks(cx, GROUPS)
}

/// The checks of some groups that the operands name; all without operands.
pub fn checks(cx: &mut Cx, groups: &[&[(&str, Check)]]) -> Outcome {
    let opts = cx.options("")?;
    let wanted: Vec<String> = opts
        .operands
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let mut count = 0;
    for (name, check) in groups.iter().flat_map(|group| group.iter()) {
        let chosen = wanted.is_empty() || wanted.iter().any(|prefix| name.starts_with(prefix));
        if !chosen {
            continue;
        }
        count += 1;
        match check() {
            Ok(()) => writeln!(cx.out, "{name} ok")?,
            Err(Wrong(what)) => cx.complain(&format!("{name}: {what}")),
        }
        cx.out.flush()?;
    }
    if count == 0 {
        return Err(Fail::usage("no check has such a name"));
    }
    Ok(cx.status())
}

/// `mapwrite [-n] FILE TEXT`: writes over the beginning of a file through a shared mapping, and `msync`s unless `-n`.
pub fn mapwrite(cx: &mut Cx) -> Outcome {
    let opts = cx.options("n")?;
    let [path, text] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a file and a text"));
    };
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let how = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let at = memory::map(0, memory::PAGE, how, file.as_raw_fd(), 0)?;
        for (offset, byte) in text.as_bytes().iter().enumerate() {
            memory::poke(at + offset, *byte);
        }
        if !opts.has('n') {
            memory::sync(at, memory::PAGE, libc::MS_SYNC as usize)?;
        }
        memory::unmap(at, memory::PAGE).map(drop)
    };
    write().map_err(|why| Fail::on(path, &why))?;
    Ok(0)
}
