use std::fs;
use std::path::{Path, PathBuf};

/// Files that are only in the kernel and mediate between memory and the machine.
const GLUE: [&str; 3] = ["hw.rs", "fault.rs", "oom.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What knows the processor is in `arch`, and named in `mm/mod.rs` alone.
#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_machine_independent_part_has_no_machine_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mm");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    assert!(files.len() > 40, "the sources are there");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        if GLUE.contains(&name) || file == folder.join("mod.rs") || file == folder.join("tests.rs")
        {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for forbidden in ["asm!", "core::arch", "crate::arch", "x86", "invlpg"] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", file.display());
        }
    }
}
