//! Programs that run another: `env`, `nice`, `time`, `xargs`, and `which`, which finds it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use crate::cx::{Cx, Fail, Outcome, cause};
use crate::sys::fd::Fd;
use crate::sys::process;

/// Why a program could not be started: 127 when it is not there, else 126.
pub fn refused(name: &OsString, why: &io::Error) -> Fail {
    let status = if why.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    Fail::with_status(status, format!("{}: {}", name.display(), cause(why)))
}

/// The shell's status of a child.
fn status(ended: ExitStatus) -> i32 {
    ended
        .code()
        .unwrap_or_else(|| 128 + ended.signal().unwrap_or(0))
}

/// `env [-i] [-u NAME]... [NAME=VALUE]... [COMMAND [ARGUMENT]...]`
pub fn env(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+iu:")?;
    let is_assignment = |word: &&OsString| word.as_bytes().contains(&b'=');
    let count = opts.operands.iter().take_while(is_assignment).count();
    let (assignments, command) = opts.operands.split_at(count);
    let mut variables: Vec<(OsString, OsString)> = match opts.has('i') {
        true => Vec::new(),
        false => std::env::vars_os().collect(),
    };
    for name in opts.values('u') {
        variables.retain(|(known, _)| known != name);
    }
    for assignment in assignments {
        let bytes = assignment.as_bytes();
        let equals = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .unwrap_or(bytes.len());
        let name = OsString::from_vec(bytes[..equals].to_vec());
        let value = OsString::from_vec(bytes[equals + 1..].to_vec());
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
    }
    let Some((name, args)) = command.split_first() else {
        for (name, value) in &variables {
            cx.out
                .write_all(&[name.as_bytes(), b"=", value.as_bytes(), b"\n"].concat())?;
        }
        return Ok(0);
    };
    let why = Command::new(name)
        .args(args)
        .env_clear()
        .envs(variables)
        .exec();
    Err(refused(name, &why))
}

/// `nice [-n INCREMENT] COMMAND [ARGUMENT]...`
pub fn nice(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+n:")?;
    let increment = opts.number('n', 10).map_err(Fail::usage)?;
    let Some((name, args)) = opts.operands.split_first() else {
        let now = process::renice(0).map_err(|why| Fail::on("priority", &why))?;
        writeln!(cx.out, "{now}")?;
        return Ok(0);
    };
    if let Err(why) = process::renice(increment) {
        // It runs all the same, as POSIX asks.
        cx.warn("priority", &why);
    }
    Err(refused(name, &Command::new(name).args(args).exec()))
}

/// `time COMMAND [ARGUMENT]...`
pub fn time(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+p")?;
    let Some((name, args)) = opts.operands.split_first() else {
        return Err(Fail::usage("needs a command"));
    };
    let start = Instant::now();
    let ended = Command::new(name)
        .args(args)
        .status()
        .map_err(|why| refused(name, &why))?;
    let real = start.elapsed().as_secs_f64();
    let (user, system) = process::children_times().map_err(|why| Fail::on("rusage", &why))?;
    errln!("real {real:.2}\nuser {user:.2}\nsys {system:.2}");
    Ok(status(ended))
}

/// `which [-a] NAME...`
pub fn which(cx: &mut Cx) -> Outcome {
    let opts = cx.options("a")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    for name in &opts.operands {
        let candidates: Vec<PathBuf> = match name.as_bytes().contains(&b'/') {
            true => vec![name.into()],
            false => std::env::split_paths(&path)
                .map(|directory| directory.join(name))
                .collect(),
        };
        let mut found = candidates.iter().filter(|path| runs(path)).peekable();
        if found.peek().is_none() {
            cx.raise(1);
        }
        let count = if opts.has('a') { usize::MAX } else { 1 };
        for path in found.take(count) {
            writeln!(cx.out, "{}", path.display())?;
        }
    }
    Ok(cx.status())
}

fn runs(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// No command line gets longer than this, so that any system takes it.
const MAX_LINE: usize = 64 * 1024;

/// `xargs [-0rt] [-n COUNT] [-I TEXT] [COMMAND [ARGUMENT]...]`
pub fn xargs(cx: &mut Cx) -> Outcome {
    let opts = cx.options("+0rtn:I:")?;
    let most: usize = opts.number('n', usize::MAX).map_err(Fail::usage)?;
    let mut input = Vec::new();
    Fd(0)
        .read_to_end(&mut input)
        .map_err(|why| Fail::on("standard input", &why))?;
    let replaced = opts.value('I').map(|text| text.as_bytes().to_vec());
    let items = match (opts.has('0'), &replaced) {
        (true, _) => split(&input, 0),
        (false, Some(_)) => split(&input, b'\n'),
        (false, None) => words(&input).map_err(Fail::new)?,
    };
    let command = if opts.operands.is_empty() {
        vec!["echo".into()]
    } else {
        opts.operands.clone()
    };
    let mut result = 0;
    for batch in batches(&items, if replaced.is_some() { 1 } else { most.max(1) }) {
        if batch.is_empty() && (opts.has('r') || replaced.is_some()) {
            break;
        }
        let args: Vec<OsString> = match &replaced {
            Some(text) => command
                .iter()
                .map(|arg| replace(arg, text, &batch[0]))
                .collect(),
            None => command
                .iter()
                .cloned()
                .chain(batch.iter().cloned())
                .collect(),
        };
        if opts.has('t') {
            errln!("{}", args.join(" ".as_ref()).display());
        }
        let ended = Command::new(&args[0]).args(&args[1..]).status();
        match ended.map(status).map_err(|why| refused(&args[0], &why))? {
            0 => {}
            255 => return Err(Fail::with_status(124, "the command asked to stop")),
            _ => result = 123,
        }
    }
    Ok(result)
}

/// Items that go on one command line each; one empty batch when there is none.
fn batches(items: &[OsString], most: usize) -> Vec<&[OsString]> {
    if items.is_empty() {
        return vec![items];
    }
    let mut batches = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut length = 0;
        let fits = |item: &&OsString| {
            length += item.len() + 1;
            length <= MAX_LINE
        };
        let count = rest.iter().take_while(fits).count().clamp(1, most);
        let (batch, after) = rest.split_at(count);
        batches.push(batch);
        rest = after;
    }
    batches
}

fn split(text: &[u8], separator: u8) -> Vec<OsString> {
    let parts = text.split(|&byte| byte == separator);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| OsString::from_vec(part.to_vec()))
        .collect()
}

fn replace(arg: &OsString, from: &[u8], to: &OsString) -> OsString {
    let mut result = Vec::new();
    let mut rest = arg.as_bytes();
    while let Some(at) = rest
        .windows(from.len().max(1))
        .position(|window| window == from)
    {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    result.extend_from_slice(rest);
    OsString::from_vec(result)
}

/// Words with quotes and backslashes.
fn words(text: &[u8]) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' => words.extend(word.take().map(OsString::from_vec)),
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            b'\'' | b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next() {
                        Some(&end) if end == byte => break,
                        Some(&inner) => word.push(inner),
                        None => return Err(format!("{}: is not closed", char::from(byte))),
                    }
                }
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_split_and_batched() {
        let items = words(b"a 'b c' d\\ e\n\"f\"\n").unwrap();
        assert_eq!(items, ["a", "b c", "d e", "f"]);
        assert!(words(b"'a").is_err());
        let sizes: Vec<usize> = batches(&items, 3).iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes, [3, 1]);
    }

    #[test]
    fn replacement() {
        assert_eq!(replace(&"a{}b{}".into(), b"{}", &"x".into()), "axbx");
    }
}
