//! The option parser that all utilities share: POSIX `getopt` with GNU's permutation.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Parsed arguments.
#[derive(Debug, Default, PartialEq)]
pub struct Opts {
    given: Vec<(u8, OsString)>,
    /// What is no option, in order.
    pub operands: Vec<OsString>,
}

impl Opts {
    /// Whether the option was given.
    pub fn has(&self, option: char) -> bool {
        self.given
            .iter()
            .any(|(given, _)| char::from(*given) == option)
    }

    /// The last value given to the option.
    pub fn value(&self, option: char) -> Option<&OsStr> {
        self.values(option).last()
    }

    /// All values given to the option.
    pub fn values(&self, option: char) -> impl Iterator<Item = &OsStr> {
        self.given
            .iter()
            .filter(move |(given, _)| char::from(*given) == option)
            .map(|(_, value)| value.as_os_str())
    }

    /// Which of `options` came last.
    pub fn last_of(&self, options: &str) -> Option<char> {
        let given = self
            .given
            .iter()
            .rev()
            .map(|(option, _)| char::from(*option));
        given.into_iter().find(|option| options.contains(*option))
    }

    /// The option's value as a number, or `default`.
    pub fn number<T: std::str::FromStr>(&self, option: char, default: T) -> Result<T, String> {
        match self.value(option) {
            None => Ok(default),
            Some(value) => number(value)
                .ok_or_else(|| format!("-{option} {}: not a number in its range", value.display())),
        }
    }
}

/// `text` as a number of type `T`.
pub fn number<T: std::str::FromStr>(text: &OsStr) -> Option<T> {
    text.to_str()?.parse().ok()
}

/// Parses `args` (without the program's name). `spec` lists the option letters; one that
/// takes a value is followed by `:`. A leading `+` ends the options at the first operand, for
/// programs whose operands are another command line.
pub fn parse(args: &[OsString], spec: &str) -> Result<Opts, String> {
    let (spec, stops) = match spec.strip_prefix('+') {
        Some(rest) => (rest.as_bytes(), true),
        None => (spec.as_bytes(), false),
    };
    let mut opts = Opts::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            break;
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            opts.operands.push(arg.clone());
            if stops {
                break;
            }
            continue;
        }
        cluster(&bytes[1..], spec, &mut rest, &mut opts)?;
    }
    opts.operands.extend(rest.cloned());
    Ok(opts)
}

/// One argument such as `-lan5`.
fn cluster<'a>(
    letters: &[u8],
    spec: &[u8],
    rest: &mut impl Iterator<Item = &'a OsString>,
    opts: &mut Opts,
) -> Result<(), String> {
    for (index, &letter) in letters.iter().enumerate() {
        let known = spec
            .iter()
            .position(|&known| known == letter && letter != b':');
        let Some(known) = known else {
            return Err(format!(
                "-{}: unknown option",
                letters[index..].escape_ascii()
            ));
        };
        if spec.get(known + 1) != Some(&b':') {
            opts.given.push((letter, OsString::new()));
            continue;
        }
        let attached = &letters[index + 1..];
        let value = match attached {
            [] => rest.next().cloned(),
            _ => Some(OsString::from_vec(attached.to_vec())),
        };
        let Some(value) = value else {
            return Err(format!("-{}: needs a value", char::from(letter)));
        };
        opts.given.push((letter, value));
        break;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(spec: &str, args: &[&str]) -> Result<Opts, String> {
        parse(&args.iter().map(OsString::from).collect::<Vec<_>>(), spec)
    }

    #[test]
    fn clusters_values_and_operands_mix() {
        let opts = parsed("lan:", &["-la", "x", "-n5", "y", "-n", "7", "--", "-l"]).unwrap();
        assert!(opts.has('l') && opts.has('a') && !opts.has('x'));
        assert_eq!(opts.number('n', 0), Ok(7));
        assert_eq!(opts.operands, ["x", "y", "-l"]);
        assert_eq!(opts.last_of("la"), Some('a'));
    }

    #[test]
    fn plus_stops_at_the_first_operand() {
        let opts = parsed("+i", &["-i", "cmd", "-i"]).unwrap();
        assert_eq!(opts.operands, ["cmd", "-i"]);
    }

    #[test]
    fn errors_name_the_option() {
        assert_eq!(parsed("l", &["-lz"]), Err("-z: unknown option".into()));
        assert_eq!(parsed("n:", &["-n"]), Err("-n: needs a value".into()));
        assert!(
            parsed("n:", &["-nx"])
                .unwrap()
                .number::<u32>('n', 0)
                .is_err()
        );
    }

    #[test]
    fn a_lone_dash_is_an_operand() {
        assert_eq!(parsed("l", &["-"]).unwrap().operands, ["-"]);
    }
}
