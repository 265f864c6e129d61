//! The guest as gdbstub's target: registers, memory, breakpoints, resumption.

use std::num::NonZeroUsize;
use std::sync::Arc;

use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints as BreakpointSupport, BreakpointsOps, SwBreakpoint, SwBreakpointOps,
};
use gdbstub::target::ext::monitor_cmd::MonitorCmdOps;
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::Stops;
use super::arch::X86_64;
use super::breakpoints::Breakpoints;
use super::registers::Registers;
use crate::boot::Segment;
use crate::control::Outcome;
use crate::inspect::View;
use crate::memory::Ram;
use crate::vcpu::{Context, DebugHook, DebugMode, DebugStop, Vcpu, Vcpus, Who};

/// What the debugger shares with the vCPU threads.
pub struct Shared {
    /// Guest RAM.
    pub ram: Arc<Ram>,
    /// The kernel's segments, for addresses that are not mapped yet.
    pub segments: Vec<Segment>,
    /// Planted breakpoints.
    pub breakpoints: Breakpoints,
    /// Stops that the server has not seen.
    pub stops: Stops,
}

impl DebugHook for Shared {
    fn owns_breakpoint(&self, vcpu: &VcpuFd) -> bool {
        let view = View::of(vcpu, &self.ram, &self.segments);
        let physical = vcpu
            .get_regs()
            .ok()
            .and_then(|regs| view.translate(regs.rip));
        physical.is_some_and(|physical| self.breakpoints.holds(physical))
    }

    fn stopped(&self, stop: DebugStop) {
        self.stops.push(stop);
    }
}

/// The target. All its methods but [`Self::pause`] want the guest to be parked.
pub struct GdbTarget {
    shared: Arc<Shared>,
    vcpus: Arc<Vcpus>,
    context: Arc<Context>,
    /// What gdb wants of the next resumption.
    wish: Wish,
}

/// Resume actions, collected until gdb resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    /// The vCPU that is to execute one instruction.
    step: Option<usize>,
    /// A vCPU that is to continue by name.
    named: Option<usize>,
    /// vCPUs that are not named stay parked.
    others_wait: bool,
}

impl Wish {
    /// Only a stepped vCPU runs: its neighbours would run away meanwhile.
    fn who(self) -> Who {
        let only = self.step.or(self.named.filter(|_| self.others_wait));
        only.map_or(Who::All, Who::Only)
    }
}

impl GdbTarget {
    /// A target for a machine that was built with `shared` as its debug hook.
    pub fn new(shared: Arc<Shared>, vcpus: Arc<Vcpus>, context: Arc<Context>) -> Self {
        Self {
            shared,
            vcpus,
            context,
            wish: Wish::default(),
        }
    }

    /// Parks all vCPUs and waits until they are.
    pub fn pause(&self) {
        self.context.gate.pause();
        self.vcpus.kick();
        self.context.gate.wait_parked();
    }

    /// Readable when there is a stop to take.
    pub fn stop_event(&self) -> &EventFd {
        &self.shared.stops.event
    }

    /// The first stop since the last call.
    pub fn take_stop(&self) -> Option<DebugStop> {
        self.shared.stops.take_first()
    }

    /// Forgets breakpoints and lets the guest run undebugged.
    pub fn release(&self) {
        self.shared.breakpoints.clear(&self.shared.ram);
        for vcpu in &self.vcpus.all {
            report(vcpu.set_debug(DebugMode::Off));
        }
        self.context.gate.open(Who::All);
    }

    fn vcpu(&self, tid: Tid) -> TargetResult<&Vcpu, Self> {
        let vcpu = self
            .vcpus
            .all
            .get(index(tid))
            .ok_or(TargetError::NonFatal)?;
        Ok(vcpu)
    }

    fn view<T>(&self, tid: Tid, look: impl FnOnce(&View<'_>) -> T) -> TargetResult<T, Self> {
        let fd = self.vcpu(tid)?.fd();
        Ok(look(&View::of(
            &fd,
            &self.shared.ram,
            &self.shared.segments,
        )))
    }

    /// A line for each vCPU. All are parked.
    pub(super) fn each_vcpu(&self, tell: impl Fn(&Vcpu) -> String) -> String {
        let line = |vcpu: &Arc<Vcpu>| format!("CPU {}: {}", vcpu.index, tell(vcpu));
        self.vcpus
            .all
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The physical address behind a virtual one on this vCPU.
    pub(super) fn translate(&self, vcpu: &Vcpu, address: u64) -> Option<u64> {
        View::of(&vcpu.fd(), &self.shared.ram, &self.shared.segments).translate(address)
    }

    /// Ends the machine; the answer to whoever asked for it.
    pub(super) fn end(&self, outcome: Outcome) -> String {
        self.context.control.end(outcome);
        "the machine ends".into()
    }

    /// Breakpoints are not of a thread: the first vCPU whose page tables have the address decides.
    fn physical(&self, address: u64) -> Option<u64> {
        self.vcpus.all.iter().find_map(|vcpu| {
            View::of(&vcpu.fd(), &self.shared.ram, &self.shared.segments).translate(address)
        })
    }
}

/// gdb's thread of a vCPU; thread ids start at 1.
pub fn tid(vcpu: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(vcpu)
}

fn index(tid: Tid) -> usize {
    tid.get() - 1
}

fn report(result: Result<(), kvm_ioctls::Error>) {
    if let Err(error) = result {
        log::warn!("cannot set up debugging: {error}");
    }
}

impl Target for GdbTarget {
    type Arch = X86_64;
    type Error = std::convert::Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for GdbTarget {
    fn read_registers(&mut self, regs: &mut Registers, tid: Tid) -> TargetResult<(), Self> {
        *regs = Registers::read(&self.vcpu(tid)?.fd()).map_err(|_| TargetError::NonFatal)?;
        Ok(())
    }

    fn write_registers(&mut self, regs: &Registers, tid: Tid) -> TargetResult<(), Self> {
        regs.write(&self.vcpu(tid)?.fd())
            .map_err(|_| TargetError::NonFatal)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let shared = self.shared.clone();
        let length = data.len();
        let read = self.view(tid, |view| {
            view.pages(start, length, |physical, range| {
                let piece = &mut data[range];
                let read = shared.ram.read_slice(piece, GuestAddress(physical)).is_ok();
                shared.breakpoints.hide(physical, piece);
                read
            })
        })?;
        if read == 0 {
            Err(TargetError::NonFatal)
        } else {
            Ok(read)
        }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let written = self.view(tid, |view| view.write(start, data))?;
        if written == data.len() {
            Ok(())
        } else {
            Err(TargetError::NonFatal)
        }
    }

    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), Self::Error> {
        (0..self.vcpus.all.len()).for_each(|vcpu| active(tid(vcpu)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for GdbTarget {
    fn thread_extra_info(&self, tid: Tid, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let text = format!("CPU {}", index(tid));
        let length = text.len().min(buffer.len());
        buffer[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(length)
    }
}

impl MultiThreadResume for GdbTarget {
    fn resume(&mut self) -> Result<(), Self::Error> {
        for vcpu in &self.vcpus.all {
            let stepping = self.wish.step == Some(vcpu.index);
            let mode = if stepping {
                DebugMode::Step
            } else {
                DebugMode::Breakpoints
            };
            report(vcpu.set_debug(mode));
        }
        self.context.gate.open(self.wish.who());
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Self::Error> {
        self.wish = Wish::default();
        Ok(())
    }

    fn set_resume_action_continue(
        &mut self,
        tid: Tid,
        _: Option<Signal>,
    ) -> Result<(), Self::Error> {
        self.wish.named = Some(index(tid));
        Ok(())
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for GdbTarget {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Self::Error> {
        self.wish.step = Some(index(tid));
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for GdbTarget {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Self::Error> {
        self.wish.others_wait = true;
        Ok(())
    }
}

impl BreakpointSupport for GdbTarget {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for GdbTarget {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        let physical = self.physical(address);
        Ok(physical.is_some_and(|p| self.shared.breakpoints.insert(&self.shared.ram, address, p)))
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.shared.breakpoints.remove(&self.shared.ram, address))
    }
}
