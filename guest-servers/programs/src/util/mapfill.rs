//! `mapfill [-r] FILE PAGES`: touches pages of a file one by one through a shared mapping (with `-r` only reads them),
//! in a child, and tells at which page that is killed; then what `msync` and `fsync`, twice, say of it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use crate::cx::{Cx, Fail, Outcome, cause};
use crate::opts::number;
use crate::sys::memory::{self, PAGE};
use crate::sys::process::Change;

/// What became of the pages: how many were touched, and the signal that ended it.
fn touch_all(address: usize, pages: usize, only_read: bool) -> io::Result<(usize, Option<i32>)> {
    let how = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    let counter = memory::map(0, PAGE, how, -1, 0)?;
    let ended = memory::in_child(|| {
        for page in 0..pages {
            match only_read {
                true => _ = memory::peek(address + page * PAGE),
                false => memory::poke(address + page * PAGE, page as u8 | 1),
            }
            memory::copy_in(counter, &(page + 1).to_le_bytes());
        }
        0
    })?;
    let mut count = [0; 8];
    memory::copy_out(counter, &mut count);
    memory::unmap(counter, PAGE)?;
    let signal = match ended {
        Change::Killed(signal) => Some(signal),
        _ => None,
    };
    Ok((usize::from_le_bytes(count), signal))
}

fn told<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(why) => cause(&why),
    }
}

/// `mapfill [-r] FILE PAGES`.
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("r")?;
    let [path, pages] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a file and a number of pages"));
    };
    let pages: usize = number(pages).ok_or_else(|| Fail::usage("the pages are no number"))?;
    let fail = |why: io::Error| Fail::on(path, &why);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).open(path);
    let file = file.map_err(fail)?;
    if !opts.has('r') {
        file.set_len((pages * PAGE) as u64).map_err(fail)?;
    }
    let how = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let address = memory::map(0, pages * PAGE, how, file.as_raw_fd(), 0).map_err(fail)?;
    let (count, signal) = touch_all(address, pages, opts.has('r')).map_err(fail)?;
    let end = match signal {
        None => "all".into(),
        Some(libc::SIGBUS) => "then SIGBUS".into(),
        Some(other) => format!("then signal {other}"),
    };
    writeln!(cx.out, "touched {count} pages, {end}")?;
    let msync = memory::sync(address, pages * PAGE, libc::MS_SYNC as usize);
    writeln!(cx.out, "msync: {}", told(msync))?;
    for _ in 0..2 {
        writeln!(cx.out, "fsync: {}", told(file.sync_all()))?;
    }
    memory::unmap(address, pages * PAGE).map_err(fail)?;
    Ok(0)
}
