//! Makes a vCPU leave the guest from another thread.
//!
//! `immediate_exit` in the shared page makes the next `KVM_RUN` return at once; a signal ends the
//! one in progress. Together they leave no window. The handler does nothing.

use std::os::raw::{c_int, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_ioctls::VcpuFd;
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

use crate::sync::Mutex;

/// One vCPU's kick.
pub struct Kick {
    /// `kvm_run.immediate_exit`, in a page that lives as long as the `VcpuFd`.
    immediate_exit: *const AtomicU8,
    thread: Mutex<Option<libc::pthread_t>>,
}

// SAFETY: the pointer is only used for atomic accesses to one byte of a mapping that belongs to
// the `VcpuFd` beside which the kick is kept; the thread is in a mutex.
unsafe impl Send for Kick {}
// SAFETY: as above.
unsafe impl Sync for Kick {}

extern "C" fn ignore(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {}

/// Installs the signal's handler; once a process.
pub fn install_handler() -> std::io::Result<()> {
    register_signal_handler(SIGRTMIN(), ignore).map_err(Into::into)
}

impl Kick {
    /// Remembers where to write. The `Kick` must not be used after the `VcpuFd` is gone; both are
    /// fields of [`super::Vcpu`].
    pub fn new(fd: &mut VcpuFd) -> Self {
        let byte: *const u8 = &raw const fd.get_kvm_run().immediate_exit;
        Self {
            immediate_exit: byte.cast(),
            thread: Mutex::new(None),
        }
    }

    /// The calling thread runs this vCPU from now on.
    pub fn claim(&self) {
        // SAFETY: has no conditions.
        let this = unsafe { libc::pthread_self() };
        *self.thread.lock() = Some(this);
    }

    /// The calling thread, which claimed the vCPU, ends.
    pub fn release(&self) {
        *self.thread.lock() = None;
    }

    /// Ends this and prevents the next `KVM_RUN`.
    pub fn now(&self) {
        self.prevent();
        if let Some(thread) = *self.thread.lock() {
            // SAFETY: the thread set itself here and takes itself out, under this lock, before it
            // ends; so it exists.
            unsafe { libc::pthread_kill(thread, SIGRTMIN()) };
        }
    }

    /// Makes the next `KVM_RUN` return at once.
    pub fn prevent(&self) {
        self.flag().store(1, Ordering::SeqCst);
    }

    /// `KVM_RUN` may run again.
    pub fn clear(&self) {
        self.flag().store(0, Ordering::SeqCst);
    }

    fn flag(&self) -> &AtomicU8 {
        // SAFETY: points to a byte of the mapped kvm_run page, which lives as long as the VcpuFd
        // beside us; KVM only reads it.
        unsafe { &*self.immediate_exit }
    }
}
