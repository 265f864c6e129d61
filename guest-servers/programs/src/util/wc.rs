//! `wc`: counts of lines, words and bytes.

use std::io::{self, Read, Write};

use crate::cx::{Cx, Outcome, inputs, open};
use crate::opts::Opts;

#[derive(Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
    characters: u64,
}

/// `wc [-lwcm] [FILE]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("lwcm")?;
    let mut total = Counts::default();
    let names = inputs(&opts.operands);
    // One number of one input stands alone; else they line up.
    let alone =
        names.len() == 1 && opts.last_of("lwcm").is_some() && shown(&opts, &total).len() == 1;
    let width = if alone || opts.operands.is_empty() && shown(&opts, &total).len() == 1 {
        0
    } else {
        7
    };
    for name in &names {
        match open(name).and_then(count) {
            Ok(counts) => {
                total.lines += counts.lines;
                total.words += counts.words;
                total.bytes += counts.bytes;
                total.characters += counts.characters;
                let label = if opts.operands.is_empty() {
                    String::new()
                } else {
                    format!(" {}", name.display())
                };
                row(cx, &shown(&opts, &counts), width, &label)?;
            }
            Err(why) => cx.warn(name, &why),
        }
    }
    if names.len() > 1 {
        row(cx, &shown(&opts, &total), width, " total")?;
    }
    Ok(cx.status())
}

fn row(cx: &mut Cx, numbers: &[u64], width: usize, label: &str) -> io::Result<()> {
    let columns: Vec<String> = numbers
        .iter()
        .map(|number| format!("{number:>width$}"))
        .collect();
    writeln!(cx.out, "{}{label}", columns.join(" "))
}

/// The numbers that the options ask for.
fn shown(opts: &Opts, counts: &Counts) -> Vec<u64> {
    let all = [
        ('l', counts.lines),
        ('w', counts.words),
        ('m', counts.characters),
        ('c', counts.bytes),
    ];
    let asked = |letter: char| match opts.last_of("lwcm") {
        Some(_) => opts.has(letter),
        None => letter != 'm',
    };
    all.into_iter()
        .filter(|(letter, _)| asked(*letter))
        .map(|(_, number)| number)
        .collect()
}

fn count(mut input: Box<dyn Read>) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut in_word = false;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(counts),
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(why),
        };
        counts.bytes += read as u64;
        for &byte in &buffer[..read] {
            let space = byte.is_ascii_whitespace() || byte == 11;
            counts.lines += u64::from(byte == b'\n');
            counts.words += u64::from(!space && !in_word);
            // Bytes that continue a UTF-8 character are none of their own.
            counts.characters += u64::from(byte & 0xc0 != 0x80);
            in_word = !space;
        }
    }
}
