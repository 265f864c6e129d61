//! How a machine ends: the first outcome wins and wakes the event loop.

use std::fmt;
use std::sync::OnceLock;

use vmm_sys_util::eventfd::EventFd;

use crate::kvm::{KvmError, event_fd};
use crate::sync::Mutex;

/// What a vCPU could not go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashCause {
    /// `KVM_EXIT_SHUTDOWN`: a fault while delivering a double fault.
    TripleFault,
    /// `KVM_EXIT_INTERNAL_ERROR` with its suberror.
    InternalError(u32),
    /// `KVM_EXIT_FAIL_ENTRY` with the hardware's reason.
    FailEntry(u64),
    /// `KVM_RUN` failed, or returned something that has no handler.
    Unexpected(String),
}

impl fmt::Display for CrashCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TripleFault => write!(f, "triple fault"),
            Self::InternalError(1) => write!(f, "KVM could not emulate the instruction"),
            Self::InternalError(suberror) => write!(f, "KVM internal error {suberror}"),
            Self::FailEntry(reason) => write!(f, "the processor refused to enter it ({reason:#x})"),
            Self::Unexpected(what) => write!(f, "unexpected exit: {what}"),
        }
    }
}

/// Why the machine ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest ended itself with this status.
    GuestExit(u8),
    /// The guest's kernel panicked.
    KernelPanic {
        /// Index of the vCPU.
        vcpu: usize,
    },
    /// The guest reset the machine.
    Reset,
    /// A vCPU crashed.
    Crash {
        /// Index of the vCPU.
        vcpu: usize,
        /// What happened to it.
        cause: CrashCause,
    },
    /// `--timeout` ran out.
    Timeout,
    /// Ctrl-A x.
    Quit,
    /// The monitor got this signal.
    Signal(u8),
}

impl Outcome {
    /// The vCPU on which the guest died, if it did.
    pub fn dead_vcpu(&self) -> Option<usize> {
        match self {
            Self::KernelPanic { vcpu } | Self::Crash { vcpu, .. } => Some(*vcpu),
            _ => None,
        }
    }
}

/// The switch that ends the machine; shared by all threads.
#[derive(Debug)]
pub struct Control {
    outcome: OnceLock<Outcome>,
    ended: EventFd,
    questions: Mutex<Vec<String>>,
    asked: EventFd,
}

impl Control {
    /// A machine that goes on.
    pub fn new() -> Result<Self, KvmError> {
        Ok(Self {
            outcome: OnceLock::new(),
            ended: event_fd()?,
            questions: Mutex::default(),
            asked: event_fd()?,
        })
    }

    /// A command was typed at the prompt. The event loop answers it when nobody holds a device.
    pub fn ask(&self, line: String) {
        self.questions.lock().push(line);
        // A full counter is readable as well.
        let _ = self.asked.write(1);
    }

    /// Readable when somebody has asked.
    pub fn asked(&self) -> &EventFd {
        &self.asked
    }

    /// What was asked since the last call.
    pub fn take_questions(&self) -> Vec<String> {
        // `WouldBlock` if there was nothing.
        let _ = self.asked.read();
        std::mem::take(&mut *self.questions.lock())
    }

    /// Ends the machine. Only the first outcome counts.
    pub fn end(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            // The counter cannot overflow: this is the only write.
            let _ = self.ended.write(1);
        }
    }

    /// The outcome, once there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Readable from the end on.
    pub fn ended(&self) -> &EventFd {
        &self.ended
    }
}
