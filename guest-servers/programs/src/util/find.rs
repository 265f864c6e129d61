//! `find`: files in trees.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::listing::kind;
use crate::cx::{Cx, Fail, Outcome};
use crate::opts::number;
use crate::sh::pattern_matches;
use crate::text::{base_name, size};

/// What must hold of a file.
enum Test {
    Name(Vec<u8>),
    Path(Vec<u8>),
    Kind(char),
    Empty,
    /// Blocks of `unit` bytes: more than, less than, or as many.
    Size {
        sign: u8,
        count: u64,
        unit: u64,
    },
}

struct Search {
    tests: Vec<(Test, bool)>,
    least: usize,
    most: usize,
    end: &'static [u8],
}

/// `find [DIRECTORY]... [-maxdepth N] [-mindepth N] [!] [-name P] [-path P] [-type T] [-size N]
/// [-empty] [-print | -print0]`
pub fn run(cx: &mut Cx) -> Outcome {
    let is_root = |arg: &&OsString| !arg.as_bytes().starts_with(b"-") && *arg != "!";
    let roots = cx.args.iter().take_while(is_root).count();
    let (roots, expression) = cx.args.split_at(roots);
    let search = Search::parse(expression)?;
    let here = [OsString::from(".")];
    for root in if roots.is_empty() { &here } else { roots } {
        match fs::symlink_metadata(root) {
            Ok(data) => search.walk(cx, Path::new(root), &data, 0)?,
            Err(why) => cx.warn(root, &why),
        }
    }
    Ok(cx.status())
}

impl Search {
    fn parse(expression: &[OsString]) -> Result<Self, Fail> {
        let mut search = Self {
            tests: Vec::new(),
            least: 0,
            most: usize::MAX,
            end: b"\n",
        };
        let mut words = expression.iter();
        let mut wanted = true;
        while let Some(word) = words.next() {
            let name = word.to_string_lossy();
            let test = match name.as_ref() {
                "!" | "-not" => {
                    wanted = !wanted;
                    continue;
                }
                "-print" | "-a" | "-and" => continue,
                "-print0" => {
                    search.end = b"\0";
                    continue;
                }
                "-empty" => Test::Empty,
                "-name" | "-path" | "-type" | "-size" | "-maxdepth" | "-mindepth" => {
                    let value = words.next();
                    let value =
                        value.ok_or_else(|| Fail::usage(format!("{name}: needs a value")))?;
                    let bad = || Fail::usage(format!("{name} {}: is wrong", value.display()));
                    match name.as_ref() {
                        "-maxdepth" => {
                            search.most = number(value).ok_or_else(bad)?;
                            continue;
                        }
                        "-mindepth" => {
                            search.least = number(value).ok_or_else(bad)?;
                            continue;
                        }
                        _ => Test::parse(&name, value).ok_or_else(bad)?,
                    }
                }
                _ => return Err(Fail::usage(format!("{name}: unknown"))),
            };
            search
                .tests
                .push((test, std::mem::replace(&mut wanted, true)));
        }
        Ok(search)
    }

    fn walk(&self, cx: &mut Cx, path: &Path, data: &Metadata, depth: usize) -> Result<(), Fail> {
        let holds = self
            .tests
            .iter()
            .all(|(test, wanted)| test.holds(path, data) == *wanted);
        if depth >= self.least && holds {
            cx.out.write_all(path.as_os_str().as_bytes())?;
            cx.out.write_all(self.end)?;
        }
        if !data.is_dir() || depth >= self.most {
            return Ok(());
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(why) => {
                cx.warn(path, &why);
                return Ok(());
            }
        };
        for entry in entries {
            let inner =
                entry.and_then(|entry| Ok((entry.path(), fs::symlink_metadata(entry.path())?)));
            match inner {
                Ok((path, data)) => self.walk(cx, &path, &data, depth + 1)?,
                Err(why) => cx.warn(path, &why),
            }
        }
        Ok(())
    }
}

impl Test {
    fn parse(name: &str, value: &OsStr) -> Option<Self> {
        let bytes = value.as_bytes();
        Some(match name {
            "-name" => Self::Name(bytes.to_vec()),
            "-path" => Self::Path(bytes.to_vec()),
            "-type" => match bytes {
                b"f" => Self::Kind('-'),
                [letter @ (b'd' | b'l' | b'c' | b'b' | b'p' | b's')] => {
                    Self::Kind(char::from(*letter))
                }
                _ => return None,
            },
            _ => {
                let (sign, rest) = match bytes {
                    [sign @ (b'+' | b'-'), rest @ ..] => (*sign, rest),
                    _ => (b'=', bytes),
                };
                let (digits, unit) = match rest {
                    [digits @ .., b'c'] => (digits, 1),
                    [digits @ .., b'k'] => (digits, 1024),
                    [digits @ .., b'M'] => (digits, 1 << 20),
                    _ => (rest, 512),
                };
                Self::Size {
                    sign,
                    count: size(OsStr::from_bytes(digits))?,
                    unit,
                }
            }
        })
    }

    fn holds(&self, path: &Path, data: &Metadata) -> bool {
        match self {
            Self::Name(pattern) => pattern_matches(pattern, base_name(path.as_os_str()).as_bytes()),
            Self::Path(pattern) => pattern_matches(pattern, path.as_os_str().as_bytes()),
            Self::Kind(letter) => kind(data.mode()).0 == *letter,
            Self::Empty if data.is_dir() => {
                fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
            }
            Self::Empty => data.is_file() && data.len() == 0,
            Self::Size { sign, count, unit } => {
                let blocks = data.len().div_ceil(*unit);
                match sign {
                    b'+' => blocks > *count,
                    b'-' => blocks < *count,
                    _ => blocks == *count,
                }
            }
        }
    }
}
