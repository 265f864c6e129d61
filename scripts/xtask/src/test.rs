//! Runs every test: the host's own, then the guest tests on every machine that there is. Closes with the table
//! test × machine, what failed and why, and one line that counts.

mod failures;
mod machine;
mod output;
mod program;
mod request;
mod run;
mod stops;
mod table;

use crate::{cargo, fuzz};
use anyhow::{Context, Result};
use failures::Failures;
use machine::Machine;
use output::Count;
use program::Program;
use request::{Extent, Request};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use table::Table;

/// Where the table goes, beside standard output.
const TABLE: &str = "target/test-table.md";

/// How long each fuzzer runs.
const FUZZ_SECONDS: u32 = 20;

/// `test [--quick | --long] [--machine NAME]… [--update-docs] [filter and options of the test programs]`.
pub fn all(arguments: &[String]) -> Result<ExitCode> {
    let request = Request::parse(arguments)?;
    let mut count = Count::default();
    let mut failures = Failures::default();
    if request.with_host {
        count.add(host(&request, &mut failures)?);
        if request.extent == Extent::Long {
            count.add(fuzzers());
        }
    }
    let table = guests(&request, &mut failures)?;
    count.add(table.count());
    fs::write(TABLE, table.markdown()).context(TABLE)?;
    if request.update_docs {
        table::into_document(&table, Path::new("docs/kvm.md"))?;
    }
    println!("\n{}", table.text());
    println!("{failures}{count}");
    Ok(match count.is_success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}

/// All but the guest tests.
fn host(request: &Request, failures: &mut Failures) -> Result<Count> {
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast", "--"])
        .args(&request.rest)
        .env(machine::VARIABLE, "none");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo test")?;
    let mut count = Count::default();
    let mut said = Failures::default();
    for line in BufReader::new(child.stdout.take().context("cargo's output")?).lines() {
        let line = line?;
        println!("{line}");
        count.add(Count::of_summary(&line));
        said.line(&line);
    }
    failures.add(said.at("host"));
    // A program that does not compile, or that dies, has no closing line of its own.
    if !child.wait()?.success() && count.failed == 0 {
        count.failed = 1;
    }
    Ok(count)
}

/// Each fuzzer for a short time. Without their tools they are skipped.
fn fuzzers() -> Count {
    let mut count = Count::default();
    if let Some(missing) = fuzz::lacking() {
        println!("\nfuzzers: missing: {missing}");
        count.skipped = fuzz::TARGETS.len() as u64;
        return count;
    }
    for target in fuzz::TARGETS {
        match fuzz::run(target, FUZZ_SECONDS) {
            Ok(()) => count.passed += 1,
            Err(error) => {
                println!("fuzzer {target}: FAILED: {error:#}");
                count.failed += 1;
            }
        }
    }
    count
}

/// One column a machine.
fn guests(request: &Request, failures: &mut Failures) -> Result<Table> {
    let program = Program::build(request)?;
    let mut table = Table::new(program.names()?);
    for &machine in &request.machines {
        let title = machine.title();
        let column = match machine.lacking()? {
            Some(reason) => {
                println!("\n{}: missing: {reason}", machine.name());
                let demanded = request.demanded.then_some(&reason);
                program.missing(machine, &reason, demanded.is_some())?
            }
            None => {
                println!("\n{}: {title}", machine.name());
                program.run(machine, failures)?
            }
        };
        table.push(title, column);
    }
    Ok(table)
}

/// All machines, in the order of their columns.
const MACHINES: [Machine; 3] = [Machine::Kvm, Machine::Hardware, Machine::Qemu];
