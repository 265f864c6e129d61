//! The `vmm` command. Everything is in the library; this file turns results into a status.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use vmm::cli::{Cli, Command};
use vmm::status::ExitStatus;

fn main() -> ExitCode {
    let start = Instant::now();
    let Command::Run(options) = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Clap's own messages; `--help` and `--version` are no errors.
            let _ = error.print();
            let usage = error.use_stderr();
            return code(if usage {
                ExitStatus::Usage
            } else {
                ExitStatus::Guest(0)
            });
        }
    };
    vmm::logger::init(options.log_level.unwrap_or(log::LevelFilter::Warn));
    match vmm::run::run(&options, start) {
        Ok(status) => code(status),
        Err(error) => {
            let status = error.status();
            // Each layer's message already holds its cause.
            eprintln!("vmm: {error}");
            code(status)
        }
    }
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code())
}
