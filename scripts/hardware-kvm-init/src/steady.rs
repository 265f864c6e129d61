//! Keeps the machine's kernel from rewriting its own code while both CPUs run it.
//!
//! KVM has branches that are patched into the kernel's code (static keys): one in the scheduler's switch of
//! threads, taken while any virtual machine exists, and one in the local APIC's emulation, taken while any APIC
//! is switched off by software. Each monitor that starts or ends flips them. An emulator that translates a
//! page on one CPU while the other one writes to it may keep the breakpoint that stands there during the
//! change for good (QEMU 7.2 does): whoever runs into it never leaves the breakpoint's handler, with
//! interrupts off, and the machine stops. A virtual machine that exists all the time keeps both as they are.

use anyhow::{Context, Result};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

/// A virtual machine that never runs: its CPU's APIC stays switched off.
pub struct Steady {
    _cpu: VcpuFd,
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
        let cpu = machine.create_vcpu(0).context("making its CPU")?;
        Ok(Self {
            _cpu: cpu,
            _machine: machine,
        })
    }
}
