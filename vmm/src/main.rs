//! The `vmm` command. Everything is in the library; this file turns results into a status.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use vmm::cli::{Cli, Command, RunOptions};
use vmm::error::VmmError;
use vmm::status::ExitStatus;

fn main() -> ExitCode {
    let start = Instant::now();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Clap's own messages; `--help` and `--version` are no errors.
            let _ = error.print();
            let status = error.use_stderr().then_some(ExitStatus::Usage);
            return code(status.unwrap_or(ExitStatus::Guest(0)));
        }
    };
    let done = match &command {
        Command::Run(options) => run(options, start),
        Command::Check(options) => check(options),
        Command::Info => info(),
    };
    match done {
        Ok(status) => code(status),
        Err(error) => {
            complain(&error);
            code(error.status())
        }
    }
}

fn run(options: &RunOptions, start: Instant) -> Result<ExitStatus, VmmError> {
    vmm::logger::init(options.log_level.unwrap_or(log::LevelFilter::Warn));
    vmm::run::run(options, start)
}

/// The status is that of the first problem, as a run's would be.
fn check(options: &RunOptions) -> Result<ExitStatus, VmmError> {
    let findings = vmm::check::check(options)?;
    print!("{}", findings.plan);
    findings.problems.iter().for_each(complain);
    let first = findings.problems.first();
    Ok(first.map_or(ExitStatus::Guest(0), VmmError::status))
}

fn info() -> Result<ExitStatus, VmmError> {
    print!("{}", vmm::info::report()?);
    Ok(ExitStatus::Guest(0))
}

/// Each layer's message already holds its cause.
fn complain(error: &VmmError) {
    eprintln!("vmm: {error}");
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code())
}
