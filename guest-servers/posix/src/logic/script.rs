//! `#!` lines.

/// Bytes of a file in which the line must end (Linux's `BINPRM_BUF_SIZE`).
pub const LINE_MAX: usize = 256;

/// What a script asks to be run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter<'a> {
    /// Path of the program.
    pub path: &'a [u8],
    /// The one argument that may follow: the rest of the line.
    pub argument: Option<&'a [u8]>,
}

/// Parses the beginning of a file; `None` if it is no script.
pub fn parse(file: &[u8]) -> Option<Interpreter<'_>> {
    let head = &file[..file.len().min(LINE_MAX)];
    let line = head.strip_prefix(b"#!")?;
    let end = line.iter().position(|&byte| byte == b'\n');
    // A line that does not end in the buffer is only known to be whole if the file ends too.
    let line = match end {
        Some(end) => &line[..end],
        None if file.len() < LINE_MAX => line,
        None => return None,
    };
    let line = trim(line);
    let split = line
        .iter()
        .position(|&byte| is_blank(byte))
        .unwrap_or(line.len());
    let (path, rest) = line.split_at(split);
    let argument = Some(trim(rest)).filter(|argument| !argument.is_empty());
    (!path.is_empty()).then_some(Interpreter { path, argument })
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_one_argument() {
        let parsed = parse(b"#! /bin/sh  -e x \necho").unwrap();
        assert_eq!(parsed.path, b"/bin/sh");
        assert_eq!(parsed.argument, Some(&b"-e x"[..]));
        assert_eq!(parse(b"#!/bin/sh").unwrap().argument, None);
    }

    #[test]
    fn what_is_no_script() {
        assert_eq!(parse(b"\x7fELF"), None);
        assert_eq!(parse(b"#!  \n/bin/sh"), None);
        assert_eq!(parse(b""), None);
        let mut long = std::vec![b'a'; 400];
        long[..2].copy_from_slice(b"#!");
        assert_eq!(parse(&long), None);
    }
}
