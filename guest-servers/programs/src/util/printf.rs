//! `printf`: arguments by a format.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Fail, Outcome};
use crate::text::{Flow, unescape};

/// `printf FORMAT [ARGUMENT]...`: the format is used again until no argument is left.
pub fn run(cx: &mut Cx) -> Outcome {
    let args = cx
        .args
        .strip_prefix(&[OsString::from("--")])
        .unwrap_or(cx.args);
    let Some((format, args)) = args.split_first() else {
        return Err(Fail::usage("needs a format"));
    };
    let mut args = args.iter().map(|arg| arg.as_bytes());
    loop {
        let before = args.len();
        if once(cx, format.as_bytes(), &mut args)? == Flow::Stop || args.len() == 0 {
            return Ok(cx.status());
        }
        if args.len() == before {
            return Ok(cx.status());
        }
    }
}

/// Uses the format once.
fn once<'a>(
    cx: &mut Cx,
    format: &[u8],
    args: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Flow, Fail> {
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|&byte| byte == b'%') {
        if literal(cx, &rest[..percent])? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        rest = &rest[percent + 1..];
        if let Some(tail) = rest.strip_prefix(b"%") {
            cx.out.write_all(b"%")?;
            rest = tail;
            continue;
        }
        let (spec, used) = Spec::parse(rest, args)?;
        rest = &rest[used..];
        if spec.write(cx, args.next())? == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    literal(cx, rest)
}

fn literal(cx: &mut Cx, text: &[u8]) -> Result<Flow, Fail> {
    let (text, flow) = unescape(text);
    cx.out.write_all(&text)?;
    Ok(flow)
}

/// One conversion.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    alternative: bool,
    width: usize,
    precision: Option<usize>,
    conversion: u8,
}

/// No field is wider: a mistake must not fill the memory.
const MAX_WIDTH: usize = 4096;

impl Spec {
    /// Parses what follows a percent sign, and how long it is.
    fn parse<'a>(
        text: &[u8],
        args: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Self, usize), Fail> {
        let mut spec = Self::default();
        let mut at = 0;
        while let Some(flag) = text.get(at) {
            match flag {
                b'-' => spec.left = true,
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'#' => spec.alternative = true,
                b' ' => {}
                _ => break,
            }
            at += 1;
        }
        spec.width = count(text, &mut at, args);
        if text.get(at) == Some(&b'.') {
            at += 1;
            spec.precision = Some(count(text, &mut at, args));
        }
        match text.get(at) {
            Some(&conversion) if b"diuoxXcsbfeg".contains(&conversion) => {
                spec.conversion = conversion;
                Ok((spec, at + 1))
            }
            Some(other) => Err(Fail::new(format!(
                "%{}: unknown conversion",
                char::from(*other)
            ))),
            None => Err(Fail::new("%: the format ends within a conversion")),
        }
    }

    fn write(&self, cx: &mut Cx, arg: Option<&[u8]>) -> Result<Flow, Fail> {
        let text = arg.unwrap_or_default();
        let mut flow = Flow::Continue;
        let (sign, digits) = match self.conversion {
            b's' => (String::new(), self.cut(text).to_vec()),
            b'c' => (String::new(), text.get(..1).unwrap_or_default().to_vec()),
            b'b' => {
                let (plain, ends) = unescape(text);
                flow = ends;
                (String::new(), self.cut(&plain).to_vec())
            }
            b'f' | b'e' | b'g' => self.real(cx, text),
            _ => self.integer(cx, text),
        };
        let padding = self.width.saturating_sub(sign.len() + digits.len());
        let numeric = !matches!(self.conversion, b's' | b'c' | b'b');
        let (before, zeros, after) = match (self.left, self.zero && numeric) {
            (true, _) => (0, 0, padding),
            (false, true) => (0, padding, 0),
            (false, false) => (padding, 0, 0),
        };
        write!(cx.out, "{:before$}{sign}{}", "", "0".repeat(zeros))?;
        cx.out.write_all(&digits)?;
        write!(cx.out, "{:after$}", "")?;
        Ok(flow)
    }

    fn cut<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[..self.precision.unwrap_or(text.len()).min(text.len())]
    }

    fn integer(&self, cx: &mut Cx, text: &[u8]) -> (String, Vec<u8>) {
        let value = parse_integer(text).unwrap_or_else(|| {
            cx.complain(&format!("{}: is no integer", text.escape_ascii()));
            0
        });
        let signed = matches!(self.conversion, b'd' | b'i');
        // An unsigned conversion shows a negative number's bits, as C does.
        let bits = value as u64;
        let digits = match self.conversion {
            b'o' => format!("{bits:o}"),
            b'x' => format!("{bits:x}"),
            b'X' => format!("{bits:X}"),
            b'u' => bits.to_string(),
            _ => value.unsigned_abs().to_string(),
        };
        let sign = match self.conversion {
            _ if signed && value < 0 => "-",
            _ if signed && self.plus => "+",
            b'x' if self.alternative => "0x",
            b'X' if self.alternative => "0X",
            b'o' if self.alternative => "0",
            _ => "",
        };
        let width = self.precision.unwrap_or(0);
        (sign.into(), format!("{digits:0>width$}").into_bytes())
    }

    fn real(&self, cx: &mut Cx, text: &[u8]) -> (String, Vec<u8>) {
        let parsed = std::str::from_utf8(text)
            .ok()
            .and_then(|text| match text.trim() {
                "" => Some(0.0),
                digits => digits.parse::<f64>().ok(),
            });
        let value = parsed.unwrap_or_else(|| {
            cx.complain(&format!("{}: is no number", text.escape_ascii()));
            0.0
        });
        let precision = self.precision.unwrap_or(6);
        let digits = match self.conversion {
            b'e' => exponential(value.abs(), precision),
            b'g' => format!("{}", value.abs()),
            _ => format!("{:.precision$}", value.abs()),
        };
        let sign = match value.is_sign_negative() {
            true => "-",
            false if self.plus => "+",
            false => "",
        };
        (sign.into(), digits.into_bytes())
    }
}

/// `1.5e+03`, as C writes it.
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        None => text,
    }
}

/// A width or precision: digits, or `*` for an argument.
fn count<'a>(text: &[u8], at: &mut usize, args: &mut impl Iterator<Item = &'a [u8]>) -> usize {
    let value = if text.get(*at) == Some(&b'*') {
        *at += 1;
        args.next()
            .and_then(parse_integer)
            .and_then(|value| usize::try_from(value).ok())
    } else {
        let digits = text[*at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let value = parse_integer(&text[*at..*at + digits]).and_then(|v| usize::try_from(v).ok());
        *at += digits;
        value
    };
    value.unwrap_or(0).min(MAX_WIDTH)
}

/// Decimal, hexadecimal, octal, or `'c` for a character's number. Nothing is 0.
fn parse_integer(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    if let [b'\'' | b'"', byte, ..] = text {
        return Some(i64::from(*byte));
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    let digits = std::str::from_utf8(digits).ok()?;
    let magnitude = match digits.as_bytes() {
        [] if text.is_empty() => 0,
        [b'0', b'x' | b'X', ..] => i128::from(u64::from_str_radix(&digits[2..], 16).ok()?),
        [b'0', _, ..] => i128::from(u64::from_str_radix(&digits[1..], 8).ok()?),
        _ => i128::from(digits.parse::<u64>().ok()?),
    };
    let value = if negative { -magnitude } else { magnitude };
    // Numbers beyond i64 keep their bits, for the unsigned conversions.
    Some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("12", 12),
            ("-0x10", -16),
            ("017", 15),
            ("'A", 65),
            ("", 0),
            ("+3", 3),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_integer(b"12x"), None);
        assert_eq!(parse_integer(b"-"), None);
    }

    #[test]
    fn exponents() {
        assert_eq!(exponential(1500.0, 2), "1.50e+03");
        assert_eq!(exponential(0.00015, 1), "1.5e-04");
    }
}
