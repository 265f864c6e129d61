//! What the kernel uses of the processor, in [`KernelInfo`](crate::info::KernelInfo).

use bitflags::bitflags;

bitflags! {
    /// Features of processor and machine that change how the kernel works: those that CPUID offers, less those
    /// that the kernel's command line takes away (`without=NAME,NAME`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CpuFeatures: u32 {
        /// Global pages.
        const PGE = 1 << 0;
        /// 1 GiB pages.
        const GIGABYTE_PAGES = 1 << 1;
        /// x2APIC mode.
        const X2APIC = 1 << 2;
        /// The APIC timer takes TSC deadlines.
        const TSC_DEADLINE = 1 << 3;
        /// XSAVE.
        const XSAVE = 1 << 4;
        /// RDFSBASE and its siblings.
        const FSGSBASE = 1 << 5;
        /// Supervisor-mode execution prevention.
        const SMEP = 1 << 6;
        /// Supervisor-mode access prevention.
        const SMAP = 1 << 7;
        /// User-mode instruction prevention.
        const UMIP = 1 << 8;
        /// KVM's paravirtual clocks.
        const KVM_CLOCK = 1 << 9;
        /// The machine has Ferrix's exit and milestone ports.
        const EXIT_PORT = 1 << 10;
        /// XSAVEOPT.
        const XSAVEOPT = 1 << 11;
        /// Machine check exceptions, with banks that say why.
        const MACHINE_CHECK = 1 << 12;
        /// The monitor asks for a trace.
        const TRACE = 1 << 15;
        /// No feature, but found by trying: SYSCALL arrives as a fetch fault (docs/kvm.md, machine B).
        const SYSCALL_FAULTS = 1 << 13;
        /// Likewise: the hypervisor does not keep XCR0, so XSAVE is not used.
        const XCR0_LOST = 1 << 14;
    }
}
