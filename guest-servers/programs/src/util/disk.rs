//! Programs about file systems: `mount`, `umount`, `df`, `du`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cx::{Cx, Fail, Outcome};
use crate::sys::fs::{Access, capacity, mount as attach, unmount};
use crate::text::human;

/// The kernel's list of what is mounted.
const MOUNTS: &str = "/proc/mounts";

/// `mount`, `mount [-t TYPE] [-o ro|rw|OPTION,...] DEVICE DIRECTORY`: other options are the file system's.
pub fn mount(cx: &mut Cx) -> Outcome {
    let opts = cx.options("t:o:r")?;
    let (device, target) = match opts.operands.as_slice() {
        [] => {
            let text = fs::read(MOUNTS).map_err(|why| Fail::on(MOUNTS, &why))?;
            cx.out.write_all(&text)?;
            return Ok(0);
        }
        [device, target] => (device, target),
        _ => return Err(Fail::usage("needs a device and a directory")),
    };
    let mut access = if opts.has('r') {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    let mut others = Vec::new();
    for option in opts
        .values('o')
        .flat_map(|list| list.to_str().unwrap_or("?").split(','))
    {
        match option {
            "ro" => access = Access::ReadOnly,
            "rw" => access = Access::ReadWrite,
            other => others.push(other),
        }
    }
    let kind = opts.value('t').unwrap_or(OsStr::new("ext2"));
    attach(device, target, kind, access, &others.join(",")).map_err(|why| {
        Fail::on(
            format!("{} on {}", device.display(), target.display()),
            &why,
        )
    })?;
    Ok(0)
}

/// `umount DIRECTORY...`
pub fn umount(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    if opts.operands.is_empty() {
        return Err(Fail::usage("needs a directory"));
    }
    cx.each(&opts.operands, |_, target| unmount(target))
}

/// `df [-h] [FILE]...`: in units of 1 KiB.
pub fn df(cx: &mut Cx) -> Outcome {
    let opts = cx.options("hk")?;
    let mounts = fs::read_to_string(MOUNTS).map_err(|why| Fail::on(MOUNTS, &why))?;
    let lines: Vec<Vec<&str>> = mounts
        .lines()
        .map(|line| line.split(' ').collect())
        .filter(|f: &Vec<_>| f.len() > 2)
        .collect();
    let title = if opts.has('h') { "Size" } else { "1K-blocks" };
    writeln!(
        cx.out,
        "{:<20} {title:>10} {:>10} {:>10} {:>4} Mounted on",
        "Filesystem", "Used", "Available", "Use%"
    )?;
    if opts.operands.is_empty() {
        for fields in &lines {
            // What has no blocks is no disk; what cannot be asked is no place of ours.
            match capacity(OsStr::new(fields[1])) {
                Ok(room) if room.total > 0 => row(cx, fields[0], fields[1], opts.has('h'))?,
                _ => {}
            }
        }
    }
    for file in &opts.operands {
        let path = match fs::canonicalize(file) {
            Ok(path) => path,
            Err(why) => {
                cx.warn(file, &why);
                continue;
            }
        };
        let holds = |fields: &&Vec<&str>| path.starts_with(fields[1]);
        let found = lines
            .iter()
            .filter(holds)
            .max_by_key(|fields| fields[1].len());
        let (device, target) = found.map_or(("-", "/"), |fields| (fields[0], fields[1]));
        row(cx, device, target, opts.has('h'))?;
    }
    Ok(cx.status())
}

fn row(cx: &mut Cx, device: &str, target: &str, in_units: bool) -> Result<(), Fail> {
    let room = match capacity(OsStr::new(target)) {
        Ok(room) => room,
        Err(why) => {
            cx.warn(target, &why);
            return Ok(());
        }
    };
    let show = |bytes: u64| {
        if in_units {
            human(bytes)
        } else {
            bytes.div_ceil(1024).to_string()
        }
    };
    let used = room.total.saturating_sub(room.free);
    let share =
        (used * 100)
            .checked_div(used + room.available)
            .map_or("-".to_string(), |percent| {
                let rounded_up =
                    percent + u64::from(!(used * 100).is_multiple_of(used + room.available));
                format!("{rounded_up}%")
            });
    let (total, used, free) = (show(room.total), show(used), show(room.available));
    writeln!(
        cx.out,
        "{device:<20} {total:>10} {used:>10} {free:>10} {share:>4} {target}"
    )?;
    Ok(())
}

/// `du [-sha] [FILE]...`: in units of 1 KiB.
pub fn du(cx: &mut Cx) -> Outcome {
    let opts = cx.options("shak")?;
    let operands = if opts.operands.is_empty() {
        vec![".".into()]
    } else {
        opts.operands.clone()
    };
    let mut usage = Usage {
        all: opts.has('a'),
        sums: opts.has('s'),
        units: opts.has('h'),
        seen: BTreeSet::new(),
    };
    for path in operands {
        usage.tree(cx, &PathBuf::from(&path), 0)?;
    }
    Ok(cx.status())
}

struct Usage {
    all: bool,
    sums: bool,
    units: bool,
    /// Files with several names count once.
    seen: BTreeSet<(u64, u64)>,
}

impl Usage {
    /// Bytes on disk under `path`.
    fn tree(&mut self, cx: &mut Cx, path: &Path, depth: usize) -> io::Result<u64> {
        let data = match fs::symlink_metadata(path) {
            Ok(data) => data,
            Err(why) => {
                cx.warn(path, &why);
                return Ok(0);
            }
        };
        if data.nlink() > 1 && !data.is_dir() && !self.seen.insert((data.dev(), data.ino())) {
            return Ok(0);
        }
        let mut total = data.blocks() * 512;
        if data.is_dir() {
            match fs::read_dir(path) {
                Ok(entries) => {
                    for entry in entries.flatten() {
                        total += self.tree(cx, &entry.path(), depth + 1)?;
                    }
                }
                Err(why) => cx.warn(path, &why),
            }
        }
        if depth == 0 || (!self.sums && (self.all || data.is_dir())) {
            let shown = if self.units {
                human(total)
            } else {
                total.div_ceil(1024).to_string()
            };
            writeln!(cx.out, "{shown}\t{}", path.display())?;
        }
        Ok(total)
    }
}
