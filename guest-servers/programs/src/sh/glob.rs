//! Patterns against the file system.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use std::ffi::OsStr;

use super::ast::Bytes;
use super::pattern::{is_active, matches, unescape};

/// The names that match `pattern`, sorted; none if there is none.
pub fn expand(pattern: &[u8]) -> Vec<Bytes> {
    let mut found = Vec::new();
    walk(Bytes::new(), pattern, &mut found);
    found.sort();
    found
}

/// Extends `prefix`, which exists, by the components of `pattern`.
fn walk(mut prefix: Bytes, pattern: &[u8], found: &mut Vec<Bytes>) {
    let slashes = pattern.iter().take_while(|&&byte| byte == b'/').count();
    prefix.extend_from_slice(&pattern[..slashes]);
    let pattern = &pattern[slashes..];
    if pattern.is_empty() {
        return found.push(prefix);
    }
    let end = pattern
        .iter()
        .position(|&byte| byte == b'/')
        .unwrap_or(pattern.len());
    let (component, rest) = pattern.split_at(end);
    let names = match is_active(component) {
        true => listed(&prefix, component),
        false => vec![unescape(component)],
    };
    for name in names {
        let path = [prefix.as_slice(), &name].concat();
        let as_path = Path::new(OsStr::from_bytes(&path));
        // What was read from a directory exists; what must hold more must be a directory.
        let fits = match rest.is_empty() {
            true => is_active(component) || fs::symlink_metadata(as_path).is_ok(),
            false => as_path.is_dir(),
        };
        if fits {
            walk(path, rest, found);
        }
    }
}

/// The names in directory `prefix` that match. A leading dot must be matched by a dot.
fn listed(prefix: &[u8], component: &[u8]) -> Vec<Bytes> {
    let directory = if prefix.is_empty() { b"." } else { prefix };
    let Ok(entries) = fs::read_dir(OsStr::from_bytes(directory)) else {
        return Vec::new();
    };
    let hidden = component.starts_with(b".") || component.starts_with(b"\\.");
    let mut names: Vec<Bytes> = entries
        .flatten()
        .map(|entry| entry.file_name().into_vec())
        .collect();
    if hidden {
        names.extend([b".".to_vec(), b"..".to_vec()]);
    }
    names.retain(|name| (hidden || !name.starts_with(b".")) && matches(component, name));
    names
}
