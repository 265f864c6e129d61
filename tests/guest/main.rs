//! Integration tests: a guest is booted on the machine that `FERRIX_MACHINE` names, and driven as a user would.
//!
//! One module a subject, each with its list of trials. They run one after the other: a guest has
//! several threads, and figures like the idle cost want a quiet machine.

mod bad_input;
mod boot;
mod busybox;
mod checks;
mod cpu_events;
mod cpu_models;
mod cpu_qmp;
mod cpu_ways;
mod crowd;
mod debugger;
mod disk;
mod firecracker;
mod gdb;
mod hostile;
mod idle;
mod ipc;
mod isolation;
mod kernel;
mod limits;
mod linux;
mod locks;
mod memory;
mod paging;
mod passes;
mod pointers;
mod power;
mod processes;
mod q35;
mod qemu;
mod scheduling;
mod serial;
mod sqlite;
mod terminal;
mod threads;
mod trace;
mod trial;

use std::process::ExitCode;

use ferrix_tests::Machine;
use libtest_mimic::{Arguments, Trial, run};

/// Names tests that need not run again, when a run goes on where another broke off.
const DONE: &str = "FERRIX_DONE";

fn main() -> ExitCode {
    match Machine::chosen() {
        Ok(Some(_)) => tests(),
        // `scripts/test` runs the other tests so, with a plain `cargo test`.
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tests() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let trials = [
        boot::trials(),
        terminal::trials(),
        threads::trials(),
        trace::trials(),
        disk::trials(),
        processes::trials(),
        scheduling::trials(),
        isolation::trials(),
        kernel::trials(),
        linux::trials(),
        checks::trials(),
        hostile::trials(),
        crowd::trials(),
        limits::trials(),
        memory::trials(),
        paging::trials(),
        locks::trials(),
        ipc::trials(),
        sqlite::trials(),
        busybox::trials(),
        pointers::trials(),
        idle::trials(),
        debugger::trials(),
        gdb::trials(),
        bad_input::trials(),
        qemu::trials(),
        serial::trials(),
        power::trials(),
        firecracker::trials(),
        q35::trials(),
        cpu_ways::trials(),
        cpu_events::trials(),
        cpu_models::trials(),
    ];
    let done = std::env::var(DONE).unwrap_or_default();
    let is_left = |trial: &Trial| done.split(' ').all(|name| name != trial.name());
    let trials = trials.into_iter().flatten().filter(is_left).collect();
    run(&arguments, trials).exit_code()
}
