//! Counters of exits by reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kvm_ioctls::{Error, VcpuExit};

/// Reasons for which a vCPU leaves the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Exit {
    /// OUT.
    IoOut,
    /// IN.
    IoIn,
    /// A write that is not to RAM.
    MmioWrite,
    /// A read that is not from RAM.
    MmioRead,
    /// HLT that reached the monitor.
    Hlt,
    /// A signal, or `immediate_exit`.
    Interrupted,
    /// A processor that waited for INIT and SIPI.
    Retry,
    /// Breakpoint or single step.
    Debug,
    /// Triple fault.
    Shutdown,
    /// KVM could not go on.
    InternalError,
    /// Anything else.
    Other,
}

const NAMES: [&str; Exit::Other as usize + 1] = [
    "io_out",
    "io_in",
    "mmio_write",
    "mmio_read",
    "hlt",
    "interrupted",
    "retry",
    "debug",
    "shutdown",
    "internal_error",
    "other",
];

impl Exit {
    /// Classifies what `KVM_RUN` returned.
    pub fn of(result: &Result<VcpuExit<'_>, Error>) -> Self {
        match result {
            Ok(VcpuExit::IoOut(..)) => Self::IoOut,
            Ok(VcpuExit::IoIn(..)) => Self::IoIn,
            Ok(VcpuExit::MmioWrite(..)) => Self::MmioWrite,
            Ok(VcpuExit::MmioRead(..)) => Self::MmioRead,
            Ok(VcpuExit::Hlt) => Self::Hlt,
            Ok(VcpuExit::Intr) => Self::Interrupted,
            Ok(VcpuExit::Debug(_)) => Self::Debug,
            Ok(VcpuExit::Shutdown) => Self::Shutdown,
            Ok(VcpuExit::InternalError) => Self::InternalError,
            Err(error) if error.errno() == libc::EINTR => Self::Interrupted,
            Err(error) if error.errno() == libc::EAGAIN => Self::Retry,
            _ => Self::Other,
        }
    }
}

impl Exit {
    /// As statistics and reports name it.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Whether the instruction is complete only after another `KVM_RUN`.
    pub fn is_access(self) -> bool {
        matches!(
            self,
            Self::IoOut | Self::IoIn | Self::MmioWrite | Self::MmioRead
        )
    }
}

/// One counter per reason; written by the vCPU's thread alone.
#[derive(Debug, Default)]
pub struct ExitCounters([AtomicU64; NAMES.len()]);

impl ExitCounters {
    /// Counts one exit.
    pub fn count(&self, exit: Exit) {
        let counter = &self.0[exit as usize];
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The counters that are not zero, by name.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        let all = NAMES.iter().zip(&self.0);
        all.map(|(name, counter)| (*name, counter.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}
