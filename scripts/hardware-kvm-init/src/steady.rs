//! Keeps the machine's kernel from rewriting its own code while both CPUs run it.
//!
//! KVM has branches that are patched into the kernel's code (static keys): one in the scheduler's switch of
//! threads, taken while any virtual machine exists, and two in the local APIC's emulation, taken while any APIC
//! is switched off, by software or as a whole. Each monitor that starts or ends flips the first two, a guest that
//! switches its APIC off the third. An emulator that translates a
//! page on one CPU while the other one writes to it may keep the breakpoint that stands there during the
//! change for good (QEMU 7.2 does): whoever runs into it never leaves the breakpoint's handler, with
//! interrupts off, and the machine stops. A virtual machine that exists all the time keeps all three as they are.

use anyhow::{Context, Result};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

/// `IA32_APIC_BASE`: the APIC is on (Intel SDM, volume 3, section 11.4.4).
const APIC_ENABLED: u64 = 1 << 11;

/// A virtual machine that never runs: its CPUs' APICs stay switched off, the second's as a whole.
pub struct Steady {
    _cpus: [VcpuFd; 2],
    _machine: VmFd,
}

impl Steady {
    /// Makes the machine.
    pub fn hold() -> Result<Self> {
        let machine = Kvm::new()
            .and_then(|kvm| kvm.create_vm())
            .context("making a virtual machine on /dev/kvm")?;
        machine
            .create_irq_chip()
            .context("making its interrupt controllers")?;
        let cpu = |number| machine.create_vcpu(number).context("making its CPUs");
        let cpus = [cpu(0)?, cpu(1)?];
        let mut registers = cpus[1].get_sregs()?;
        registers.apic_base &= !APIC_ENABLED;
        cpus[1]
            .set_sregs(&registers)
            .context("switching an APIC off")?;
        Ok(Self {
            _cpus: cpus,
            _machine: machine,
        })
    }
}
