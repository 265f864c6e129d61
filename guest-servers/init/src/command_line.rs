//! The kernel command line, as far as `init` reads it.

use alloc::string::String;
use alloc::vec::Vec;

/// The value of `key=` in a space-separated command line; the last one counts.
pub fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let words = line.split_ascii_whitespace();
    words
        .filter_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .next_back()
}

/// Undoes percent-encoding; a `%` without two hexadecimal digits stays as it is.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_value() {
        let line = "quiet command=a root=vda command=b%20c commander=x";
        assert_eq!(value(line, "command"), Some("b%20c"));
        assert_eq!(value(line, "root"), Some("vda"));
        assert_eq!(value(line, "none"), None);
    }

    #[test]
    fn decodes_what_the_monitor_encodes() {
        assert_eq!(
            percent_decode("sh%20-c%20%22exit%203%22"),
            "sh -c \"exit 3\""
        );
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%C3%A9"), "%zzé");
    }
}
