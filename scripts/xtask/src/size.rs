//! How large the monitor is: lines of code of `vmm/src` and `vmm/machine/src`, that is, lines that are neither blank
//! nor comments, without tests (`tests.rs`, `tests/`, `testing.rs`, and everything from a `#[cfg(test)] mod tests {` on,
//! which is the end of its file).

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// The monitor is to stay small enough to be read.
pub const MOST: usize = 10_000;
const PLACES: [&str; 2] = ["vmm/src", "vmm/machine/src"];
const TESTS: &str = "\n#[cfg(test)]\nmod tests {";

/// Prints the count by folder.
pub fn print() -> Result<()> {
    for place in PLACES {
        println!("{:6} {place}", of(Path::new(place))?);
    }
    check().map(|lines| println!("{lines:6} in all, at most {MOST}"))
}

/// The count of all; an error if it is too large.
pub fn check() -> Result<usize> {
    let counts = PLACES.iter().map(|place| of(Path::new(place)));
    let lines: usize = counts.collect::<Result<Vec<_>>>()?.iter().sum();
    ensure!(
        lines <= MOST,
        "the monitor has {lines} lines of code, and may have {MOST}: `cargo xtask size` says where; simplify"
    );
    Ok(lines)
}

/// Lines of code below a folder.
fn of(folder: &Path) -> Result<usize> {
    let mut lines = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            lines += if name == "tests" { 0 } else { of(&path)? };
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "testing.rs" {
            lines += code(&fs::read_to_string(&path)?);
        }
    }
    Ok(lines)
}

/// Lines of code of a file.
fn code(text: &str) -> usize {
    let (own, _) = text.split_once(TESTS).unwrap_or((text, ""));
    own.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_tests_do_not_count() {
        let text = "//! Head.\n\nuse a;\n/// Doc.\nfn f() {\n    // Why.\n    g() // How.\n}\n\n#[cfg(test)]\nmod tests {\n    x\n}\n";
        assert_eq!(code(text), 4);
        assert_eq!(code("a\n#[cfg(test)]\nmod tests;\n"), 3);
    }
}
