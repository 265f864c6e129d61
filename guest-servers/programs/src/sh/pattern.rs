//! Shell patterns: `*`, `?`, `[set]`, and `\` before a byte that stands for itself. Pure.

use super::ast::{Bytes, End};

/// Bytes that mean something in a pattern.
const ACTIVE: &[u8] = b"*?[]\\";

/// Adds `text` to `pattern` so that it matches only itself.
pub fn push_quoted(pattern: &mut Bytes, text: &[u8]) {
    for &byte in text {
        // `!`, `^` and `-` matter inside a set.
        if ACTIVE.contains(&byte) || b"!^-".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
}

/// Adds the result of an expansion: its wildcards are active, its backslashes are not.
pub fn push_expanded(pattern: &mut Bytes, text: &[u8]) {
    for &byte in text {
        if byte == b'\\' {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
}

/// The pattern as plain text.
pub fn unescape(pattern: &[u8]) -> Bytes {
    let mut text = Bytes::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next()),
            _ => text.push(byte),
        }
    }
    text
}

/// Whether the pattern can match anything but its own text.
pub fn is_active(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether all of `text` matches. Linear in memory, and in time but for the stars: each star
/// is retried from where it last matched, never the ones before it.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], &text[t..]) {
            Some((used, taken)) => {
                p += used;
                t += taken;
            }
            None => {
                let Some((after, from)) = star.filter(|&(_, from)| from < text.len()) else {
                    return false;
                };
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    true
}

/// Matches one element that is no star: lengths taken of the pattern and of the text.
fn one(pattern: &[u8], text: &[u8]) -> Option<(usize, usize)> {
    let (&element, &byte) = (pattern.first()?, text.first()?);
    match element {
        b'?' => Some((1, character(text))),
        b'[' => match set(pattern, text) {
            Some((used, true)) => Some((used, character(text))),
            Some((_, false)) => None,
            None => (byte == b'[').then_some((1, 1)),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some((2, 1)),
        _ => (element == byte).then_some((1, 1)),
    }
}

/// Length of the UTF-8 character at the start of `text`, or 1.
fn character(text: &[u8]) -> usize {
    let length = match text[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    match text.get(..length).map(std::str::from_utf8) {
        Some(Ok(_)) => length,
        _ => 1,
    }
}

/// `[...]` against the character at the start of `text`: its length and whether it matches.
/// `None` if the bracket is never closed.
fn set(pattern: &[u8], text: &[u8]) -> Option<(usize, bool)> {
    let wanted = &text[..character(text)];
    let mut at = 1;
    let inverted = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(inverted);
    let first = at;
    let mut found = false;
    loop {
        if pattern.get(at) == Some(&b']') && at > first {
            return Some((at + 1, found != inverted));
        }
        if let Some((class, used)) = named_class(&pattern[at.min(pattern.len())..]) {
            found |= wanted.len() == 1 && class(&wanted[0]);
            at += used;
            continue;
        }
        let (low, used) = member(pattern.get(at..)?)?;
        at += used;
        let range = pattern.get(at) == Some(&b'-') && pattern.get(at + 1) != Some(&b']');
        let high = if range {
            let (high, used) = member(pattern.get(at + 1..)?)?;
            at += 1 + used;
            high
        } else {
            low
        };
        found |= low <= wanted && wanted <= high;
    }
}

/// One character of a set, and how much of the pattern it takes.
fn member(pattern: &[u8]) -> Option<(&[u8], usize)> {
    let escaped = usize::from(pattern.first()? == &b'\\' && pattern.len() > 1);
    let rest = &pattern[escaped..];
    let length = character(rest);
    Some((&rest[..length], escaped + length))
}

/// Whether a byte belongs to a named class.
pub type Class = fn(&u8) -> bool;

/// `[:alpha:]` and the like at the start of `text`, and its length.
pub fn named_class(text: &[u8]) -> Option<(Class, usize)> {
    const CLASSES: [(&[u8], Class); 12] = [
        (b"alpha", u8::is_ascii_alphabetic),
        (b"digit", u8::is_ascii_digit),
        (b"alnum", u8::is_ascii_alphanumeric),
        (b"upper", u8::is_ascii_uppercase),
        (b"lower", u8::is_ascii_lowercase),
        (b"space", |byte| byte.is_ascii_whitespace() || *byte == 11),
        (b"blank", |byte| *byte == b' ' || *byte == b'\t'),
        (b"punct", u8::is_ascii_punctuation),
        (b"print", |byte| byte.is_ascii_graphic() || *byte == b' '),
        (b"graph", u8::is_ascii_graphic),
        (b"cntrl", u8::is_ascii_control),
        (b"xdigit", u8::is_ascii_hexdigit),
    ];
    let rest = text.strip_prefix(b"[:")?;
    let (name, class) = CLASSES.into_iter().find(|(name, _)| {
        rest.strip_prefix(*name)
            .is_some_and(|tail| tail.starts_with(b":]"))
    })?;
    Some((class, name.len() + 4))
}

/// `text` without the shortest or longest part at `end` that matches.
pub fn trim<'a>(text: &'a [u8], pattern: &[u8], end: End, longest: bool) -> &'a [u8] {
    let cuts = 0..=text.len();
    let hit = |cut: &usize| match end {
        End::Front => matches(pattern, &text[..*cut]),
        End::Back => matches(pattern, &text[*cut..]),
    };
    // The longest front and the shortest back are both found from the right.
    let from_right = longest == (end == End::Front);
    let cut = if from_right {
        cuts.rev().find(hit)
    } else {
        { cuts }.find(hit)
    };
    match (cut, end) {
        (Some(cut), End::Front) => &text[cut..],
        (Some(cut), End::Back) => &text[..cut],
        (None, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("*.rs", "main.rs", true),
            ("?", "\u{e9}", true),
            ("??", "a", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[[:digit:]]", "7", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*a*b*a", "aabaa", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn many_stars_stay_fast() {
        let pattern = b"*a".repeat(200);
        assert!(!matches(
            &pattern,
            &b"a"
                .repeat(5000)
                .iter()
                .chain(b"b")
                .copied()
                .collect::<Vec<_>>()
        ));
    }

    #[test]
    fn trimming() {
        let cut = |end, longest| {
            trim(
                b"a/b/c",
                if end == End::Front { b"*/" } else { b"/*" },
                end,
                longest,
            )
        };
        assert_eq!(cut(End::Front, false), b"b/c");
        assert_eq!(cut(End::Front, true), b"c");
        assert_eq!(cut(End::Back, false), b"a/b");
        assert_eq!(cut(End::Back, true), b"a");
    }

    proptest! {
        #[test]
        fn quoted_text_matches_only_itself(text: Vec<u8>, other: Vec<u8>) {
            let mut pattern = Bytes::new();
            push_quoted(&mut pattern, &text);
            prop_assert!(matches(&pattern, &text));
            prop_assert_eq!(matches(&pattern, &other), text == other);
            prop_assert_eq!(unescape(&pattern), text);
            prop_assert!(!is_active(&pattern));
        }

        #[test]
        fn any_pattern_is_answered(pattern: Vec<u8>, text: Vec<u8>) {
            let _ = matches(&pattern, &text);
        }
    }
}
