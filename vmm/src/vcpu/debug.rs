//! The debugger's side of a vCPU.

use kvm_bindings::{
    KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_INJECT_BP, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_SW_BP,
    KVM_INTERNAL_ERROR_EMULATION, kvm_guest_debug,
};
use kvm_ioctls::{Error, VcpuFd};

use super::{Context, Vcpu, run_page};
use crate::control::CrashCause;

/// Vector of `#BP`.
const BREAKPOINT: u32 = 3;

/// A stop of interest to a debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugStop {
    /// Who stopped.
    pub vcpu: usize,
    /// Why.
    pub reason: DebugReason,
}

/// Why a vCPU stopped for the debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugReason {
    /// It stands on a breakpoint instruction.
    Breakpoint,
    /// It has executed one instruction.
    Step,
}

/// What KVM is to do for the debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugMode {
    /// Nothing.
    Off,
    /// Stop at breakpoint instructions.
    Breakpoints,
    /// Stop after one instruction, or at a breakpoint.
    Step,
}

impl DebugMode {
    fn control(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Breakpoints => KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP,
            Self::Step => Self::Breakpoints.control() | KVM_GUESTDBG_SINGLESTEP,
        }
    }
}

/// The debugger, as vCPU threads see it. Without a debugger nothing is claimed.
pub trait DebugHook: Send + Sync {
    /// Whether the byte at the vCPU's instruction pointer is a breakpoint that the debugger set.
    fn owns_breakpoint(&self, vcpu: &VcpuFd) -> bool;

    /// A vCPU stopped; all are to park.
    fn stopped(&self, stop: DebugStop);
}

impl Vcpu {
    /// Chooses what stops this vCPU, which must be parked.
    pub fn set_debug(&self, mode: DebugMode) -> Result<(), Error> {
        let debug = kvm_guest_debug {
            control: mode.control(),
            ..Default::default()
        };
        self.fd().set_guest_debug(&debug)
    }

    /// `KVM_EXIT_DEBUG`.
    pub(super) fn debug_exit(&self, fd: &VcpuFd, exception: u32, context: &Context) {
        let Some(debug) = &context.debug else { return };
        let reason = match exception {
            BREAKPOINT if !debug.owns_breakpoint(fd) => return give_back(fd),
            BREAKPOINT => DebugReason::Breakpoint,
            _ => DebugReason::Step,
        };
        self.debug_stop(reason, context);
    }

    /// `KVM_EXIT_INTERNAL_ERROR`. Where KVM emulates the kernel, an `INT3` there ends as a failure to
    /// emulate, with the instruction pointer on it and an undefined-opcode fault on its way.
    pub(super) fn internal_error(&self, fd: &mut VcpuFd, context: &Context) {
        let suberror = run_page::internal_suberror(fd);
        let ours = context
            .debug
            .as_ref()
            .is_some_and(|d| d.owns_breakpoint(fd));
        if suberror != KVM_INTERNAL_ERROR_EMULATION || !ours {
            return self.crash(CrashCause::InternalError(suberror), context);
        }
        match cancel_exception(fd) {
            Ok(()) => self.debug_stop(DebugReason::Breakpoint, context),
            Err(error) => self.crash(CrashCause::Unexpected(error.to_string()), context),
        }
    }

    fn debug_stop(&self, reason: DebugReason, context: &Context) {
        if let Some(debug) = &context.debug {
            context.gate.pause();
            debug.stopped(DebugStop {
                vcpu: self.index,
                reason,
            });
        }
    }
}

/// The guest's own breakpoint goes to the guest.
fn give_back(fd: &VcpuFd) {
    let control = DebugMode::Breakpoints.control() | KVM_GUESTDBG_INJECT_BP;
    let debug = kvm_guest_debug {
        control,
        ..Default::default()
    };
    if let Err(error) = fd.set_guest_debug(&debug) {
        log::warn!("cannot deliver the guest's breakpoint: {error}");
    }
}

fn cancel_exception(fd: &VcpuFd) -> Result<(), Error> {
    let mut events = fd.get_vcpu_events()?;
    (events.exception.injected, events.exception.pending) = (0, 0);
    fd.set_vcpu_events(&events)
}
