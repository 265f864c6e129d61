//! `chmod`: who may do what with files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::cx::{Cx, Fail, Outcome};

/// `chmod MODE FILE...`; the mode is octal or like `u+x,go-w`.
pub fn run(cx: &mut Cx) -> Outcome {
    // A mode such as -w looks like an option, so there are none.
    let Some((mode, files)) = cx.args.split_first().filter(|(_, files)| !files.is_empty()) else {
        return Err(Fail::usage("needs a mode and a file"));
    };
    let mode = mode.to_string_lossy();
    if apply(&mode, 0, false).is_none() {
        return Err(Fail::usage(format!("{mode}: is no mode")));
    }
    cx.each(files, |_, path| {
        let data = fs::metadata(path)?;
        let new = apply(&mode, data.permissions().mode() & 0o7777, data.is_dir());
        fs::set_permissions(path, Permissions::from_mode(new.unwrap_or_default()))
    })
}

/// The mode that `text` makes of `old`; `None` if it is no mode.
fn apply(text: &str, old: u32, is_directory: bool) -> Option<u32> {
    if let Ok(mode) = u32::from_str_radix(text, 8) {
        return (mode <= 0o7777).then_some(mode);
    }
    let mut mode = old;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let mut who = 0;
        for letter in clause[..at].chars() {
            who |= match letter {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                'a' => 0o7777,
                _ => return None,
            };
        }
        if who == 0 {
            who = 0o7777;
        }
        let mut bits = 0;
        for letter in clause[at + 1..].chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_directory || old & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            };
        }
        match clause.as_bytes()[at] {
            b'+' => mode |= bits & who,
            b'-' => mode &= !(bits & who),
            _ => mode = mode & !(who & 0o777) | bits & who,
        }
    }
    Some(mode)
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn modes() {
        for (text, old, new) in [
            ("755", 0, Some(0o755)),
            ("u+x", 0o644, Some(0o744)),
            ("go-rw", 0o666, Some(0o600)),
            ("a=r,u+w", 0o777, Some(0o644)),
            ("+x", 0o644, Some(0o755)),
            ("u+s", 0o755, Some(0o4755)),
            ("q+x", 0, None),
            ("99", 0, None),
        ] {
            assert_eq!(apply(text, old, false), new, "{text}");
        }
        assert_eq!(apply("a+X", 0o644, true), Some(0o755));
    }
}
