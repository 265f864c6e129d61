//! Programs that work on each line: `cut`, `uniq`, `tr`.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Fail, Outcome, inputs, open};
use crate::sh::named_class;
use crate::sys::fd::Fd;
use crate::text::{lines, unescape};

/// `1,3-5,7-` as ranges from 1; the upper end is included.
fn ranges(text: &OsStr) -> Option<Vec<(usize, usize)>> {
    let part = |part: &str| {
        let range = match part.split_once('-') {
            None => (part.parse().ok()?, part.parse().ok()?),
            Some(("", last)) => (1, last.parse().ok()?),
            Some((first, "")) => (first.parse().ok()?, usize::MAX),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        };
        (range.0 >= 1 && range.0 <= range.1).then_some(range)
    };
    text.to_str()?.split(',').map(part).collect()
}

/// `cut -f LIST [-d SEPARATOR] [-s] | -c LIST [FILE]...`; `-b` is `-c`: both count bytes.
pub fn cut(cx: &mut Cx) -> Outcome {
    let opts = cx.options("f:c:b:d:s")?;
    let fields = opts.value('f');
    let list = fields.or(opts.value('c')).or(opts.value('b'));
    let list = list.ok_or_else(|| Fail::usage("needs -f LIST or -c LIST"))?;
    let chosen =
        ranges(list).ok_or_else(|| Fail::usage(format!("{}: is no list", list.display())))?;
    let keeps = |index: usize| {
        chosen
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&index))
    };
    let separator = match opts.value('d').map(OsStr::as_bytes) {
        None => b'\t',
        Some([byte]) => *byte,
        Some(_) => return Err(Fail::usage("-d: needs one character")),
    };
    for name in inputs(&opts.operands) {
        let mut text = Vec::new();
        if let Err(why) = open(&name).and_then(|mut input| input.read_to_end(&mut text)) {
            cx.warn(&name, &why);
        }
        for line in lines(&text) {
            if fields.is_none() {
                let bytes = line
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| keeps(index + 1));
                cx.out
                    .write_all(&bytes.map(|(_, byte)| *byte).collect::<Vec<_>>())?;
            } else if line.contains(&separator) {
                let parts = line.split(|&byte| byte == separator).enumerate();
                let kept: Vec<&[u8]> = parts
                    .filter(|(index, _)| keeps(index + 1))
                    .map(|(_, part)| part)
                    .collect();
                cx.out.write_all(&kept.join(&separator))?;
            } else if opts.has('s') {
                continue;
            } else {
                cx.out.write_all(line)?;
            }
            cx.out.write_all(b"\n")?;
        }
    }
    Ok(cx.status())
}

/// `uniq [-cdui] [FILE]`
pub fn uniq(cx: &mut Cx) -> Outcome {
    let opts = cx.options("cdui")?;
    let name = opts.operands.first().cloned().unwrap_or("-".into());
    let mut text = Vec::new();
    open(&name)
        .and_then(|mut input| input.read_to_end(&mut text))
        .map_err(|why| Fail::on(&name, &why))?;
    let all: Vec<&[u8]> = lines(&text).collect();
    let same = |a: &&[u8], b: &&[u8]| {
        if opts.has('i') {
            a.eq_ignore_ascii_case(b)
        } else {
            a == b
        }
    };
    for group in all.chunk_by(same) {
        let repeated = group.len() > 1;
        if (opts.has('d') && !repeated) || (opts.has('u') && repeated) {
            continue;
        }
        if opts.has('c') {
            write!(cx.out, "{:7} ", group.len())?;
        }
        cx.out.write_all(group[0])?;
        cx.out.write_all(b"\n")?;
    }
    Ok(0)
}

/// `tr [-cds] SET1 [SET2]`
pub fn tr(cx: &mut Cx) -> Outcome {
    let opts = cx.options("cCds")?;
    let (first, second) = match opts.operands.as_slice() {
        [first] => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(Fail::usage("needs one or two sets")),
    };
    if second.is_none() && !opts.has('d') && !opts.has('s') {
        return Err(Fail::usage("needs a second set, -d or -s"));
    }
    let mut from = set(first.as_bytes());
    if opts.last_of("cC").is_some() {
        let given = from;
        from = (0..=255).filter(|byte| !given.contains(byte)).collect();
    }
    let to = second.map(|text| set(text.as_bytes()));
    let translation = Translation::new(&from, to.as_deref(), opts.has('d'), opts.has('s'));
    let mut last = None;
    let mut buffer = vec![0; 32 * 1024];
    let mut input = Fd::STDIN;
    loop {
        let count = input
            .read(&mut buffer)
            .map_err(|why| Fail::on("standard input", &why))?;
        if count == 0 {
            return Ok(0);
        }
        let changed: Vec<u8> = buffer[..count]
            .iter()
            .filter_map(|&byte| translation.apply(byte, &mut last))
            .collect();
        cx.out.write_all(&changed)?;
    }
}

/// What becomes of every byte.
struct Translation {
    map: [Option<u8>; 256],
    squeezed: [bool; 256],
}

impl Translation {
    fn new(from: &[u8], to: Option<&[u8]>, deletes: bool, squeezes: bool) -> Self {
        let mut map = std::array::from_fn(|byte| Some(byte as u8));
        if deletes {
            from.iter().for_each(|&byte| map[usize::from(byte)] = None);
        } else if let Some(last) = to.and_then(<[u8]>::last) {
            // The second set is as long as the first: its last byte is repeated.
            let to = to.unwrap_or_default().iter().chain(std::iter::repeat(last));
            for (&byte, &new) in from.iter().zip(to) {
                map[usize::from(byte)] = Some(new);
            }
        }
        let mut squeezed = [false; 256];
        if squeezes {
            let set = to.unwrap_or(from);
            set.iter()
                .for_each(|&byte| squeezed[usize::from(byte)] = true);
        }
        Self { map, squeezed }
    }

    fn apply(&self, byte: u8, last: &mut Option<u8>) -> Option<u8> {
        let new = self.map[usize::from(byte)]?;
        if self.squeezed[usize::from(new)] && *last == Some(new) {
            return None;
        }
        *last = Some(new);
        Some(new)
    }
}

/// The bytes of a set: ranges, classes and escapes resolved.
fn set(text: &[u8]) -> Vec<u8> {
    let (text, _) = unescape(text);
    let mut bytes = Vec::new();
    let mut rest = text.as_slice();
    while let [first, tail @ ..] = rest {
        if let Some((class, length)) = named_class(rest) {
            bytes.extend((0..=255).filter(class));
            rest = &rest[length..];
        } else if let [b'-', last, after @ ..] = tail {
            bytes.extend(*first..=*last);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(
            ranges(OsStr::new("1,3-4,6-")),
            Some(vec![(1, 1), (3, 4), (6, usize::MAX)])
        );
        assert_eq!(ranges(OsStr::new("0")), None);
        assert_eq!(ranges(OsStr::new("3-1")), None);
    }

    #[test]
    fn translations() {
        let run = |from: &str, to: Option<&str>, deletes, squeezes, text: &str| {
            let to = to.map(|to| set(to.as_bytes()));
            let translation =
                Translation::new(&set(from.as_bytes()), to.as_deref(), deletes, squeezes);
            let mut last = None;
            let bytes = text
                .bytes()
                .filter_map(|byte| translation.apply(byte, &mut last));
            String::from_utf8(bytes.collect()).unwrap()
        };
        assert_eq!(run("a-c", Some("A-C"), false, false, "abcd"), "ABCd");
        assert_eq!(run("[:digit:]", Some("x"), false, false, "a12"), "axx");
        assert_eq!(run("\\n", None, true, false, "a\nb\n"), "ab");
        assert_eq!(run(" ", None, false, true, "a   b"), "a b");
    }
}
