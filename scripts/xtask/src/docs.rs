//! Holds the documentation against the tree: every file that it names exists.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Documents outside `docs/`.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "vmm/README.md",
    "tests/README.md",
];
/// What a path of the tree begins with; other words in code marks are not looked at.
const TOPS: &[&str] = &[
    "vmm/",
    "guest-kernel/",
    "guest-servers/",
    "images/",
    "tests/",
    "scripts/",
    "docs/",
];

/// Fails with the list of names that lead nowhere.
pub fn check() -> Result<()> {
    let mut missing = Vec::new();
    for document in documents()? {
        let text = fs::read_to_string(&document).with_context(|| document.display().to_string())?;
        for name in names(&text) {
            if !Path::new(name).exists() {
                missing.push(format!("{}: `{name}` does not exist", document.display()));
            }
        }
    }
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}

fn documents() -> Result<Vec<PathBuf>> {
    let mut documents: Vec<PathBuf> = DOCUMENTS
        .iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect();
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    Ok(documents)
}

/// Paths of the tree in code marks. Commands (with spaces) count by their first word.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split('`').skip(1).step_by(2);
    let words = marked.filter_map(|mark| mark.split_whitespace().next());
    words.filter(|word| {
        TOPS.iter().any(|top| word.starts_with(top)) && !word.contains(['*', '{', '<', '\u{2026}'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_code_marks_are_found() {
        let text = "see `vmm/src/lib.rs` and `scripts/boot --cpus 4`, not `SEND` nor `docs/*.md` nor vmm/x";
        assert_eq!(
            names(text).collect::<Vec<_>>(),
            ["vmm/src/lib.rs", "scripts/boot"]
        );
    }

    #[test]
    fn the_documents_name_what_exists() {
        std::env::set_current_dir(crate::root()).unwrap();
        check().unwrap();
    }
}
