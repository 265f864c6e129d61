//! What a machine reports of itself: NMIs, which can come at any instruction, and machine checks.

use std::time::{Duration, Instant};

use crate::cpu_qmp::Qmp;
use crate::trial::on_qemu;
use anyhow::{Result, ensure};
use ferrix_tests::{Disk, Guest, Machine, Options, Wiring, disk};
use libtest_mimic::Trial;

const WHY: &str = "the monitor cannot inject it";
/// For the kernel's tests, interrupted all the time.
const SUITE_TIME: Duration = Duration::from_secs(60);
const LOG_TIME: Duration = Duration::from_secs(5);

/// Bits of a bank's status (Intel SDM volume 3, 16.3.2.2).
mod status {
    pub const VALID: u64 = 1 << 63;
    pub const UNCORRECTED: u64 = 1 << 61;
    pub const ENABLED: u64 = 1 << 60;
    pub const HAS_ADDRESS: u64 = 1 << 58;
    pub const CONTEXT_CORRUPT: u64 = 1 << 57;
    pub const SIGNALLED: u64 = 1 << 56;
    pub const ACTION_REQUIRED: u64 = 1 << 55;
}
/// Of the global status: the program can go on, its RIP is that of the error, a check is in progress.
const RESTARTABLE: u64 = 7;
const NOT_RESTARTABLE: u64 = 4;

pub fn trials() -> Vec<Trial> {
    vec![
        on_qemu("cpu_events::nmi_at_any_instruction", WHY, nmi_storm),
        on_qemu("cpu_events::nmi_says_where_each_cpu_is", WHY, nmi_answers),
        on_qemu("cpu_events::fatal_machine_check", WHY, fatal),
        on_qemu("cpu_events::corrected_error", WHY, corrected),
        on_qemu("cpu_events::machine_check_of_a_program", WHY, of_a_program),
    ]
}

/// Runs `body` with a guest at its prompt and QEMU's monitor.
fn at_prompt(cpus: u32, body: impl FnOnce(Guest, Qmp) -> Result<()>) -> Result<()> {
    let disk = Disk::copy()?;
    let folder = disk::folder()?;
    let socket = folder.path().join("qmp");
    let options = Qmp::listening(Options::new().cpus(cpus), &socket);
    let guest = Guest::at_prompt(&disk, options)?;
    body(guest, Qmp::connect(&socket)?)
}

/// NMIs as fast as QEMU takes them, on all CPUs, during all of the kernel's tests.
fn nmi_storm() -> Result<()> {
    let folder = disk::folder()?;
    let socket = folder.path().join("qmp");
    let options = Qmp::listening(Options::kernel_tests().cpus(2), &socket);
    let mut guest = Guest::launch(&options, Wiring::Script)?;
    guest.expect_log("ktest: ", LOG_TIME)?;
    let mut qmp = Qmp::connect(&socket)?;
    let storm = std::thread::spawn(move || {
        let mut count = 0;
        while qmp.command("nmi").is_ok() {
            count += 1;
        }
        count
    });
    let ending = guest.wait(SUITE_TIME)?;
    let count = storm.join().unwrap_or(0);
    let good = ending.log.contains(" tests, 0 failed\n") && ending.log.contains("NMI on CPU 1");
    ensure!(
        good,
        "{}",
        ending.wrong("the kernel's tests failed under NMIs")
    );
    ensure!(count > 100, "only {count} NMIs came");
    ending.must_be(0)
}

/// All CPUs answer, though most find another one at the log.
fn nmi_answers() -> Result<()> {
    const CPUS: u32 = 8;
    at_prompt(CPUS, |mut guest, mut qmp| {
        qmp.command("nmi")?;
        // The handlers may answer in any order.
        for _ in 0..CPUS {
            guest.expect_log("NMI on CPU ", LOG_TIME)?;
        }
        guest.check("echo fine", "fine\n")?;
        guest.power_off(0).map(drop)
    })
}

fn check(bank: u32, status: u64, global: u64) -> String {
    format!("mce 0 {bank} {status:#x} {global:#x} 0x123000 0")
}

/// The processor's state is lost: so is the machine.
fn fatal() -> Result<()> {
    use status::*;
    at_prompt(1, |mut guest, mut qmp| {
        let lost = VALID | UNCORRECTED | ENABLED | CONTEXT_CORRUPT;
        // The machine may end before QEMU has answered; what it says then is looked at below.
        let _ = qmp.command(&check(1, lost, NOT_RESTARTABLE));
        guest.expect_log("machine check on CPU 0: uncorrected, bank 1", LOG_TIME)?;
        guest.expect_log("kernel panic on CPU 0", LOG_TIME)?;
        let ending = guest.wait(LOG_TIME)?;
        ensure!(
            !ending.status.success(),
            "{}",
            ending.wrong("a panic is no success")
        );
        Ok(())
    })
}

/// Nothing interrupts for what the hardware corrected: the next NMI's answer tells of it.
fn corrected() -> Result<()> {
    use status::*;
    at_prompt(1, |mut guest, mut qmp| {
        qmp.command(&check(2, VALID | ENABLED | HAS_ADDRESS, 0))?;
        qmp.command("nmi")?;
        let told = "machine check on CPU 0: corrected, bank 2";
        guest.expect_log(told, LOG_TIME)?;
        guest.expect_log("address 0x123000", LOG_TIME)?;
        guest.check("echo fine", "fine\n")?;
        guest.power_off(0).map(drop)
    })
}

/// Stops the CPU where one and the same program ran at several looks: an error found in the kernel is fatal.
fn stop_in_busy_program(qmp: &mut Qmp) -> Result<()> {
    const LOOKS: usize = 5;
    /// Servers work for less than that on what a program asks for.
    const APART: Duration = Duration::from_millis(40);
    let deadline = Instant::now() + Machine::Qemu.limit(LOG_TIME);
    let mut spaces: Vec<String> = Vec::new();
    loop {
        qmp.command("stop")?;
        let registers = qmp.ask("info registers")?;
        let word = |name: &str| registers.split_once(name).map(|(_, rest)| &rest[..16]);
        match (registers.contains("CPL=3"), word("CR3=")) {
            (true, Some(space)) if spaces.iter().all(|other| other == space) => {
                spaces.push(space.into())
            }
            _ => spaces.clear(),
        }
        if spaces.len() == LOOKS {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no program is busy: {registers}");
        qmp.command("cont")?;
        std::thread::sleep(APART);
    }
}

/// An error in what a program uses ends the program, and nothing else.
fn of_a_program() -> Result<()> {
    use status::*;
    at_prompt(1, |mut guest, mut qmp| {
        guest.send_line("sh -c 'echo bu''sy; while :; do :; done'")?;
        guest.expect("busy", LOG_TIME)?;
        let own = VALID | UNCORRECTED | ENABLED | HAS_ADDRESS | SIGNALLED | ACTION_REQUIRED;
        // The first SIGBUS is caught by the shell's library, which looks whether the stack overflowed, puts the
        // default back, and expects the error again.
        for _ in 0..2 {
            stop_in_busy_program(&mut qmp)?;
            qmp.command(&check(0, own, RESTARTABLE))?;
            qmp.command("cont")?;
            guest.expect_log("machine check on CPU 0: uncorrected, bank 0", LOG_TIME)?;
        }
        guest.expect(ferrix_tests::PROMPT, LOG_TIME)?;
        // 128 + SIGBUS.
        guest.check("echo $?", "135\n")?;
        guest.power_off(0).map(drop)
    })
}
