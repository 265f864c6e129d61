//! Builds the fields that words expand to. Pure.
//!
//! A field is kept as a pattern ([`super::pattern`]): what was quoted is escaped in it, so
//! that wildcards which came from quotes stay ordinary.

use super::ast::Bytes;
use super::pattern::{push_expanded, push_quoted};

/// Fields being built.
pub struct Fields {
    done: Vec<Bytes>,
    /// The field in progress. `None` until something starts it: an unquoted empty expansion
    /// does not, an empty quoted text does.
    current: Option<Bytes>,
    /// The bytes that separate; `None` when everything is one field.
    separators: Option<Bytes>,
    /// The last field was ended by white space, so one separator may still follow it.
    after_blank: bool,
}

impl Fields {
    /// Splits what is expanded outside quotes at the bytes of `separators` (`$IFS`).
    pub fn split_at(separators: Bytes) -> Self {
        Self {
            done: Vec::new(),
            current: None,
            separators: Some(separators),
            after_blank: false,
        }
    }

    /// Keeps everything in one field.
    pub fn joined() -> Self {
        Self {
            done: Vec::new(),
            current: None,
            separators: None,
            after_blank: false,
        }
    }

    /// Whether text is split into fields at all.
    pub fn splits(&self) -> bool {
        self.separators.is_some()
    }

    fn field(&mut self) -> &mut Bytes {
        self.after_blank = false;
        self.current.get_or_insert_default()
    }

    /// Text that was written without quotes: wildcards count, nothing is split.
    pub fn literal(&mut self, text: &[u8]) {
        self.field().extend_from_slice(text);
    }

    /// Text that stands for itself.
    pub fn quoted(&mut self, text: &[u8]) {
        push_quoted(self.field(), text);
    }

    /// Result of an expansion outside quotes: split, and wildcards count.
    pub fn expanded(&mut self, text: &[u8]) {
        let Some(separators) = self.separators.clone() else {
            return push_expanded(self.field(), text);
        };
        for &byte in text {
            if !separators.contains(&byte) {
                push_expanded(self.field(), &[byte]);
            } else if b" \t\n".contains(&byte) {
                if self.current.is_some() {
                    self.end_field();
                    self.after_blank = true;
                }
            } else if std::mem::take(&mut self.after_blank) {
                // The separator belongs to the blanks before it.
            } else {
                self.field();
                self.end_field();
            }
        }
    }

    /// Ends the field in progress, if there is one.
    pub fn end_field(&mut self) {
        self.done.extend(self.current.take());
        self.after_blank = false;
    }

    /// The fields, as patterns.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.end_field();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(separators: &str, text: &str) -> Vec<String> {
        let mut fields = Fields::split_at(separators.into());
        fields.expanded(text.as_bytes());
        fields
            .finish()
            .into_iter()
            .map(|field| String::from_utf8(field).unwrap())
            .collect()
    }

    #[test]
    fn blanks_collapse_and_signs_do_not() {
        assert_eq!(split(" \t\n", "  a  b\n"), ["a", "b"]);
        assert_eq!(split(":", "a::b"), ["a", "", "b"]);
        assert_eq!(split(": ", "a : b"), ["a", "b"]);
        assert_eq!(split(":", ":a:"), ["", "a"]);
        assert_eq!(split("", "a b"), ["a b"]);
        assert!(split(" ", "   ").is_empty());
    }

    #[test]
    fn quoted_text_starts_a_field_even_when_empty() {
        let mut fields = Fields::split_at(b" ".into());
        fields.quoted(b"");
        fields.expanded(b" x*");
        fields.quoted(b"*");
        assert_eq!(fields.finish(), [b"".to_vec(), b"x*\\*".to_vec()]);
    }
}
