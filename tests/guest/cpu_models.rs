//! Processors of all kinds: the models that QEMU offers, and each feature taken away.
//!
//! What QEMU cannot emulate of a model it leaves out, and says so on standard error.

use std::time::Duration;

use crate::trial::{on_qemu, slow};
use anyhow::{Context, Result, ensure};
use ferrix_tests::{Disk, Guest, Options, Wiring};
use libtest_mimic::Trial;

const WHY: &str = "the monitor's guests have the host's processor";
const SUITE_TIME: Duration = Duration::from_secs(60);
/// For a boot to one command, and the end.
const BOOT_TIME: Duration = Duration::from_secs(15);

/// From the first 64-bit processors to all that QEMU knows.
const MODELS: [&str; 4] = ["qemu64", "EPYC", "Skylake-Server", "max"];

/// Features that the kernel or the programs use where they are, or might be thought to. x2APIC and TSC deadlines,
/// which QEMU's emulation does not have, are taken away in `cpu_ways`.
const REMOVABLE: [&str; 32] = [
    "xsave", "xsaveopt", "avx", "avx2", "fma", "f16c", "smep", "smap", "umip", "fsgsbase", "pge",
    "pse", "pse36", "pdpe1gb", "la57", "pku", "mce", "mca", "mtrr", "pat", "cx16", "popcnt",
    "sse4.2", "ssse3", "movbe", "bmi1", "bmi2", "erms", "rdrand", "rdtscp", "sep", "monitor",
];

/// Without these the kernel cannot go on; the option, and the name it gives them.
const REQUIRED: [(&str, &str); 12] = [
    ("lm", "lm"),
    ("apic", "apic"),
    ("cmov", "cmov"),
    ("sse", "sse"),
    ("nx", "nx"),
    ("syscall", "syscall"),
    ("fxsr", "fxsr"),
    ("sse2", "sse2"),
    ("tsc", "tsc"),
    ("msr", "msr"),
    ("pae", "pae"),
    ("cx8", "cx8"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = MODELS
        .into_iter()
        .map(|model| {
            let name = format!("cpu_models::{model}");
            on_qemu(&name, WHY, move || whole(model))
        })
        .collect();
    trials.push(slow(on_qemu(
        "cpu_models::max_less_each_feature",
        WHY,
        || less_each("max"),
    )));
    trials.push(slow(on_qemu(
        "cpu_models::epyc_less_each_feature",
        WHY,
        || less_each("EPYC"),
    )));
    trials.push(on_qemu(
        "cpu_models::missing_features_are_named",
        WHY,
        || REQUIRED.into_iter().try_for_each(lacking),
    ));
    trials
}

fn processor(options: Options, cpu: &str) -> Options {
    options.qemu(&["-cpu", cpu])
}

/// To the prompt and around, and all of the kernel's tests.
fn whole(model: &str) -> Result<()> {
    let disk = Disk::copy()?;
    let mut guest = Guest::at_prompt(&disk, processor(Options::new().cpus(2), model))?;
    guest.check("seq 1 100 | wc -l", "100\n")?;
    guest.check("echo kept > /home/file; cat /home/file", "kept\n")?;
    guest.power_off(0)?;
    kernel_tests(model, "")
}

fn kernel_tests(cpu: &str, words: &str) -> Result<()> {
    let options = processor(Options::kernel_tests(), cpu).append(words);
    let ending = Guest::launch(&options, Wiring::Script)?.wait(SUITE_TIME)?;
    ensure!(
        ending.log.contains(" tests, 0 failed\n"),
        "{}",
        ending.wrong("a test of the kernel failed: see the lines with FAILED")
    );
    ending.must_be(0)
}

/// One feature at a time: a boot to the first command, and the kernel's tests of the processor.
fn less_each(model: &str) -> Result<()> {
    let disk = Disk::copy()?.read_only();
    for feature in REMOVABLE {
        let cpu = format!("{model},-{feature}");
        let options = processor(Options::new().disk(&disk), &cpu).command("echo up | cat");
        let boot = || -> Result<()> {
            let ending = Guest::launch(&options, Wiring::Script)?.wait(BOOT_TIME)?;
            ensure!(
                ending.screen.contains("up"),
                "{}",
                ending.wrong("it did not come up")
            );
            ending.must_be(0)
        };
        boot().with_context(|| format!("-cpu {cpu}"))?;
        kernel_tests(&cpu, "only=cpu::").with_context(|| format!("-cpu {cpu}"))?;
    }
    Ok(())
}

/// The kernel names what is missing, instead of a reset without a word.
fn lacking((feature, name): (&str, &str)) -> Result<()> {
    let options = processor(Options::kernel_tests(), &format!("max,-{feature}"));
    let ending = Guest::launch(&options, Wiring::Script)?.wait(BOOT_TIME)?;
    let words = format!(" {name}");
    let line = ending
        .log
        .lines()
        .find(|line| line.starts_with("ferrix: the processor lacks"));
    let named = line.is_some_and(|line| line.replace(':', " ").contains(&format!("{words} ")));
    ensure!(
        named,
        "{}",
        ending.wrong(&format!("-{feature} is not named"))
    );
    Ok(())
}
