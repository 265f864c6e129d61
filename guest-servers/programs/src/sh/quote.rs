//! Text as a word that the shell reads back unchanged. Pure.

use super::ast::Bytes;

/// Quotes `text` if it needs it.
pub fn quote(text: &[u8]) -> Bytes {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:,@%+=".contains(byte);
    if !text.is_empty() && text.iter().all(safe) {
        return text.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}
