//! Descriptors and file sizes.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::memcheck::{Check, Wrong, fails, same};
use super::{USER, apart};
use crate::sys::limit::{self, Limit, resource};
use crate::sys::memory::{self, in_child};
use crate::sys::process::Change;
use crate::sys::signal;
use libc::{EFBIG, EINVAL, EMFILE, EPERM, SIGXFSZ};

pub const CHECKS: &[(&str, Check)] = &[
    ("files.descriptors", descriptors),
    ("files.size", sizes),
    ("files.size_of_larger", larger),
    ("files.size_kills", kills),
];

/// Where files are in memory, and where they are not, on Ferrix at least.
const PLACES: [&str; 2] = ["/dev/shm", "/tmp"];
const FILES: i32 = resource::NOFILE;
const SIZE: i32 = resource::FSIZE;

fn everywhere(check: fn(&str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    for place in PLACES {
        let path = format!("{place}/limitcheck-{}", std::process::id());
        let result = apart(|| check(&path));
        // Some checks leave none.
        let _ = fs::remove_file(&path);
        result.map_err(|wrong| wrong.at(place))?;
    }
    Ok(())
}

fn descriptors() -> Result<(), Wrong> {
    apart(|| {
        let old = limit::get(FILES)?;
        let file = File::open("/dev/null")?;
        limit::set_soft(FILES, 12)?;
        let copies: Vec<_> = std::iter::from_fn(|| file.try_clone().ok())
            .take(100)
            .collect();
        same("copies", copies.len() < 12, true)?;
        fails("one more", file.try_clone(), EMFILE)?;
        fails("a new one", File::open("/dev/null"), EMFILE)?;
        fails("a pipe", memory::pipe(), EMFILE)?;
        limit::set(FILES, Limit { soft: 20, ..old })?;
        drop(file.try_clone()?);
        let wrong = Limit { soft: 30, hard: 20 };
        fails("soft above hard", limit::set(FILES, wrong), EINVAL)?;
        fails("no resource", limit::get(99), EINVAL)?;
        limit::set(FILES, Limit { soft: 15, hard: 20 })?;
        if memory::is_root() {
            let raised = limit::set(FILES, Limit { soft: 15, hard: 21 });
            // In a container root may not.
            if Path::new("/proc/ferrix").exists() {
                raised?;
            }
            memory::become_user(USER)?;
        }
        let raised = Limit { soft: 15, hard: 22 };
        fails("hard by a user", limit::set(FILES, raised), EPERM)?;
        limit::set(FILES, Limit { soft: 20, hard: 20 })?;
        Ok(())
    })
}

/// A call must fail for the file's size, with its signal.
fn too_large<T: std::fmt::Debug>(what: &str, result: std::io::Result<T>) -> Result<(), Wrong> {
    fails(what, result, EFBIG)?;
    same(what, signal::take(SIGXFSZ), true)
}

fn sizes() -> Result<(), Wrong> {
    everywhere(|path| {
        signal::catch(SIGXFSZ)?;
        let mut file = File::create(path)?;
        limit::set_soft(SIZE, 10_000)?;
        same("all that fits", file.write(&[1; 20_000])?, 10_000)?;
        same("no signal yet", signal::take(SIGXFSZ), false)?;
        too_large("write", file.write(&[1]))?;
        same("no bytes", file.write(&[])?, 0)?;
        same("the last bytes", file.write_at(&[2; 20], 9_990)?, 10)?;
        too_large("pwrite", file.write_at(&[2; 20], 10_000))?;
        too_large("pwrite far off", file.write_at(&[2], 1 << 40))?;
        too_large("ftruncate", file.set_len(10_001))?;
        too_large(
            "truncate",
            fs::File::options().write(true).open(path)?.set_len(20_000),
        )?;
        same("as it was", file.metadata()?.len(), 10_000)?;
        let mut append = OpenOptions::new().append(true).open(path)?;
        too_large("appended", append.write(&[3]))?;
        file.set_len(500)?;
        same("appended", append.write(&[3; 9_600])?, 9_500)?;
        file.seek(SeekFrom::Start(0))?;
        same("over what is there", file.write(&[4; 100])?, 100)
    })
}

/// A file that is larger already can be written inside the limit, and made smaller.
fn larger() -> Result<(), Wrong> {
    everywhere(|path| {
        signal::catch(SIGXFSZ)?;
        let file = File::create(path)?;
        file.set_len(50_000)?;
        limit::set_soft(SIZE, 10_000)?;
        same("below", file.write_at(&[1; 10], 5_000)?, 10)?;
        too_large("above", file.write_at(&[1], 20_000))?;
        file.set_len(30_000)?;
        too_large("larger again", file.set_len(30_001))?;
        same("smaller", file.metadata()?.len(), 30_000)
    })
}

fn kills() -> Result<(), Wrong> {
    everywhere(|path| {
        signal::restore_default(SIGXFSZ);
        let mut file = File::create(path)?;
        limit::set_soft(SIZE, 10)?;
        let ended = in_child(|| {
            let _ = file.write_all(&[1; 20]);
            0
        })?;
        let killed = matches!(ended, Change::Killed(SIGXFSZ));
        same("killed by SIGXFSZ", killed, true)
    })
}
