//! `hardware-kvm [--cpus N] [--memory SIZE] COMMAND…`: runs a command in a machine that has what users
//! have: a `/dev/kvm` of hardware (docs/kvm.md says why and how).
//!
//! QEMU emulates a CPU with SVM, Debian's cloud kernel runs on it, and the host's files are the machine's
//! files. [`kit`] makes ready what is booted, [`machine`] boots it, [`session`] carries the command.

mod initramfs;
mod kernel_modules;
pub mod kit;
mod machine;
mod options;
mod overseer;
pub mod packages;
mod session;
mod terminal;
mod virtiofsd;

use anyhow::{Result, bail};
use options::{Options, USAGE};
use std::process::ExitCode;

/// Our own failures, apart from every status that a command commonly has.
pub const FAILURE: u8 = 125;

/// Machines that are started until one comes up.
const ATTEMPTS: u32 = 3;

/// Runs the command; its status is ours, 128 + N if signal N killed it.
pub fn main(arguments: &[String]) -> ExitCode {
    let status = match Options::parse(arguments) {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            print!("{USAGE}");
            Ok(0)
        }
        Err(error) => Err(error),
    };
    ExitCode::from(status.unwrap_or_else(|error| {
        eprintln!("hardware-kvm: {error:#}");
        FAILURE
    }))
}

fn run(options: &Options) -> Result<u8> {
    let kit = kit::prepare()?;
    // Rarely, the emulated computer stops in its own start (docs/kvm.md). Nothing of the command has run
    // then, so another one may try.
    for _ in 0..ATTEMPTS {
        let machine = machine::boot(&kit, options)?;
        if session::is_up(&machine)? {
            return session::run(machine, &options.command);
        }
        eprintln!(
            "hardware-kvm: the machine is not up in time; {}; {}",
            machine.state(),
            machine.last_words()
        );
    }
    bail!("no machine of {ATTEMPTS} came up: is the host busy, or short of memory?")
}
