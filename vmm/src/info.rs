//! `vmm info`: what this host's KVM offers.

use std::fmt::{self, Write};

use kvm_ioctls::Cap;

use crate::kvm::cpuid::Kernels;
use crate::kvm::{KvmError, REQUIRED, System};

/// What is used where it is offered, and for what.
const USED: [(Cap, &str, &str); 5] = [
    (
        Cap::TscDeadlineTimer,
        "KVM_CAP_TSC_DEADLINE_TIMER",
        "timer interrupts without an exit",
    ),
    (
        Cap::GetTscKhz,
        "KVM_CAP_GET_TSC_KHZ",
        "no calibration of clocks",
    ),
    (
        Cap::SetGuestDebug,
        "KVM_CAP_SET_GUEST_DEBUG",
        "breakpoints and steps for gdb",
    ),
    (
        Cap::DebugHwBps,
        "KVM_CAP_GUEST_DEBUG_HW_BPS",
        "hardware breakpoints and watchpoints for gdb",
    ),
    (
        Cap::VcpuEvents,
        "KVM_CAP_VCPU_EVENTS",
        "breakpoints where kernels are emulated",
    ),
];

/// The report, a line a fact.
pub fn report() -> Result<String, KvmError> {
    let system = System::open()?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, &system);
    Ok(text)
}

fn write(text: &mut String, system: &System) -> fmt::Result {
    writeln!(text, "/dev/kvm: API version {}", crate::kvm::API_VERSION)?;
    writeln!(text, "machine: {}", machine(system.kernels()))?;
    writeln!(text, "CPUs of a guest: at most {}", system.most_cpus())?;
    for (cap, name) in REQUIRED {
        line(text, system, cap, name, "required")?;
    }
    for (cap, name, purpose) in USED {
        line(text, system, cap, name, purpose)?;
    }
    Ok(())
}

/// The letters are those of `docs/kvm.md`.
fn machine(kernels: Option<Kernels>) -> &'static str {
    match kernels {
        Some(Kernels::Native) => "A, hardware KVM: kernels run on the processor",
        Some(Kernels::Emulated) => {
            "B, KVM without hardware virtualization: each instruction of a kernel is emulated; Linux does not boot"
        }
        None => "unknown: KVM lists no CPUID leaves",
    }
}

fn line(text: &mut String, system: &System, cap: Cap, name: &str, purpose: &str) -> fmt::Result {
    let offered = match system.offers(cap) {
        true => "yes",
        false => "no",
    };
    writeln!(text, "{name:<28} {offered:<4} {purpose}")
}
