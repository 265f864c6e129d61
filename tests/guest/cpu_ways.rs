//! Each thing that the kernel does in more than one way, by what the processor offers, done in every way that
//! this machine has: `without=FEATURE` on the command line takes the better one away.

use std::time::Duration;

use crate::trial::{everywhere, on_qemu, slow};
use anyhow::{Context, Result, ensure};
use ferrix_tests::host;
use ferrix_tests::{Disk, Guest, Options, Wiring};
use libtest_mimic::Trial;

const SUITE_TIME: Duration = Duration::from_secs(60);
const END_TIME: Duration = Duration::from_secs(20);

/// What to do without, and which of the kernel's tests notice.
const WAYS: [(&str, &str); 9] = [
    ("X2APIC", "time::"),
    ("TSC_DEADLINE", "time::"),
    ("X2APIC,TSC_DEADLINE", "time::"),
    ("XSAVEOPT", "cpu::"),
    ("XSAVE", "cpu::"),
    ("FSGSBASE", "bases"),
    ("SMAP", "pointers::"),
    ("SMEP,UMIP", "traps::"),
    ("PGE", "maps::"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = WAYS
        .into_iter()
        .map(|(without, only)| {
            let name = format!(
                "cpu_ways::without_{}",
                without.to_lowercase().replace(',', "_")
            );
            slow(everywhere(&name, move || kernel_tests(without, only)))
        })
        .collect();
    trials.push(everywhere(
        "cpu_ways::signals_keep_registers",
        signals_keep_registers,
    ));
    let enough = "the monitor's tests do with little memory";
    trials.push(slow(on_qemu("cpu_ways::large_pages", enough, large_pages)));
    trials
}

fn passed(options: &Options) -> Result<()> {
    let ending = Guest::launch(options, Wiring::Script)?.wait(SUITE_TIME)?;
    ensure!(
        ending.log.contains(" tests, 0 failed\n"),
        "{}",
        ending.wrong("a test of the kernel failed: see the lines with FAILED")
    );
    ending.must_be(0)
}

fn kernel_tests(without: &str, only: &str) -> Result<()> {
    let words = format!("without={without} only={only}");
    passed(&Options::kernel_tests().cpus(2).append(&words))
}

/// The program is `guest-servers/programs/src/bin/registers.rs`.
fn signals_keep_registers() -> Result<()> {
    let disk = Disk::copy()?;
    let program = host::built("x86_64-unknown-linux-musl/programs/registers")?;
    for request in [
        format!("write {} /bin/registers", program.display()),
        "sif /bin/registers mode 0100755".into(),
    ] {
        host::output(
            host::tool("debugfs")
                .args(["-w", "-R", &request])
                .arg(disk.path()),
        )?;
    }
    let options = Options::new().disk(&disk).command("registers");
    let ending = Guest::launch(&options, Wiring::Script)?.wait(END_TIME)?;
    ensure!(
        ending.screen.contains(" bytes"),
        "{}",
        ending.wrong("a handler changed what it interrupted")
    );
    ending.must_be(0)
}

/// RAM beyond the first GiB, by pages of 1 GiB and of 2 MiB; the last GiB is not whole.
fn large_pages() -> Result<()> {
    for (cpu, memory) in [("max", 2560), ("max,-pdpe1gb", 2560), ("max", 5000)] {
        let options = Options::kernel_tests()
            .memory(memory)
            .append("only=maps::")
            .qemu(&["-cpu", cpu]);
        passed(&options).with_context(|| format!("-cpu {cpu}, {memory} MiB"))?;
    }
    Ok(())
}
