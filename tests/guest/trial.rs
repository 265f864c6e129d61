//! On which machines a test makes sense. Where it does not run, the reason stands in its line, and in the
//! table of `scripts/test`.

use anyhow::{Error, Result};
use ferrix_tests::host::Need;
use ferrix_tests::{Machine, extent};
use libtest_mimic::{Failed, Trial};

/// A test of the kernel, the servers or the programs: it runs on every machine.
pub fn everywhere(name: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let name = name.to_string();
    let called = name.clone();
    let body = move || test().map_err(|error| failed(&called, &error));
    let trial = Trial::test(name, body);
    match machine().lacking() {
        None => trial,
        Some(reason) => left_out(trial, &format!("missing: {reason}")),
    }
}

/// Tells it at once as well: the machine that the tests run in may stop before their program comes to its end.
fn failed(name: &str, error: &Error) -> Failed {
    let words = format!("{error:#}");
    println!("\nfailure of {name}\n{words}\nend of failure");
    Failed::from(words)
}

/// A test of our monitor, on every KVM; `why` QEMU is no machine for it.
pub fn on_monitor(
    name: &str,
    why: &str,
    test: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    except(everywhere(name, test), Machine::Qemu, why)
}

/// A test that only QEMU can run; `why` the monitor is no machine for it.
pub fn on_qemu(name: &str, why: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let trial = except(everywhere(name, test), Machine::Kvm, why);
    except(trial, Machine::Hardware, why)
}

/// The trial, but not on `machine`, for this reason.
pub fn except(trial: Trial, without: Machine, reason: &str) -> Trial {
    match machine() == without {
        true => left_out(trial, &format!("-: {reason}")),
        false => trial,
    }
}

/// The trial, which also needs these things of the host.
pub fn needs(trial: Trial, needs: &[Need]) -> Trial {
    match needs.iter().find_map(|need| need.lacking()) {
        Some(reason) => left_out(trial, &format!("missing: {reason}")),
        None => trial,
    }
}

/// The trial, which takes so long that `--quick` does without it.
pub fn slow(trial: Trial) -> Trial {
    match extent::is_quick() {
        true => left_out(trial, "slow: left out by --quick"),
        false => trial,
    }
}

/// The trial, which takes so long that only `--long` has it.
pub fn long(trial: Trial) -> Trial {
    match extent::is_long() {
        true => trial,
        false => left_out(trial, "slow: for --long"),
    }
}

/// The first reason is the one that is shown; that it makes no sense comes before that it cannot be done.
fn left_out(trial: Trial, reason: &str) -> Trial {
    match trial.has_ignored_flag() && !reason.starts_with('-') {
        true => trial,
        false => trial.with_kind(reason).with_ignored_flag(true),
    }
}

/// Checked by `main` before any trial is made.
fn machine() -> Machine {
    Machine::current().unwrap_or(Machine::Kvm)
}
