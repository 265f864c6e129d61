//! `compare-boot [--runs N]`: seconds from the start of a monitor's process to the prompt on its console,
//! for Ferrix and for Debian's cloud kernel with busybox, on the same machine with the same memory.
//!
//! The systems take turns, so that other work of the host meets all alike; the first round is not
//! counted, it brings files into memory. [`systems`] has the command lines, [`linux`] the other kernel.

mod linux;
mod statistics;
mod systems;
mod watch;

use crate::image::copy_sparse;
use anyhow::{Context, Result, bail};
use linux::Linux;
use statistics::Times;
use std::path::Path;
use systems::{Host, System};

const RUNS: usize = 5;

/// Prints a Markdown table.
pub fn main(arguments: &[String]) -> Result<()> {
    let runs = match arguments {
        [] => RUNS,
        [option, number] if option == "--runs" => number.parse().context("--runs")?,
        _ => bail!("usage: compare-boot [--runs N]"),
    };
    let host = Host::here();
    let linux = linux::prepare()?;
    let systems = systems::all(host);
    let mut times: Vec<Times> = systems.iter().map(|_| Times::default()).collect();
    for round in 0..=runs {
        for (system, times) in systems.iter().zip(&mut times) {
            if times.failure.is_some() {
                continue;
            }
            let outcome = boot(system, &linux);
            eprintln!(
                "round {round} of {runs}, {} on {}: {outcome:.3?}",
                system.name, system.monitor
            );
            match outcome {
                Ok(_) if round == 0 => {}
                Ok(time) => times.seconds.push(time),
                Err(error) => times.failure = Some(format!("{error:#}")),
            }
        }
    }
    print_table(host, &systems, &times);
    Ok(())
}

/// One boot to the prompt, in seconds; Ferrix on a fresh copy of its disk.
fn boot(system: &System, linux: &Linux) -> Result<f64> {
    let folder = tempfile::Builder::new()
        .prefix("compare-")
        .tempdir_in("target")?;
    let disk = folder.path().join("disk.img");
    if system.has_disk {
        copy_sparse(Path::new("target/image/root.img"), &disk)?;
    }
    watch::until(system.prompt, (system.command)(linux, &disk))
}

fn print_table(host: Host, systems: &[System], times: &[Times]) {
    println!("{}, seconds to the prompt\n", host.describe());
    println!("| system | on | median | least to most | times Ferrix on the monitor |");
    println!("|---|---|---|---|---|");
    let ferrix = times.first().and_then(Times::median);
    for (system, times) in systems.iter().zip(times) {
        println!(
            "| {} | {} | {} |",
            system.name,
            system.monitor,
            times.cells(ferrix)
        );
    }
}
