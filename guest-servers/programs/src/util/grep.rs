//! `grep`: lines that match.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::regex::{Case, Regex, Syntax};
use crate::cx::{Cx, Fail, Outcome, open};
use crate::opts::Opts;

/// Exit status when something went wrong; 1 means that nothing matched.
const TROUBLE: i32 = 2;

struct Search {
    opts: Opts,
    patterns: Vec<Regex>,
    /// Lines carry the name of their file.
    named: bool,
    found: bool,
}

/// `grep [-EFivncrqlLhHwxos] [-e PATTERN]... [PATTERN] [FILE]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let mut opts = cx.options("EFGivncrRqlLhHwxose:")?;
    let mut patterns: Vec<OsString> = opts.values('e').map(OsStr::to_os_string).collect();
    if patterns.is_empty() {
        if opts.operands.is_empty() {
            return Err(Fail::usage("needs a pattern"));
        }
        patterns.push(opts.operands.remove(0));
    }
    let recursive = opts.has('r') || opts.has('R');
    let mut files = opts.operands.clone();
    if files.is_empty() {
        files.push(if recursive { "." } else { "-" }.into());
    }
    let named = (files.len() > 1 || recursive || opts.has('H')) && !opts.has('h');
    let patterns = compile(&opts, &patterns)?;
    let mut search = Search {
        opts,
        patterns,
        named,
        found: false,
    };
    for file in &files {
        search.operand(cx, Path::new(file), recursive)?;
        if search.found && search.opts.has('q') {
            return Ok(0);
        }
    }
    Ok(match (cx.status(), search.found) {
        (0, found) => i32::from(!found),
        _ => TROUBLE,
    })
}

/// A newline in a pattern separates two.
fn compile(opts: &Opts, patterns: &[OsString]) -> Result<Vec<Regex>, Fail> {
    let syntax = match opts.last_of("EFG") {
        Some('E') => Syntax::Extended,
        Some('F') => Syntax::Fixed,
        _ => Syntax::Basic,
    };
    let case = if opts.has('i') {
        Case::Folded
    } else {
        Case::Distinct
    };
    let texts = patterns
        .iter()
        .flat_map(|text| text.as_bytes().split(|&byte| byte == b'\n'));
    texts
        .map(|text| {
            Regex::new(text, syntax, case).map_err(|error| {
                Fail::with_status(TROUBLE, format!("{}: {error}", text.escape_ascii()))
            })
        })
        .collect()
}

impl Search {
    fn operand(&mut self, cx: &mut Cx, path: &Path, recursive: bool) -> Result<(), Fail> {
        if !recursive || !path.is_dir() {
            return self.file(cx, path);
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(why) => {
                self.warn(cx, path, &why);
                return Ok(());
            }
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            // Links in a tree are not followed: they could lead round in circles.
            if !path.is_symlink() {
                self.operand(cx, path.strip_prefix("./").unwrap_or(&path), recursive)?;
            }
        }
        Ok(())
    }

    fn warn(&self, cx: &mut Cx, path: &Path, why: &io::Error) {
        match self.opts.has('s') {
            true => cx.raise(1),
            false => cx.warn(path, why),
        }
    }

    fn file(&mut self, cx: &mut Cx, path: &Path) -> Result<(), Fail> {
        let input = match open(path.as_os_str()) {
            Ok(input) => input,
            Err(why) => {
                self.warn(cx, path, &why);
                return Ok(());
            }
        };
        let name = if path == Path::new("-") {
            OsStr::new("(standard input)")
        } else {
            path.as_os_str()
        };
        let mut input = BufReader::with_capacity(32 * 1024, input);
        let (mut number, mut count) = (0u64, 0u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => number += 1,
                Err(why) => {
                    self.warn(cx, path, &why);
                    break;
                }
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            if self.selects(text) == self.opts.has('v') {
                continue;
            }
            count += 1;
            self.found |= !self.opts.has('L');
            if self.opts.last_of("qlL").is_some() {
                break;
            }
            if !self.opts.has('c') {
                self.show(cx, name, number, text)?;
            }
        }
        self.summary(cx, name, count)
    }

    /// What is said of a file as a whole.
    fn summary(&mut self, cx: &mut Cx, name: &OsStr, count: u64) -> Result<(), Fail> {
        if self.opts.has('q') {
            return Ok(());
        }
        let listed = (self.opts.has('l') && count > 0) || (self.opts.has('L') && count == 0);
        if listed {
            self.found = true;
            cx.out.write_all(name.as_bytes())?;
            cx.out.write_all(b"\n")?;
        } else if self.opts.has('c') && self.opts.last_of("lL").is_none() {
            self.prefix(cx, name, None)?;
            writeln!(cx.out, "{count}")?;
        }
        Ok(())
    }

    fn prefix(&self, cx: &mut Cx, name: &OsStr, number: Option<u64>) -> io::Result<()> {
        if self.named {
            cx.out.write_all(name.as_bytes())?;
            cx.out.write_all(b":")?;
        }
        match number {
            Some(number) if self.opts.has('n') => write!(cx.out, "{number}:"),
            _ => Ok(()),
        }
    }

    fn show(&self, cx: &mut Cx, name: &OsStr, number: u64, text: &[u8]) -> io::Result<()> {
        if !self.opts.has('o') {
            self.prefix(cx, name, Some(number))?;
            cx.out.write_all(text)?;
            return cx.out.write_all(b"\n");
        }
        if self.opts.has('v') {
            return Ok(());
        }
        let mut from = 0;
        while let Some((start, end)) = self.next_match(text, from) {
            if end > start {
                self.prefix(cx, name, Some(number))?;
                cx.out.write_all(&text[start..end])?;
                cx.out.write_all(b"\n")?;
            }
            from = end.max(start + 1);
        }
        Ok(())
    }

    fn selects(&self, text: &[u8]) -> bool {
        if self.opts.last_of("wx").is_none() {
            return self.patterns.iter().any(|pattern| pattern.matches(text));
        }
        self.next_match(text, 0).is_some()
    }

    /// The first match from `from` on that the options allow.
    fn next_match(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let is_word = |at: Option<usize>| {
            at.and_then(|at| text.get(at))
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        let allowed = |&(start, end): &(usize, usize)| {
            let whole = start == 0 && end == text.len();
            let word = !is_word(start.checked_sub(1)) && !is_word(Some(end));
            (!self.opts.has('x') || whole) && (!self.opts.has('w') || (word && end > start))
        };
        let candidates = self.patterns.iter().filter_map(|pattern| {
            let mut from = from;
            loop {
                let found = pattern.find(text, from)?;
                if allowed(&found) {
                    return Some(found);
                }
                from = found.0 + 1;
                if from > text.len() {
                    return None;
                }
            }
        });
        candidates.min_by_key(|&(start, end)| (start, usize::MAX - end))
    }
}
