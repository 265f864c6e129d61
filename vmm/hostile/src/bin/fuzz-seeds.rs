//! `fuzz-seeds FOLDER` writes the fuzzers' first inputs: FOLDER/TARGET/seed-N.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("fuzz-seeds: name the folder to write to: fuzz-seeds FOLDER");
        return ExitCode::from(2);
    };
    match vmm_hostile::seeds::write(folder.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = folder.display();
            eprintln!("fuzz-seeds: cannot write to {folder}: {error}; name a folder of your own");
            ExitCode::from(1)
        }
    }
}
