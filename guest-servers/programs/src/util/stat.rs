//! `stat`: all about files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::civil::Civil;
use super::listing::{kind, letters};
use super::users::Names;
use crate::cx::{Cx, Fail, Outcome};
use crate::text::{Flow, unescape};

/// `stat [-L] [-c FORMAT] FILE...`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("Lc:")?;
    if opts.operands.is_empty() {
        return Err(Fail::usage("needs a file"));
    }
    let names = (Names::users(), Names::groups());
    cx.each(&opts.operands, |cx, path| {
        let data = if opts.has('L') {
            fs::metadata(path)?
        } else {
            fs::symlink_metadata(path)?
        };
        let name = path.to_string_lossy();
        let text = match opts.value('c') {
            Some(format) => formatted(&format.to_string_lossy(), &name, &data, &names) + "\n",
            None => full(&name, &data, &names),
        };
        cx.out.write_all(text.as_bytes())
    })
}

fn time(seconds: i64, nanoseconds: i64) -> String {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0);
    Civil::at(seconds).format("%F %T.%N %z", seconds, nanoseconds)
}

fn full(name: &str, data: &fs::Metadata, names: &(Names, Names)) -> String {
    let target = match fs::read_link(name) {
        Ok(target) if data.is_symlink() => format!(" -> {}", target.display()),
        _ => String::new(),
    };
    format!(
        "  File: {name}{target}\n\
         \x20 Size: {:<15} Blocks: {:<10} IO Block: {:<6} {}\n\
         Device: {:<15} Inode: {:<11} Links: {}\n\
         Access: ({:04o}/{})  Uid: ({:5}/{:>8})   Gid: ({:5}/{:>8})\n\
         Access: {}\nModify: {}\nChange: {}\n",
        data.size(),
        data.blocks(),
        data.blksize(),
        kind(data.mode()).1,
        data.dev(),
        data.ino(),
        data.nlink(),
        data.mode() & 0o7777,
        letters(data.mode()),
        data.uid(),
        names.0.name(data.uid()),
        data.gid(),
        names.1.name(data.gid()),
        time(data.atime(), data.atime_nsec()),
        time(data.mtime(), data.mtime_nsec()),
        time(data.ctime(), data.ctime_nsec()),
    )
}

/// The format's `%` letters are those of GNU stat.
fn formatted(format: &str, name: &str, data: &fs::Metadata, names: &(Names, Names)) -> String {
    let (format, _): (Vec<u8>, Flow) = unescape(format.as_bytes());
    let format = String::from_utf8_lossy(&format).into_owned();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(sign) = rest.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        text.push_str(&match rest.next() {
            Some('n') => name.to_string(),
            Some('s') => data.size().to_string(),
            Some('b') => data.blocks().to_string(),
            Some('B') => "512".to_string(),
            Some('o') => data.blksize().to_string(),
            Some('f') => format!("{:x}", data.mode()),
            Some('F') => kind(data.mode()).1.to_string(),
            Some('a') => format!("{:o}", data.mode() & 0o7777),
            Some('A') => letters(data.mode()),
            Some('u') => data.uid().to_string(),
            Some('U') => names.0.name(data.uid()),
            Some('g') => data.gid().to_string(),
            Some('G') => names.1.name(data.gid()),
            Some('i') => data.ino().to_string(),
            Some('h') => data.nlink().to_string(),
            Some('d') => data.dev().to_string(),
            Some('X') => data.atime().to_string(),
            Some('x') => time(data.atime(), data.atime_nsec()),
            Some('Y') => data.mtime().to_string(),
            Some('y') => time(data.mtime(), data.mtime_nsec()),
            Some('Z') => data.ctime().to_string(),
            Some('z') => time(data.ctime(), data.ctime_nsec()),
            Some('%') => "%".to_string(),
            Some(other) => format!("%{other}"),
            None => "%".to_string(),
        });
    }
    text
}
