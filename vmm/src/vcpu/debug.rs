//! The debugger's side of a vCPU.

use kvm_bindings::{
    KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_INJECT_BP, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP,
    KVM_GUESTDBG_USE_SW_BP, KVM_INTERNAL_ERROR_EMULATION, kvm_debug_exit_arch, kvm_guest_debug,
    kvm_guest_debug_arch,
};
use kvm_ioctls::{Error, VcpuFd};

use super::points::{DebugRegisters, Point};
use super::{Context, Vcpu, run_page};
use crate::control::CrashCause;

/// Vector of `#BP`.
const BREAKPOINT: u32 = 3;
/// Vector of `#UD`.
const UNDEFINED_OPCODE: u8 = 6;

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
    /// It stands on a place that is watched, or has accessed it.
    Point(Point),
}

/// What KVM is to do for the debugger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugMode {
    /// Nothing.
    #[default]
    Off,
    /// Stop at breakpoint instructions, and at what the debug registers watch.
    Breakpoints(DebugRegisters),
    /// Stop after one instruction, or at a breakpoint.
    Step,
    /// Look after each instruction whether a watched place has changed or is reached.
    Look,
}

impl DebugMode {
    /// As KVM takes it.
    pub fn settings(self) -> kvm_guest_debug {
        let stops = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
        let (control, debugreg) = match self {
            Self::Off => (0, [0; 8]),
            Self::Breakpoints(registers) if registers != [0; 8] => {
                (stops | KVM_GUESTDBG_USE_HW_BP, registers)
            }
            Self::Breakpoints(_) => (stops, [0; 8]),
            Self::Step | Self::Look => (stops | KVM_GUESTDBG_SINGLESTEP, [0; 8]),
        };
        let arch = kvm_guest_debug_arch { debugreg };
        kvm_guest_debug {
            control,
            pad: 0,
            arch,
        }
    }
}

/// The debugger, as vCPU threads see it. Without a debugger nothing is claimed.
pub trait DebugHook: Send + Sync {
    /// Whether the byte at the vCPU's instruction pointer is a breakpoint that the debugger set.
    fn owns_breakpoint(&self, vcpu: &VcpuFd) -> bool;

    /// The point of the debug registers that these bits of DR6 name.
    fn hit(&self, dr6: u64) -> Option<Point>;

    /// A point whose instruction is at `pc`, or whose memory has changed since the last look.
    fn look(&self, pc: u64) -> Option<Point>;

    /// A vCPU stopped; all are to park.
    fn stopped(&self, stop: DebugStop);
}

impl Vcpu {
    /// Chooses what stops this vCPU, which must be parked.
    pub fn set_debug(&self, mode: DebugMode) -> Result<(), Error> {
        let fd = self.fd();
        *self.debug.lock() = mode;
        fd.set_guest_debug(&mode.settings())
    }

    /// `KVM_EXIT_DEBUG`.
    pub(super) fn debug_exit(&self, fd: &VcpuFd, exit: kvm_debug_exit_arch, context: &Context) {
        let Some(debug) = &context.debug else { return };
        let mode = *self.debug.lock();
        let reason = match (exit.exception, mode) {
            (BREAKPOINT, _) if !debug.owns_breakpoint(fd) => return give_back(fd, mode),
            (BREAKPOINT, _) => Some(DebugReason::Breakpoint),
            (_, DebugMode::Look) => debug.look(exit.pc).map(DebugReason::Point),
            (_, DebugMode::Breakpoints(_)) => debug.hit(exit.dr6).map(DebugReason::Point),
            (_, DebugMode::Step | DebugMode::Off) => Some(DebugReason::Step),
        };
        if let Some(reason) = reason {
            self.debug_stop(reason, context);
        }
    }

    /// `KVM_EXIT_INTERNAL_ERROR`. Where KVM emulates the kernel, an `INT3` there ends as a failure to
    /// emulate, with the instruction pointer on it and an undefined-opcode fault on its way. A program at level 3 gets
    /// such a fault: what it does is no end of the guest.
    pub(super) fn internal_error(&self, fd: &mut VcpuFd, context: &Context) {
        let suberror = run_page::internal_suberror(fd);
        let debug = context.debug.as_ref();
        let ours = debug.is_some_and(|debug| debug.owns_breakpoint(fd));
        if suberror == KVM_INTERNAL_ERROR_EMULATION && !ours && refuse_program(fd) {
            return;
        }
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

/// Gives the program at level 3 that runs an undefined-opcode fault; false if it is the kernel that runs.
fn refuse_program(fd: &VcpuFd) -> bool {
    let user = fd.get_sregs().is_ok_and(|sregs| sregs.cs.selector & 3 == 3);
    user && raise_undefined_opcode(fd).is_ok()
}

fn raise_undefined_opcode(fd: &VcpuFd) -> Result<(), Error> {
    let mut events = fd.get_vcpu_events()?;
    (events.exception.injected, events.exception.pending) = (1, 0);
    (events.exception.nr, events.exception.has_error_code) = (UNDEFINED_OPCODE, 0);
    fd.set_vcpu_events(&events)
}

/// The guest's own breakpoint goes to the guest.
fn give_back(fd: &VcpuFd, mode: DebugMode) {
    let mut settings = mode.settings();
    settings.control |= KVM_GUESTDBG_INJECT_BP;
    if let Err(error) = fd.set_guest_debug(&settings) {
        log::warn!("cannot deliver the guest's breakpoint: {error}");
    }
}

fn cancel_exception(fd: &VcpuFd) -> Result<(), Error> {
    let mut events = fd.get_vcpu_events()?;
    (events.exception.injected, events.exception.pending) = (0, 0);
    fd.set_vcpu_events(&events)
}
