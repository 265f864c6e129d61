//! `cp` and `mv`: files and trees to another place.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::cx::{Cx, Fail, Outcome};
use crate::sys;
use crate::text::base_name;

/// What a copy takes along.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Contents and mode.
    Contents,
    /// Owner and times too.
    All,
}

/// Operands as sources and where each goes.
fn plan(operands: &[std::ffi::OsString]) -> Result<Vec<(PathBuf, PathBuf)>, Fail> {
    let Some((place, sources)) = operands.split_last().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Fail::usage("needs a source and a destination"));
    };
    let place = Path::new(place);
    let into = place.is_dir();
    if sources.len() > 1 && !into {
        return Err(Fail::new(format!("{}: is no directory", place.display())));
    }
    let target = |source: &OsStr| match into {
        true => place.join(base_name(source)),
        false => place.to_path_buf(),
    };
    Ok(sources
        .iter()
        .map(|source| (source.into(), target(source)))
        .collect())
}

/// `cp [-rpf] SOURCE... DESTINATION`
pub fn cp(cx: &mut Cx) -> Outcome {
    let opts = cx.options("rRapf")?;
    let keep = if opts.last_of("pa").is_some() {
        Keep::All
    } else {
        Keep::Contents
    };
    let recursive = opts.last_of("rRa").is_some();
    for (source, target) in plan(&opts.operands)? {
        let follows = !recursive;
        let data = if follows {
            fs::metadata(&source)
        } else {
            fs::symlink_metadata(&source)
        };
        match data {
            Err(why) => cx.warn(&source, &why),
            Ok(data) if data.is_dir() && !recursive => {
                cx.complain(&format!(
                    "{}: is a directory; -r copies it",
                    source.display()
                ));
            }
            Ok(data) if data.is_dir() && inside(&target, &source) => {
                let (source, target) = (source.display(), target.display());
                cx.complain(&format!("{source}: cannot be copied into itself, {target}"));
            }
            Ok(data) => tree(cx, &source, &data, &target, keep),
        }
    }
    Ok(cx.status())
}

/// Whether `target` would be within `source`.
fn inside(target: &Path, source: &Path) -> bool {
    let parent = target
        .parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."));
    match (fs::canonicalize(parent), fs::canonicalize(source)) {
        (Ok(parent), Ok(source)) => parent.starts_with(source),
        _ => false,
    }
}

/// Copies a file or a tree, reporting what fails.
fn tree(cx: &mut Cx, source: &Path, data: &Metadata, target: &Path, keep: Keep) {
    if !data.is_dir() {
        if let Err(fail) = file(source, data, target, keep) {
            cx.complain(&fail);
        }
        return;
    }
    let made = DirBuilder::new()
        .mode(data.mode() & 0o777 | 0o700)
        .create(target);
    match made {
        Err(why) if !target.is_dir() => return cx.warn(target, &why),
        _ => {}
    }
    let entries = match fs::read_dir(source) {
        Ok(entries) => entries,
        Err(why) => return cx.warn(source, &why),
    };
    for entry in entries {
        let Ok(entry) = entry.map_err(|why| cx.warn(source, &why)) else {
            continue;
        };
        match fs::symlink_metadata(entry.path()) {
            Ok(data) => tree(
                cx,
                &entry.path(),
                &data,
                &target.join(entry.file_name()),
                keep,
            ),
            Err(why) => cx.warn(entry.path(), &why),
        }
    }
    if keep == Keep::All
        && let Err(why) = attributes(data, target)
    {
        cx.warn(target, &why);
    }
}

/// Copies what is no directory; the error names the file.
fn file(source: &Path, data: &Metadata, target: &Path, keep: Keep) -> Result<(), String> {
    let named =
        |path: &Path, why: io::Error| format!("{}: {}", path.display(), crate::cx::cause(&why));
    if let Ok(there) = fs::metadata(target)
        && (there.dev(), there.ino()) == (data.dev(), data.ino())
        && !data.is_symlink()
    {
        let (source, target) = (source.display(), target.display());
        return Err(format!("{source} and {target}: are the same file"));
    }
    if data.is_symlink() {
        let to = fs::read_link(source).map_err(|why| named(source, why))?;
        // One that is in the way is replaced; if it cannot be, symlink says why.
        let _ = fs::remove_file(target);
        return symlink(to, target).map_err(|why| named(target, why));
    }
    let mut from = File::open(source).map_err(|why| named(source, why))?;
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(data.mode() & 0o7777)
        .open(target)
        .map_err(|why| named(target, why))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => to
                .write_all(&buffer[..count])
                .map_err(|why| named(target, why))?,
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(named(source, why)),
        }
    }
    match keep {
        Keep::All => attributes(data, target).map_err(|why| named(target, why)),
        Keep::Contents => Ok(()),
    }
}

/// Gives `target` the owner, mode and times that `data` says.
fn attributes(data: &Metadata, target: &Path) -> io::Result<()> {
    // Only root may give files away; for others the copy is theirs.
    let _ = std::os::unix::fs::chown(target, Some(data.uid()), Some(data.gid()));
    fs::set_permissions(target, fs::Permissions::from_mode(data.mode() & 0o7777))?;
    let times = (
        (data.atime(), data.atime_nsec()),
        (data.mtime(), data.mtime_nsec()),
    );
    sys::fs::set_times(target.as_os_str(), Some(times))
}

/// `mv [-f] SOURCE... DESTINATION`; copies and removes across file systems.
pub fn mv(cx: &mut Cx) -> Outcome {
    let opts = cx.options("f")?;
    for (source, target) in plan(&opts.operands)? {
        match fs::rename(&source, &target) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::CrossesDevices => across(cx, &source, &target),
            Err(why) if why.kind() == ErrorKind::NotFound && source.symlink_metadata().is_err() => {
                cx.warn(&source, &why);
            }
            Err(why) => {
                let (source, target) = (source.display(), target.display());
                cx.complain(&format!("{source} to {target}: {}", crate::cx::cause(&why)));
            }
        }
    }
    Ok(cx.status())
}

fn across(cx: &mut Cx, source: &Path, target: &Path) {
    let before = cx.status();
    let data = match fs::symlink_metadata(source) {
        Ok(data) => data,
        Err(why) => return cx.warn(source, &why),
    };
    tree(cx, source, &data, target, Keep::All);
    if cx.status() != before {
        return;
    }
    let removed = if data.is_dir() {
        fs::remove_dir_all(source)
    } else {
        fs::remove_file(source)
    };
    if let Err(why) = removed {
        cx.warn(source, &why);
    }
}
