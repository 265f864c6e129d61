//! `ls`: what is in directories.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::civil::Civil;
use super::listing;
use super::users::Names;
use crate::cx::{Cx, Outcome};
use crate::opts::Opts;
use crate::sys::fd::Fd;
use crate::sys::{fs::device_parts, term};
use crate::text::human;

/// Files whose times are this old or in the future show their year.
const HALF_A_YEAR: i64 = 15_778_476;

struct Entry {
    name: OsString,
    path: PathBuf,
    /// Only read where it is shown or sorted by.
    data: Option<Metadata>,
}

struct Listing {
    opts: Opts,
    users: Option<(Names, Names)>,
    now: i64,
    /// Columns to fill; 0 for one name a line.
    columns: usize,
}

/// `ls [-la1AdhiRrtSF] [FILE]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("la1AdhiRrtSFC")?;
    let long = opts.has('l');
    let one_a_line = long || opts.has('1') || !(opts.has('C') || Fd::STDOUT.is_terminal());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let listing = Listing {
        users: long.then(|| (Names::users(), Names::groups())),
        now: now.as_secs() as i64,
        columns: if one_a_line { 0 } else { width() },
        opts,
    };
    listing.all(cx)
}

/// The terminal's width, or the traditional one.
fn width() -> usize {
    match term::size(Fd::STDOUT) {
        Ok((_, columns @ 1..)) => usize::from(columns),
        _ => 80,
    }
}

impl Listing {
    fn all(&self, cx: &mut Cx) -> Outcome {
        let mut operands = self.opts.operands.clone();
        if operands.is_empty() {
            operands.push(".".into());
        }
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for name in operands {
            let entry = Entry {
                path: (&name).into(),
                data: None,
                name,
            };
            match self.named(&entry.path) {
                Ok(data) if data.is_dir() && !self.opts.has('d') => directories.push(entry),
                Ok(data) => files.push(Entry {
                    data: Some(data),
                    ..entry
                }),
                Err(why) => {
                    cx.warn(&entry.path, &why);
                    cx.raise(2);
                }
            }
        }
        let titles = files.len() + directories.len() > 1 || self.opts.has('R');
        let mut first = files.is_empty();
        self.sort(&mut files);
        self.print(cx, &files)?;
        self.sort(&mut directories);
        for directory in directories {
            self.directory(cx, &directory.path, titles, &mut first)?;
        }
        Ok(cx.status())
    }

    /// An operand's data: a link is followed unless it is what is listed.
    fn named(&self, path: &Path) -> io::Result<Metadata> {
        if self.opts.has('l') || self.opts.has('d') {
            return fs::symlink_metadata(path);
        }
        fs::metadata(path).or_else(|_| fs::symlink_metadata(path))
    }

    fn directory(
        &self,
        cx: &mut Cx,
        path: &Path,
        titled: bool,
        first: &mut bool,
    ) -> io::Result<()> {
        let mut entries = match self.read(cx, path) {
            Ok(entries) => entries,
            Err(why) => {
                cx.warn(path, &why);
                return Ok(());
            }
        };
        if titled {
            let gap = if *first { "" } else { "\n" };
            writeln!(cx.out, "{gap}{}:", path.display())?;
        }
        *first = false;
        self.sort(&mut entries);
        if self.opts.has('l') {
            let data = entries.iter().filter_map(|entry| entry.data.as_ref());
            let blocks: u64 = data.map(MetadataExt::blocks).sum();
            match self.opts.has('h') {
                true => writeln!(cx.out, "total {}", human(blocks * 512))?,
                false => writeln!(cx.out, "total {}", blocks / 2)?,
            }
        }
        self.print(cx, &entries)?;
        if !self.opts.has('R') {
            return Ok(());
        }
        for entry in entries
            .iter()
            .filter(|entry| entry.name != "." && entry.name != "..")
        {
            if fs::symlink_metadata(&entry.path).is_ok_and(|data| data.is_dir()) {
                self.directory(cx, &entry.path, true, first)?;
            }
        }
        Ok(())
    }

    fn read(&self, cx: &mut Cx, path: &Path) -> io::Result<Vec<Entry>> {
        let mut names: Vec<OsString> = fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<_>>()?;
        if self.opts.has('a') {
            names.extend([".".into(), "..".into()]);
        } else if !self.opts.has('A') {
            names.retain(|name| !name.as_bytes().starts_with(b"."));
        }
        let needs_data = ["l", "i", "t", "S", "F"]
            .iter()
            .any(|option| self.opts.last_of(option).is_some());
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let path = path.join(&name);
            let data = match needs_data.then(|| fs::symlink_metadata(&path)).transpose() {
                Ok(data) => data,
                Err(why) => {
                    cx.warn(&path, &why);
                    continue;
                }
            };
            entries.push(Entry { name, path, data });
        }
        Ok(entries)
    }

    fn sort(&self, entries: &mut [Entry]) {
        let key = |entry: &Entry| {
            let data = entry.data.as_ref();
            match self.opts.last_of("tS") {
                Some('t') => data.map_or((0, 0), |data| (-data.mtime(), -data.mtime_nsec())),
                Some(_) => data.map_or((0, 0), |data| (-(data.len() as i64), 0)),
                None => (0, 0),
            }
        };
        entries.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        if self.opts.has('r') {
            entries.reverse();
        }
    }

    fn print(&self, cx: &mut Cx, entries: &[Entry]) -> io::Result<()> {
        let rows: Vec<Vec<String>> = entries.iter().map(|entry| self.fields(entry)).collect();
        let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
            .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
            .collect();
        let mut cells = Vec::with_capacity(entries.len());
        for (entry, row) in entries.iter().zip(&rows) {
            let mut cell = Vec::new();
            for (index, (field, width)) in row.iter().zip(&widths).enumerate() {
                // Names of users and groups line up at the left, numbers at the right.
                let left = self.opts.has('l') && matches!(index, 2 | 3);
                match left {
                    true => write!(cell, "{field:<width$} ")?,
                    false => write!(cell, "{field:>width$} ")?,
                }
            }
            cell.extend(self.label(entry));
            cells.push(cell);
        }
        if self.columns > 0 {
            return columns(&mut cx.out, &cells, self.columns);
        }
        for cell in cells {
            cx.out.write_all(&cell)?;
            cx.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// What stands before the name: inode, then mode, links, owner, group, size, time.
    fn fields(&self, entry: &Entry) -> Vec<String> {
        let Some(data) = &entry.data else {
            return Vec::new();
        };
        let inode = if self.opts.has('i') {
            data.ino().to_string()
        } else {
            String::new()
        };
        let Some((users, groups)) = &self.users else {
            return if self.opts.has('i') {
                vec![inode]
            } else {
                Vec::new()
            };
        };
        let size = if data.file_type().is_char_device() || data.file_type().is_block_device() {
            let (major, minor) = device_parts(data.rdev());
            format!("{major}, {minor}")
        } else if self.opts.has('h') {
            human(data.len())
        } else {
            data.len().to_string()
        };
        let mut fields = vec![
            listing::letters(data.mode()),
            data.nlink().to_string(),
            users.name(data.uid()),
            groups.name(data.gid()),
            size,
            self.time(data.mtime()),
        ];
        // The inode is part of the first field, so that the columns keep their places.
        if self.opts.has('i') {
            fields[0] = format!("{inode:>8} {}", fields[0]);
        }
        fields
    }

    fn time(&self, seconds: i64) -> String {
        let recent = (self.now - HALF_A_YEAR..=self.now + 60).contains(&seconds);
        let format = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
        Civil::at(seconds).format(format, seconds, 0)
    }

    /// The name, with what it is (`-F`) and where it leads (`-l`).
    fn label(&self, entry: &Entry) -> Vec<u8> {
        let mut label = entry.name.as_bytes().to_vec();
        let Some(data) = &entry.data else {
            return label;
        };
        let is_link = data.is_symlink();
        if self.opts.has('F') && !(is_link && self.opts.has('l')) {
            let mark = match listing::kind(data.mode()).0 {
                'd' => "/",
                'l' => "@",
                'p' => "|",
                's' => "=",
                '-' if data.mode() & 0o111 != 0 => "*",
                _ => "",
            };
            label.extend_from_slice(mark.as_bytes());
        }
        if is_link && self.opts.has('l') {
            let target = fs::read_link(&entry.path).unwrap_or_else(|_| "?".into());
            label.extend_from_slice(b" -> ");
            label.extend_from_slice(OsStr::as_bytes(target.as_os_str()));
        }
        label
    }
}

/// Names in columns, down and then right.
fn columns(out: &mut impl Write, cells: &[Vec<u8>], width: usize) -> io::Result<()> {
    let length = |cell: &Vec<u8>| String::from_utf8_lossy(cell).chars().count();
    let widest = cells.iter().map(length).max().unwrap_or(0) + 2;
    let across = (width / widest).max(1);
    let down = cells.len().div_ceil(across);
    for row in 0..down {
        let mut line = cells.iter().skip(row).step_by(down.max(1)).peekable();
        while let Some(cell) = line.next() {
            out.write_all(cell)?;
            if line.peek().is_some() {
                write!(out, "{:pad$}", "", pad = widest - length(cell))?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
