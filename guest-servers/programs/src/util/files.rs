//! Programs that make, remove and change files, each a call or two a file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use super::users::Names;
use crate::cx::{Cx, Fail, Outcome};
use crate::sys;
use crate::text::{base_name, size};

/// Operands, of which there must be at least `least`.
fn operands(given: Vec<OsString>, least: usize) -> Result<Vec<OsString>, Fail> {
    if given.len() >= least {
        return Ok(given);
    }
    Err(Fail::usage(if least == 1 {
        "needs a file"
    } else {
        "needs more operands"
    }))
}

/// `mkdir [-p] [-m MODE] DIRECTORY...`
pub fn mkdir(cx: &mut Cx) -> Outcome {
    let opts = cx.options("pm:")?;
    let mode = match opts.value('m') {
        Some(text) => octal(text)?,
        None => 0o777,
    };
    let parents = opts.has('p');
    cx.each(&operands(opts.operands, 1)?, |_, path| {
        DirBuilder::new().recursive(parents).mode(mode).create(path)
    })
}

fn octal(text: &OsStr) -> Result<u32, Fail> {
    let text = text.to_string_lossy();
    u32::from_str_radix(&text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Fail::usage(format!("{text}: is no octal mode")))
}

/// `rmdir DIRECTORY...`
pub fn rmdir(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    cx.each(&operands(opts.operands, 1)?, |_, path| fs::remove_dir(path))
}

/// `rm [-rf] FILE...`
pub fn rm(cx: &mut Cx) -> Outcome {
    let opts = cx.options("rRf")?;
    let force = opts.has('f');
    let recursive = opts.has('r') || opts.has('R');
    cx.each(&operands(opts.operands, usize::from(!force))?, |_, path| {
        if matches!(base_name(path).as_bytes(), b"." | b".." | b"/") {
            return Err(io::Error::other("is not removed, for safety"));
        }
        let data = match fs::symlink_metadata(path) {
            Err(why) if force && why.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        match (data.is_dir(), recursive) {
            (true, true) => fs::remove_dir_all(path),
            (true, false) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            (false, _) => fs::remove_file(path),
        }
    })
}

/// `ln [-sf] TARGET... LINK|DIRECTORY`
pub fn ln(cx: &mut Cx) -> Outcome {
    let opts = cx.options("sfn")?;
    let mut targets = operands(opts.operands.clone(), 1)?;
    let place = if targets.len() > 1 {
        targets.pop().unwrap_or_default()
    } else {
        ".".into()
    };
    let into = Path::new(&place).is_dir() && !(opts.has('n') && Path::new(&place).is_symlink());
    if targets.len() > 1 && !into {
        return Err(Fail::new(format!("{}: is no directory", place.display())));
    }
    cx.each(&targets, |_, target| {
        let link = match into {
            true => Path::new(&place).join(base_name(target)),
            false => Path::new(&place).to_path_buf(),
        };
        if opts.has('f') && fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link)?;
        }
        match opts.has('s') {
            true => std::os::unix::fs::symlink(target, &link),
            false => fs::hard_link(target, &link),
        }
    })
}

/// `touch [-c] [-r FILE] [-d @SECONDS] FILE...`
pub fn touch(cx: &mut Cx) -> Outcome {
    let opts = cx.options("cr:d:")?;
    let mut times = None;
    if let Some(reference) = opts.value('r') {
        let data = fs::metadata(reference).map_err(|why| Fail::on(reference, &why))?;
        times = Some((
            (data.atime(), data.atime_nsec()),
            (data.mtime(), data.mtime_nsec()),
        ));
    }
    if let Some(text) = opts.value('d') {
        let text = text.to_string_lossy();
        let seconds = text
            .strip_prefix('@')
            .and_then(|digits| digits.parse().ok());
        let seconds: i64 = seconds
            .ok_or_else(|| Fail::usage(format!("-d {text}: only @SECONDS is understood")))?;
        times = Some(((seconds, 0), (seconds, 0)));
    }
    cx.each(
        &operands(opts.operands.clone(), 1)?,
        |_, path| match sys::fs::set_times(path, times) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                if opts.has('c') {
                    return Ok(());
                }
                OpenOptions::new().create(true).append(true).open(path)?;
                times.map_or(Ok(()), |_| sys::fs::set_times(path, times))
            }
            other => other,
        },
    )
}

/// `mkfifo [-m MODE] PATH...`
pub fn mkfifo(cx: &mut Cx) -> Outcome {
    let opts = cx.options("m:")?;
    let mode = opts.value('m').map_or(Ok(0o666), octal)?;
    cx.each(&operands(opts.operands, 1)?, |_, path| {
        sys::fs::make_fifo(path, mode)
    })
}

/// `truncate -s [+-]SIZE FILE...`
pub fn truncate(cx: &mut Cx) -> Outcome {
    let opts = cx.options("cs:")?;
    let text = opts
        .value('s')
        .ok_or_else(|| Fail::usage("-s SIZE is needed"))?;
    let (sign, digits) = match text.as_bytes() {
        [sign @ (b'+' | b'-'), digits @ ..] => (Some(*sign), OsStr::from_bytes(digits)),
        _ => (None, text),
    };
    let amount =
        size(digits).ok_or_else(|| Fail::usage(format!("{}: is no size", text.display())))?;
    cx.each(&operands(opts.operands.clone(), 1)?, |_, path| {
        let file = OpenOptions::new()
            .write(true)
            .create(!opts.has('c'))
            .truncate(false)
            .open(path)?;
        let length = match sign {
            None => amount,
            Some(b'+') => file.metadata()?.len().saturating_add(amount),
            Some(_) => file.metadata()?.len().saturating_sub(amount),
        };
        file.set_len(length)
    })
}

/// `chown USER[:GROUP] FILE...`
pub fn chown(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let files = operands(opts.operands, 2)?;
    let owner = files[0].to_string_lossy();
    let (user, group) = owner.split_once([':', '.']).unwrap_or((&owner, ""));
    let find = |names: Names, text: &str| match text {
        "" => Ok(None),
        _ => names
            .id(text)
            .map(Some)
            .ok_or_else(|| Fail::new(format!("{text}: is unknown"))),
    };
    let user = find(Names::users(), user)?;
    let group = find(Names::groups(), group)?;
    cx.each(&files[1..], |_, path| {
        std::os::unix::fs::chown(path, user, group)
    })
}
