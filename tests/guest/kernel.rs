//! The kernel's own tests, `guest-servers/ktest`, in its place as the only program of a machine.

use std::time::{Duration, SystemTime};

use crate::trial::{everywhere, on_qemu, slow};
use anyhow::{Context, Result, ensure};
use ferrix_tests::{Ending, Firmware, Guest, Machine, Options, Wiring};
use libtest_mimic::Trial;

/// For all of them, beside other work of the machine.
const SUITE_TIME: Duration = Duration::from_secs(240);

pub fn trials() -> Vec<Trial> {
    let suite = |options: Options| move || run(options);
    let tests = Options::kernel_tests;
    vec![
        everywhere("kernel::suite_one_cpu", suite(tests())),
        slow(everywhere(
            "kernel::suite_four_cpus",
            suite(tests().cpus(4)),
        )),
        everywhere(
            "kernel::inversion_without_inheritance",
            suite(tests().append("only=inheritance inheritance=off")),
        ),
        on_qemu(
            "kernel::suite_without_acpi",
            "the monitor's machine always has ACPI",
            suite(tests().firmware(Firmware::CommandLine)),
        ),
        slow(everywhere("kernel::stress", stress)),
        slow(everywhere("kernel::lock_discipline", lock_discipline)),
        everywhere("kernel::lock_faults", lock_faults),
    ]
}

fn run(options: Options) -> Result<()> {
    let options = options.append("check=tables");
    let ending = Guest::launch(&options, Wiring::Script)?.wait(SUITE_TIME)?;
    all_passed(&ending)?;
    // At the end the kernel has looked through its page tables, and found nothing wrong.
    let checked = ending.log.contains("tables: ");
    ensure!(checked, "{}", ending.wrong("no look at the page tables"));
    ending.must_be(0)
}

/// On a kernel that ends the machine at the first lock that could make two CPUs wait for each other. Where each of its
/// instructions is emulated it has time for the tests by chance only.
fn lock_discipline() -> Result<()> {
    let emulated = Machine::current()? == Machine::Kvm;
    let words = if emulated {
        "only=stress::page_ranges"
    } else {
        ""
    };
    let options = Options::lock_tests().cpus(4).append(words);
    let ending = Guest::launch(&options, Wiring::Script)?.wait(SUITE_TIME)?;
    all_passed(&ending)?;
    let faultless = ending.log.contains("lock discipline: ") && ending.log.contains(", no fault\n");
    ensure!(faultless, "{}", ending.wrong("no word on lock discipline"));
    ending.must_be(0)
}

/// It finds what is wrong on purpose, and says where.
fn lock_faults() -> Result<()> {
    let place = "guest-kernel/src/sync/lockdep/provoke.rs:";
    let faults = [
        ("order", format!(" was taken at {place}")),
        ("class", format!("of the class that was taken at {place}")),
        (
            "switch",
            format!("gives up its CPU while the lock of {place}"),
        ),
    ];
    for (fault, message) in faults {
        let options = Options::lock_tests().append(&format!("lockdep={fault}"));
        let ending = Guest::launch(&options, Wiring::Script)?.wait(SUITE_TIME)?;
        let found = ending.log.contains("kernel panic on CPU 0") && ending.log.contains(&message);
        ensure!(found, "{}", ending.wrong(&format!("{fault}: no {message}")));
    }
    Ok(())
}

/// The log says so itself, whatever becomes of the status.
fn all_passed(ending: &Ending) -> Result<()> {
    let passed = ending.log.contains(" tests, 0 failed\n");
    ensure!(
        passed,
        "{}",
        ending.wrong("a test of the kernel failed: see the lines with FAILED")
    );
    Ok(())
}

/// Another seed each time. It is in the log, and in the failure: `--append "only=stress seed=N"` repeats it.
fn stress() -> Result<()> {
    let since = SystemTime::UNIX_EPOCH.elapsed()?;
    let seed = u64::from(since.subsec_nanos()) << 16 | since.as_secs() & 0xffff;
    let words = format!("only=stress rounds=2 seed={seed}");
    run(Options::kernel_tests().cpus(4).append(&words)).with_context(|| format!("seed={seed}"))
}
