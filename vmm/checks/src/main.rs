//! Checks of a machine from the outside: what a kernel finds when it is booted there.
//!
//! One PVH program that runs named checks one after the other, each against the specification that
//! it names, and prints a line for each. It knows nothing of Ferrix's kernel, so it can judge the
//! monitor and QEMU alike. See `README.md` for its command line.
//!
//! [`arch`] owns the processor, [`checks`] holds the checks by subject, [`end`] the ways to end; [`hostile`] is the
//! opposite of a check.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod acpi;
mod apic;
#[expect(
    unsafe_code,
    reason = "entry code, traps, instructions, physical memory"
)]
mod arch;
mod checks;
mod clock;
mod end;
mod hostile;
mod info;
mod ioapic;
mod pit;
mod uart;
mod verdict;
mod virtio;

use arch::{cpu, trap};
use checks::Check;
use info::StartInfo;
use verdict::Stop;

/// What every check may look at.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The start information.
    pub info: StartInfo,
    /// The command line.
    pub line: &'static str,
}

/// First Rust code of the boot CPU.
extern "C" fn boot_cpu() -> ! {
    uart::init();
    trap::init();
    cpu::write_msr(cpu::Msr::GS_BASE, 0);
    let info = StartInfo::find();
    let machine = Machine {
        info,
        line: info.command_line().1.unwrap_or(""),
    };
    pit::mask_pics();
    apic::init_cpu();
    clock::init();
    if let Some(how) = info::option(machine.line, "end") {
        end::by(how);
    }
    hostile::if_wanted(&machine);
    let failed = run_all(&machine);
    end::with(failed.min(63) as u8)
}

/// Runs the checks that the command line chooses; how many failed.
fn run_all(machine: &Machine) -> u32 {
    let only = info::option(machine.line, "only");
    let (mut ran, mut failed, mut skipped) = (0, 0, 0);
    for check in checks::all().filter(|check| only.is_none_or(|only| check.name.starts_with(only)))
    {
        ran += 1;
        match run(check, machine) {
            Ok(()) => {}
            Err(Stop::Skipped(_)) => skipped += 1,
            Err(Stop::Failed(_)) => failed += 1,
        }
    }
    if ran == 0 {
        print!("no check is named `{}`\n", only.unwrap_or(""));
        failed = 1;
    }
    print!("{ran} checks, {failed} failed, {skipped} skipped\n");
    failed
}

fn run(check: &Check, machine: &Machine) -> verdict::Verdict {
    let started = cpu::tsc();
    let mut verdict = Ok(());
    let ended = trap::guard(&mut || verdict = (check.run)(machine));
    trap::set_handler(None);
    cpu::interrupts_off();
    apic::settle();
    if let Err(exception) = ended {
        verdict = Err(exception_failure(exception));
    }
    // In one piece: the monitor may have written messages meanwhile.
    let (name, us) = (check.name, clock::micros(cpu::tsc() - started));
    match &verdict {
        Ok(()) => print!("check: {name} ok [{us} us]\n"),
        Err(Stop::Skipped(reason)) => print!("check: {name} skipped ({reason}) [{us} us]\n"),
        Err(Stop::Failed(failure)) => print!("check: {name} FAILED ({failure}) [{us} us]\n"),
    }
    verdict
}

fn exception_failure(exception: trap::Exception) -> Stop {
    let at = trap::LAST_RIP.load(core::sync::atomic::Ordering::SeqCst);
    print!(
        "exception {} (error {:#x}) at {at:#x}\n",
        exception.vector, exception.error
    );
    Stop::Failed(verdict::Failure {
        what: "exceptions",
        expected: verdict::Value::Words("none"),
        got: verdict::Value::Number(exception.vector.into()),
    })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print!("\nvmm-checks panicked: {info}\n");
    end::with(64)
}
