//! `head` and `tail`: the two ends of files.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};

use crate::cx::{Cx, Fail, Outcome, inputs, open};
use crate::opts::Opts;
use crate::text::size;

/// How much of a file is asked for.
#[derive(Clone, Copy)]
enum Amount {
    Lines(u64),
    Bytes(u64),
    /// All but this many lines (`head -n -N`), or from this line on (`tail -n +N`).
    OtherLines(u64),
}

/// `-5` is `-n 5`, and `other` is the sign that turns the amount round.
fn amount(cx: &Cx, other: char) -> Result<(Amount, Opts), Fail> {
    let mut args = cx.args.to_vec();
    if let Some(first) = args.first_mut() {
        let text = first.to_string_lossy();
        if text.len() > 1
            && text[1..].bytes().all(|byte| byte.is_ascii_digit())
            && text.starts_with('-')
        {
            *first = format!("-n{}", &text[1..]).into();
        }
    }
    let opts = crate::opts::parse(&args, "n:c:qv").map_err(Fail::usage)?;
    let bad = |text: &std::ffi::OsStr| Fail::usage(format!("{}: is no count", text.display()));
    let amount = match (opts.value('n'), opts.value('c')) {
        (_, Some(text)) => Amount::Bytes(size(text).ok_or_else(|| bad(text))?),
        (Some(text), None) => {
            let plain = text.to_string_lossy();
            let turned = plain.strip_prefix(other);
            // The sign that means nothing is allowed.
            let digits = turned.unwrap_or(plain.trim_start_matches(['+', '-']));
            let count = size(digits.as_ref()).ok_or_else(|| bad(text))?;
            if turned.is_some() {
                Amount::OtherLines(count)
            } else {
                Amount::Lines(count)
            }
        }
        (None, None) => Amount::Lines(10),
    };
    Ok((amount, opts))
}

type Ending = fn(&mut dyn BufRead, Amount, &mut crate::cx::Out) -> Result<(), Stop>;

/// Why a copy stopped: the input's fault or the output's.
enum Stop {
    Input(io::Error),
    Output(io::Error),
}

fn each(cx: &mut Cx, amount: Amount, opts: &Opts, ending: Ending) -> Outcome {
    let names = inputs(&opts.operands);
    let titled = (names.len() > 1 || opts.has('v')) && !opts.has('q');
    for (index, name) in names.iter().enumerate() {
        let input = match open(name) {
            Ok(input) => input,
            Err(why) => {
                cx.warn(name, &why);
                continue;
            }
        };
        if titled {
            let gap = if index > 0 { "\n" } else { "" };
            writeln!(cx.out, "{gap}==> {} <==", name.display())?;
        }
        match ending(
            &mut BufReader::with_capacity(32 * 1024, input),
            amount,
            &mut cx.out,
        ) {
            Ok(()) => {}
            Err(Stop::Input(why)) => cx.warn(name, &why),
            Err(Stop::Output(why)) => return Err(Fail::Output(why)),
        }
    }
    Ok(cx.status())
}

/// `head [-n COUNT | -c COUNT] [FILE]...`
pub fn head(cx: &mut Cx) -> Outcome {
    let (amount, opts) = amount(cx, '-')?;
    each(cx, amount, &opts, first)
}

/// `tail [-n COUNT | -c COUNT] [FILE]...`
pub fn tail(cx: &mut Cx) -> Outcome {
    let (amount, opts) = amount(cx, '+')?;
    each(cx, amount, &opts, last)
}

fn line(input: &mut dyn BufRead) -> Result<Option<Vec<u8>>, Stop> {
    let mut line = Vec::new();
    let count = input.read_until(b'\n', &mut line).map_err(Stop::Input)?;
    Ok((count > 0).then_some(line))
}

fn first(input: &mut dyn BufRead, amount: Amount, out: &mut crate::cx::Out) -> Result<(), Stop> {
    match amount {
        Amount::Bytes(count) => {
            let mut text = Vec::new();
            Read::take(input, count)
                .read_to_end(&mut text)
                .map_err(Stop::Input)?;
            out.write_all(&text).map_err(Stop::Output)
        }
        Amount::Lines(count) => {
            for _ in 0..count {
                let Some(line) = line(input)? else { break };
                out.write_all(&line).map_err(Stop::Output)?;
            }
            Ok(())
        }
        Amount::OtherLines(count) => {
            let mut held = VecDeque::new();
            while let Some(line) = line(input)? {
                held.push_back(line);
                if held.len() as u64 > count {
                    let oldest = held.pop_front().unwrap_or_default();
                    out.write_all(&oldest).map_err(Stop::Output)?;
                }
            }
            Ok(())
        }
    }
}

/// Holds no more than `count` bytes at a time, however long the input is.
fn last_bytes(input: &mut dyn BufRead, count: usize, out: &mut crate::cx::Out) -> Result<(), Stop> {
    let mut held = VecDeque::new();
    loop {
        let piece = input.fill_buf().map_err(Stop::Input)?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        let kept = &piece[length.saturating_sub(count)..];
        let surplus = (held.len() + kept.len()).saturating_sub(count);
        held.drain(..surplus);
        held.extend(kept);
        input.consume(length);
    }
    let (front, back) = held.as_slices();
    out.write_all(front)
        .and_then(|()| out.write_all(back))
        .map_err(Stop::Output)
}

fn last(input: &mut dyn BufRead, amount: Amount, out: &mut crate::cx::Out) -> Result<(), Stop> {
    match amount {
        Amount::Bytes(count) => {
            last_bytes(input, usize::try_from(count).unwrap_or(usize::MAX), out)
        }
        Amount::Lines(count) => {
            let mut held = VecDeque::new();
            while let Some(line) = line(input)? {
                held.push_back(line);
                if held.len() as u64 > count {
                    held.pop_front();
                }
            }
            held.iter()
                .try_for_each(|line| out.write_all(line))
                .map_err(Stop::Output)
        }
        Amount::OtherLines(from) => {
            for _ in 1..from {
                line(input)?;
            }
            while let Some(line) = line(input)? {
                out.write_all(&line).map_err(Stop::Output)?;
            }
            Ok(())
        }
    }
}
