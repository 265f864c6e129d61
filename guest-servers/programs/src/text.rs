//! Pure text helpers that several programs share.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Bytes as an argument or a file name.
pub fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// The escape sequences of `echo -e`, `printf` and `tr`: `\n`, `\t`, octal, `\xHH` and so on.
/// `None` in place of the rest when `\c` ends the output.
pub fn unescape(text: &[u8]) -> (Vec<u8>, Flow) {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        if rest.first() == Some(&b'c') {
            return (out, Flow::Stop);
        }
        let (value, used) = escape(rest);
        out.extend(value);
        rest = &rest[used..];
    }
    (out, Flow::Continue)
}

/// Whether output goes on after an escaped text.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Continue,
    /// No: `\c` was met.
    Stop,
}

/// One sequence after its backslash: what it means and how many bytes it takes.
fn escape(after: &[u8]) -> (Vec<u8>, usize) {
    let Some(&letter) = after.first() else {
        return (vec![b'\\'], 0);
    };
    let simple = match letter {
        b'a' => 7,
        b'b' => 8,
        b'e' => 27,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'x' => {
            return digits(&after[1..], 16, 2)
                .map_or((b"\\x".to_vec(), 1), |(v, n)| (vec![v], n + 1));
        }
        b'0' => {
            let (value, used) = digits(&after[1..], 8, 3).unwrap_or((0, 0));
            return (vec![value], used + 1);
        }
        b'1'..=b'7' => {
            let (value, used) = digits(after, 8, 3).unwrap_or((0, 0));
            return (vec![value], used);
        }
        other => return (vec![b'\\', other], 1),
    };
    (vec![simple], 1)
}

/// Up to `most` digits: the value's low byte and how many there were.
fn digits(text: &[u8], radix: u32, most: usize) -> Option<(u8, usize)> {
    let values: Vec<u32> = text
        .iter()
        .take(most)
        .map_while(|&byte| char::from(byte).to_digit(radix))
        .collect();
    let value = values.iter().fold(0, |sum, digit| sum * radix + digit);
    (!values.is_empty()).then_some((value as u8, values.len()))
}

/// Bytes in a unit that a person reads easily: `17`, `4.0K`, `23M`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    // Tenths of the unit, rounded up as other tools do.
    let mut unit = 0;
    let mut size = 1024u128;
    while u128::from(bytes) >= size * 1024 && unit + 1 < UNITS.len() {
        size *= 1024;
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(size);
    if tenths < 100 {
        format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{}{}", tenths.div_ceil(10), UNITS[unit])
    }
}

/// `4096`, `4K`, `1M` and so on in bytes.
pub fn size(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Splits into lines without their newlines; a last line without one counts.
pub fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").map_or(text, |stripped| stripped);
    let none = text.is_empty();
    text.split(|&byte| byte == b'\n').filter(move |_| !none)
}

/// The part after the last slash, as `basename` understands it.
pub fn base_name(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let end = bytes
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(1.min(bytes.len()), |last| last + 1);
    let trimmed = &bytes[..end];
    let start = match trimmed {
        b"/" => 0,
        _ => trimmed
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1),
    };
    OsStr::from_bytes(&trimmed[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let plain = |text: &str| String::from_utf8(unescape(text.as_bytes()).0).unwrap();
        assert_eq!(plain(r"a\tb\n\\\q\101\0101\x41"), "a\tb\n\\\\qAAA");
        assert_eq!(unescape(b"x\\cy"), (b"x".to_vec(), Flow::Stop));
        assert_eq!(plain("end\\"), "end\\");
    }

    #[test]
    fn human_sizes() {
        let table = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1536, "1.5K"),
            (10 << 20, "10M"),
        ];
        for (bytes, text) in table {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn sizes_take_a_unit() {
        assert_eq!(size(OsStr::new("4K")), Some(4096));
        assert_eq!(size(OsStr::new("17")), Some(17));
        assert_eq!(size(OsStr::new("K")), None);
    }

    #[test]
    fn base_names() {
        for (path, name) in [
            ("/usr/lib/", "lib"),
            ("/", "/"),
            ("a", "a"),
            ("", ""),
            ("//", "/"),
        ] {
            assert_eq!(base_name(OsStr::new(path)), name);
        }
    }

    #[test]
    fn line_splitting() {
        assert_eq!(lines(b"a\n\nb").count(), 3);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"a\n").collect::<Vec<_>>(), [b"a"]);
    }
}
