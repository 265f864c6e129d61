//! A device's interrupt: the status register's two bits and the line behind it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use virtio_bindings::virtio_mmio::{VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_VRING};
use vmm_sys_util::eventfd::EventFd;

use crate::trace::{self, Kind};

/// What a device raises; an irqfd in a machine, a counter in tests.
pub trait Line: Send + Sync {
    /// One edge.
    fn raise(&self);
}

impl Line for EventFd {
    fn raise(&self) {
        // A full counter means that an edge is pending already.
        let _ = self.write(1);
    }
}

/// Interrupt status and configuration generation, shared by transport and back.
pub struct Interrupt {
    status: AtomicU32,
    generation: AtomicU32,
    /// Between DRIVER_OK and reset; outside of it a device must be silent.
    enabled: AtomicBool,
    raised: AtomicU64,
    line: Box<dyn Line>,
}

impl Interrupt {
    /// Nothing pending.
    pub fn new(line: Box<dyn Line>) -> Self {
        Self {
            status: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            enabled: AtomicBool::new(false),
            raised: AtomicU64::new(0),
            line,
        }
    }

    /// The driver is ready for interrupts.
    pub fn enable(&self) {
        self.enabled.store(true, Ordering::SeqCst);
    }

    /// Silent from now on, and nothing pending.
    pub fn disable(&self) {
        self.enabled.store(false, Ordering::SeqCst);
        self.status.store(0, Ordering::SeqCst);
    }

    /// Edges raised so far.
    pub fn raised(&self) -> u64 {
        self.raised.load(Ordering::Relaxed)
    }

    /// Used buffers wait for the driver.
    pub fn used_buffers(&self) {
        self.raise(VIRTIO_MMIO_INT_VRING);
    }

    /// The configuration space has changed.
    pub fn config_changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.raise(VIRTIO_MMIO_INT_CONFIG);
    }

    /// InterruptStatus.
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::SeqCst)
    }

    /// InterruptACK.
    pub fn acknowledge(&self, bits: u32) {
        self.status.fetch_and(!bits, Ordering::SeqCst);
    }

    /// ConfigGeneration.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    fn raise(&self, bit: u32) {
        if !self.enabled.load(Ordering::SeqCst) {
            return;
        }
        self.status.fetch_or(bit, Ordering::SeqCst);
        self.raised.fetch_add(1, Ordering::Relaxed);
        trace::instant(Kind::Interrupt, format_args!("interrupt"));
        self.line.raise();
    }
}
