//! What fuzzers begin with, made by the code that reads it: requests that a driver sends, files that people have,
//! packets of gdb.

pub mod devices;
pub mod kernels;
pub mod texts;

use std::fs;
use std::io;
use std::path::Path;

use crate::TARGETS;

/// Writes each target's seeds into `folder/TARGET/NUMBER`.
pub fn write(folder: &Path) -> io::Result<()> {
    for target in &TARGETS {
        let place = folder.join(target.name);
        fs::create_dir_all(&place)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(place.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
