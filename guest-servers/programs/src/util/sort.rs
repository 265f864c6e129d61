//! `sort`: lines in order.

use std::cmp::Ordering;
use std::fs;
use std::io::{Read, Write};

use crate::cx::{Cx, Fail, Outcome, inputs, open};
use crate::opts::Opts;
use crate::text::lines;

/// A key: fields from `first` to `last`, counted from 1.
struct Key {
    first: usize,
    last: usize,
    numeric: bool,
    reverse: bool,
    fold: bool,
}

struct Order {
    keys: Vec<Key>,
    separator: Option<u8>,
    /// Equal keys leave the lines equal; else whole lines decide.
    stable: bool,
    reverse: bool,
}

/// `sort [-rnufbs] [-k FIRST[,LAST][nrf]] [-t SEPARATOR] [-o FILE] [FILE]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("rnufbsck:t:o:")?;
    let order = Order::new(&opts)?;
    let mut text = Vec::new();
    for name in inputs(&opts.operands) {
        if text.last().is_some_and(|&byte| byte != b'\n') {
            text.push(b'\n');
        }
        open(&name)
            .and_then(|mut input| input.read_to_end(&mut text))
            .map_err(|why| {
                Fail::with_status(2, format!("{}: {}", name.display(), crate::cx::cause(&why)))
            })?;
    }
    let mut sorted: Vec<&[u8]> = lines(&text).collect();
    if opts.has('c') {
        return check(cx, &order, &sorted);
    }
    sorted.sort_by(|a, b| order.compare(a, b));
    if opts.has('u') {
        sorted.dedup_by(|a, b| order.by_keys(a, b).is_eq());
    }
    let mut result = sorted.join(&b'\n');
    if !sorted.is_empty() {
        result.push(b'\n');
    }
    match opts.value('o') {
        Some(name) => fs::write(name, &result).map_err(|why| Fail::on(name, &why))?,
        None => cx.out.write_all(&result)?,
    }
    Ok(0)
}

fn check(cx: &mut Cx, order: &Order, lines: &[&[u8]]) -> Outcome {
    let wrong = lines
        .windows(2)
        .position(|pair| order.compare(pair[0], pair[1]).is_gt());
    let Some(index) = wrong else { return Ok(0) };
    let line = String::from_utf8_lossy(lines[index + 1]);
    cx.complain(&format!("line {}: disorder: {line}", index + 2));
    Ok(1)
}

impl Order {
    fn new(opts: &Opts) -> Result<Self, Fail> {
        let mut keys = Vec::new();
        for text in opts.values('k') {
            let text = text.to_string_lossy();
            let key = Key::parse(&text, opts);
            keys.push(key.ok_or_else(|| Fail::usage(format!("-k {text}: is no key")))?);
        }
        if keys.is_empty() {
            keys.push(Key {
                first: 0,
                last: 0,
                ..Key::defaults(opts)
            });
        }
        let separator = match opts.value('t').map(|text| text.as_encoded_bytes()) {
            None => None,
            Some([byte]) => Some(*byte),
            Some(_) => return Err(Fail::usage("-t: needs one character")),
        };
        // With -u lines with equal keys are one, and the first is kept.
        let stable = opts.has('s') || opts.has('u');
        Ok(Self {
            keys,
            separator,
            stable,
            reverse: opts.has('r'),
        })
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let order = self.by_keys(a, b);
        if order.is_ne() || self.stable {
            return order;
        }
        if self.reverse { b.cmp(a) } else { a.cmp(b) }
    }

    fn by_keys(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.keys
            .iter()
            .map(|key| key.compare(self.part(key, a), self.part(key, b)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The part of a line that a key compares.
    fn part<'a>(&self, key: &Key, line: &'a [u8]) -> &'a [u8] {
        if key.first == 0 {
            return line;
        }
        let bounds = self.fields(line);
        let start = bounds
            .get(key.first - 1)
            .map_or(line.len(), |bound| bound.0);
        let end = bounds.get(key.last - 1).map_or(line.len(), |bound| bound.1);
        &line[start..end.max(start)]
    }

    /// Where each field begins and ends. Without a separator the blanks before a field belong
    /// to it.
    fn fields(&self, line: &[u8]) -> Vec<(usize, usize)> {
        let mut bounds = Vec::new();
        let mut start = 0;
        let blank = |byte: u8| byte == b' ' || byte == b'\t';
        for (at, &byte) in line.iter().enumerate() {
            let ends = match self.separator {
                Some(separator) => byte == separator,
                None => blank(byte) && at > start && !blank(line[at - 1]),
            };
            if ends {
                bounds.push((start, at));
                start = at + usize::from(self.separator.is_some());
            }
        }
        bounds.push((start, line.len()));
        bounds
    }
}

impl Key {
    fn defaults(opts: &Opts) -> Self {
        let (numeric, reverse, fold) = (opts.has('n'), opts.has('r'), opts.has('f'));
        Self {
            first: 0,
            last: 0,
            numeric,
            reverse,
            fold,
        }
    }

    /// `FIRST[,LAST]` with letters that replace the general options.
    fn parse(text: &str, opts: &Opts) -> Option<Self> {
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        let digits: String = text.chars().filter(|c| !c.is_ascii_alphabetic()).collect();
        let (first, last) = match digits.split_once(',') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (digits.parse().ok()?, usize::MAX),
        };
        if first == 0 || last == 0 || !letters.chars().all(|letter| "nrfb".contains(letter)) {
            return None;
        }
        let mut key = Self {
            first,
            last,
            ..Self::defaults(opts)
        };
        if !letters.is_empty() {
            key.numeric = letters.contains('n');
            key.reverse = letters.contains('r');
            key.fold = letters.contains('f');
        }
        Some(key)
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let order = if self.numeric {
            number(a).total_cmp(&number(b))
        } else if self.fold {
            a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase())
        } else {
            a.cmp(b)
        };
        if self.reverse { order.reverse() } else { order }
    }
}

/// The number that a text begins with; 0 if none.
fn number(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let numeric = |(at, byte): &(usize, &u8)| {
        byte.is_ascii_digit() || **byte == b'.' || (*at == 0 && **byte == b'-')
    };
    let length = text.iter().enumerate().take_while(numeric).count();
    std::str::from_utf8(&text[..length])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(options: &[&str], text: &str) -> Vec<String> {
        let args: Vec<_> = options.iter().map(|option| (*option).into()).collect();
        let order = Order::new(&crate::opts::parse(&args, "rnufbsk:t:").unwrap()).unwrap();
        let mut all: Vec<&[u8]> = lines(text.as_bytes()).collect();
        all.sort_by(|a, b| order.compare(a, b));
        all.iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    #[test]
    fn orders() {
        assert_eq!(sorted(&[], "b\na\nB"), ["B", "a", "b"]);
        assert_eq!(sorted(&["-n"], "10\n9\n-1.5\nx"), ["-1.5", "x", "9", "10"]);
        assert_eq!(sorted(&["-rn"], "1\n3\n2"), ["3", "2", "1"]);
        assert_eq!(sorted(&["-k2"], "a 2\nb 1"), ["b 1", "a 2"]);
        assert_eq!(sorted(&["-t:", "-k2,2n"], "a:10\nb:9"), ["b:9", "a:10"]);
        assert_eq!(
            sorted(&["-k1,1r", "-k2n"], "a 2\nb 1\na 1"),
            ["b 1", "a 1", "a 2"]
        );
    }
}
