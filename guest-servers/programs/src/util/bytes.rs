//! Programs that look at bytes: `hexdump`, `cmp`.

use std::io::{self, BufReader, Read, Write};

use crate::cx::{Cx, Fail, Outcome, inputs, open};
use crate::text::size;

/// `hexdump [-C] [-n LENGTH] [-s OFFSET] [FILE]...`
pub fn hexdump(cx: &mut Cx) -> Outcome {
    let opts = cx.options("Cvn:s:")?;
    let amount = |option: char| match opts.value(option) {
        None => Ok(None),
        Some(text) => size(text)
            .map(Some)
            .ok_or_else(|| Fail::usage(format!("-{option} {}: is no size", text.display()))),
    };
    let (length, skip) = (amount('n')?.unwrap_or(u64::MAX), amount('s')?.unwrap_or(0));
    let mut input: Box<dyn Read> = Box::new(io::empty());
    for name in inputs(&opts.operands) {
        match open(&name) {
            Ok(file) => input = Box::new(input.chain(file)),
            Err(why) => cx.warn(&name, &why),
        }
    }
    let failed = |why: io::Error| Fail::on("input", &why);
    io::copy(&mut input.by_ref().take(skip), &mut io::sink()).map_err(failed)?;
    let mut input = BufReader::new(input.take(length));
    let mut offset = skip;
    let mut previous: Option<Vec<u8>> = None;
    let mut starred = false;
    loop {
        let mut line = Vec::new();
        input
            .by_ref()
            .take(16)
            .read_to_end(&mut line)
            .map_err(failed)?;
        if line.is_empty() {
            break;
        }
        let repeats = !opts.has('v') && line.len() == 16 && previous.as_ref() == Some(&line);
        if !repeats {
            let text = if opts.has('C') {
                canonical(&line)
            } else {
                words(&line)
            };
            let width = if opts.has('C') { 8 } else { 7 };
            writeln!(cx.out, "{offset:0width$x}{text}")?;
        } else if !starred {
            cx.out.write_all(b"*\n")?;
        }
        starred = repeats;
        offset += line.len() as u64;
        previous = Some(line);
    }
    if offset > skip {
        let width = if opts.has('C') { 8 } else { 7 };
        writeln!(cx.out, "{offset:0width$x}")?;
    }
    Ok(cx.status())
}

/// Bytes in two groups of eight, then as text.
fn canonical(line: &[u8]) -> String {
    let mut text = String::new();
    for index in 0..16 {
        if index % 8 == 0 {
            text.push(' ');
        }
        text.push_str(
            &line
                .get(index)
                .map_or("   ".into(), |byte| format!(" {byte:02x}")),
        );
    }
    let shown = |byte: &u8| {
        if byte.is_ascii_graphic() || *byte == b' ' {
            char::from(*byte)
        } else {
            '.'
        }
    };
    text.push_str("  |");
    text.extend(line.iter().map(shown));
    text.push('|');
    text
}

/// Pairs of bytes as the little-endian numbers that they are.
fn words(line: &[u8]) -> String {
    let word = |pair: &[u8]| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
    line.chunks(2)
        .map(|pair| format!(" {:04x}", word(pair)))
        .collect()
}

/// `cmp [-sl] FILE1 FILE2`: 0 if equal, 1 if not, 2 if one cannot be read.
pub fn cmp(cx: &mut Cx) -> Outcome {
    let opts = cx.options("sl")?;
    let [first, second] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs two files"));
    };
    let read = |name: &std::ffi::OsString| {
        let input = open(name).map(|input| BufReader::with_capacity(32 * 1024, input));
        input.map_err(|why| trouble(name, &why))
    };
    let (mut a, mut b) = (read(first)?.bytes(), read(second)?.bytes());
    let (mut offset, mut line, mut status) = (0u64, 1u64, 0);
    loop {
        offset += 1;
        let left = a.next().transpose().map_err(|why| trouble(first, &why))?;
        let right = b.next().transpose().map_err(|why| trouble(second, &why))?;
        let shorter = match (left, right) {
            (None, None) => return Ok(status),
            (Some(left), Some(right)) if left == right => {
                line += u64::from(left == b'\n');
                continue;
            }
            (Some(left), Some(right)) if opts.has('l') => {
                status = 1;
                writeln!(cx.out, "{offset} {left:3o} {right:3o}")?;
                continue;
            }
            (Some(_), Some(_)) => {
                if !opts.has('s') {
                    let (first, second) = (first.display(), second.display());
                    writeln!(
                        cx.out,
                        "{first} {second} differ: byte {offset}, line {line}"
                    )?;
                }
                return Ok(1);
            }
            (None, Some(_)) => first,
            (Some(_), None) => second,
        };
        if !opts.has('s') {
            cx.complain(&format!(
                "EOF on {} after byte {}",
                shorter.display(),
                offset - 1
            ));
        }
        return Ok(1);
    }
}

fn trouble(name: &std::ffi::OsString, why: &io::Error) -> Fail {
    Fail::with_status(2, format!("{}: {}", name.display(), crate::cx::cause(why)))
}
