//! `seq`: numbers in order.

use std::io::Write;

use crate::cx::{Cx, Fail, Outcome};

/// `seq [-w] [-s SEPARATOR] [FIRST [STEP]] LAST`; decimal fractions are kept exact.
pub fn run(cx: &mut Cx) -> Outcome {
    let (options, words) = leading_options(cx)?;
    let numbers = words
        .iter()
        .map(|word| {
            Decimal::parse(word).ok_or_else(|| Fail::usage(format!("{word}: is no number")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let one = Decimal {
        units: 1,
        places: 0,
    };
    let (first, step, last) = match numbers.as_slice() {
        [last] => (one, one, *last),
        [first, last] => (*first, one, *last),
        [first, step, last] => (*first, *step, *last),
        _ => return Err(Fail::usage("needs one to three numbers")),
    };
    let places = first.places.max(step.places).max(last.places);
    let (first, step, last) = (
        first.scaled(places),
        step.scaled(places),
        last.scaled(places),
    );
    if step == 0 {
        return Err(Fail::usage("the step must not be 0"));
    }
    // The last number counts only for where to stop.
    let shown = numbers[..numbers.len() - 1]
        .iter()
        .map(|number| number.places)
        .max()
        .unwrap_or(0);
    let width = match options.equal_width {
        true => text(first, places, shown)
            .len()
            .max(text(last, places, shown).len()),
        false => 0,
    };
    let mut number = first;
    let mut any = false;
    while (step > 0 && number <= last) || (step < 0 && number >= last) {
        if any {
            cx.out.write_all(options.separator.as_bytes())?;
        }
        write!(cx.out, "{}", padded(&text(number, places, shown), width))?;
        any = true;
        number += step;
    }
    if any {
        cx.out.write_all(b"\n")?;
    }
    Ok(0)
}

struct Options {
    equal_width: bool,
    separator: String,
}

/// Options come first, because a number may start with a dash too.
fn leading_options(cx: &Cx) -> Result<(Options, Vec<String>), Fail> {
    let mut options = Options {
        equal_width: false,
        separator: "\n".into(),
    };
    let mut words: Vec<String> = cx
        .args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    while let Some(first) = words.first().cloned() {
        match first.as_str() {
            "-w" => options.equal_width = true,
            "-s" if words.len() > 1 => options.separator = words.remove(1),
            "--" => {
                words.remove(0);
                break;
            }
            _ if first.starts_with('-') && Decimal::parse(&first).is_none() => {
                return Err(Fail::usage(format!("{first}: unknown option")));
            }
            _ => break,
        }
        words.remove(0);
    }
    Ok((options, words))
}

/// A decimal fraction: `units` divided by ten to the power of `places`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decimal {
    units: i128,
    places: u32,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let fits =
            unsigned.len() + fraction.len() <= 18 && !(unsigned.is_empty() && fraction.is_empty());
        if !fits || !digits(unsigned) || !digits(fraction) {
            return None;
        }
        let magnitude: i128 = format!("0{unsigned}{fraction}").parse().ok()?;
        let units = if whole.starts_with('-') {
            -magnitude
        } else {
            magnitude
        };
        Some(Self {
            units,
            places: fraction.len() as u32,
        })
    }

    fn scaled(self, places: u32) -> i128 {
        self.units * 10i128.pow(places - self.places)
    }
}

/// `units` with `shown` decimal places out of `places`.
fn text(units: i128, places: u32, shown: u32) -> String {
    let units = units / 10i128.pow(places - shown);
    let sign = if units < 0 { "-" } else { "" };
    let scale = 10u128.pow(shown);
    let magnitude = units.unsigned_abs();
    match shown {
        0 => format!("{sign}{magnitude}"),
        _ => format!(
            "{sign}{}.{:0width$}",
            magnitude / scale,
            magnitude % scale,
            width = shown as usize
        ),
    }
}

/// Zeros between the sign and the digits.
fn padded(text: &str, width: usize) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let width = width.saturating_sub(sign.len());
    format!("{sign}{digits:0>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        assert_eq!(
            Decimal::parse("-1.50"),
            Some(Decimal {
                units: -150,
                places: 2
            })
        );
        assert_eq!(Decimal::parse("-s"), None);
        assert_eq!(Decimal::parse("."), None);
        assert_eq!(text(-150, 2, 1), "-1.5");
        assert_eq!(padded("-5", 4), "-005");
    }
}
