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
    Breakpoints as BreakpointSupport, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint,
    HwWatchpointOps, SwBreakpoint, SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps, outputln};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::Stops;
use super::arch::X86_64;
use super::breakpoints::Breakpoints;
use super::points::{Points, watch};
use super::registers::Registers;
use crate::boot::KernelImage;
use crate::inspect::{Guest, View};
use crate::memory::Ram;
use crate::vcpu::points::{Access, Point};
use crate::vcpu::{DebugHook, DebugMode, DebugStop, Vcpu, Who};

/// What the debugger shares with the vCPU threads.
pub struct Shared {
    /// Guest RAM.
    pub ram: Arc<Ram>,
    /// The kernel, for addresses that are not mapped yet.
    pub kernel: Arc<KernelImage>,
    /// Planted breakpoints.
    pub breakpoints: Breakpoints,
    /// What is watched otherwise.
    pub points: Points,
    /// Stops that the server has not seen.
    pub stops: Stops,
}

impl DebugHook for Shared {
    fn owns_breakpoint(&self, vcpu: &VcpuFd) -> bool {
        let view = View::of(vcpu, &self.ram, &self.kernel.segments);
        let physical = vcpu
            .get_regs()
            .ok()
            .and_then(|regs| view.translate(regs.rip));
        physical.is_some_and(|physical| self.breakpoints.holds(physical))
    }

    fn hit(&self, dr6: u64) -> Option<Point> {
        self.points.hit(dr6)
    }

    fn look(&self, pc: u64) -> Option<Point> {
        self.points.look(&self.ram, pc)
    }

    fn stopped(&self, stop: DebugStop) {
        self.stops.push(stop);
    }
}

/// The target. All its methods but [`Self::pause`] want the guest to be parked.
pub struct GdbTarget {
    shared: Arc<Shared>,
    guest: Guest,
    /// What gdb wants of the next resumption.
    wish: Wish,
    /// What gdb's addresses are.
    addresses: Addresses,
}

/// How gdb's addresses are meant (`monitor memory`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    /// Virtual, as the vCPU's page tables have them.
    Virtual,
    /// Physical.
    Physical,
}

const MEMORY_HELP: &str = "memory physical   gdb's addresses are physical ones from now on
memory virtual    and no longer";

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
    pub fn new(shared: Arc<Shared>, guest: Guest) -> Self {
        Self {
            shared,
            guest,
            wish: Wish::default(),
            addresses: Addresses::Virtual,
        }
    }

    /// Parks all vCPUs and waits until they are.
    pub fn pause(&self) {
        self.guest.context.gate.pause();
        self.guest.vcpus.kick();
        self.guest.context.gate.wait_parked();
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
    pub fn release(&mut self) {
        self.shared.breakpoints.clear(&self.shared.ram);
        self.shared.points.clear();
        self.addresses = Addresses::Virtual;
        for vcpu in &self.guest.vcpus.all {
            report(vcpu.set_debug(DebugMode::Off));
        }
        self.guest.context.gate.open(Who::All);
    }

    fn vcpu(&self, tid: Tid) -> TargetResult<&Vcpu, Self> {
        let vcpu = self.guest.vcpus.all.get(index(tid));
        vcpu.map(Arc::as_ref).ok_or(TargetError::NonFatal)
    }

    fn view(&self, tid: Tid) -> TargetResult<View<'_>, Self> {
        Ok(match self.addresses {
            Addresses::Virtual => self.guest.view(self.vcpu(tid)?),
            Addresses::Physical => View::physical(&self.shared.ram),
        })
    }

    fn physical(&self, address: u64) -> Option<u64> {
        match self.addresses {
            Addresses::Virtual => self.guest.physical(address),
            Addresses::Physical => Some(address),
        }
    }

    /// Breakpoints and watchpoints are not of a thread: the first vCPU whose page tables have the address decides.
    fn watch(&self, point: Point) -> bool {
        let (ram, points) = (&self.shared.ram, &self.shared.points);
        self.physical(point.address)
            .is_some_and(|physical| points.insert(ram, point, physical))
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
        let shared = &self.shared;
        let read = self.view(tid)?.pages(start, data.len(), |physical, range| {
            let piece = &mut data[range];
            let read = shared.ram.read_slice(piece, GuestAddress(physical)).is_ok();
            shared.breakpoints.hide(physical, piece);
            read
        });
        Some(read)
            .filter(|read| *read != 0)
            .ok_or(TargetError::NonFatal)
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let written = self.view(tid)?.write(start, data) == data.len();
        written.then_some(()).ok_or(TargetError::NonFatal)
    }

    fn list_active_threads(&mut self, active: &mut dyn FnMut(Tid)) -> Result<(), Self::Error> {
        (0..self.guest.vcpus.all.len()).for_each(|vcpu| active(tid(vcpu)));
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
        // What gdb has written is no news to it.
        self.shared.points.refresh(&self.shared.ram);
        for vcpu in &self.guest.vcpus.all {
            let mode = match self.wish.step == Some(vcpu.index) {
                true => DebugMode::Step,
                false => self.shared.points.mode(),
            };
            report(vcpu.set_debug(mode));
        }
        self.guest.context.gate.open(self.wish.who());
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

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for GdbTarget {
    fn add_sw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        if !self.shared.points.abilities().breakpoints {
            return self.add_hw_breakpoint(address, kind);
        }
        let physical = self.physical(address);
        Ok(physical.is_some_and(|p| self.shared.breakpoints.insert(&self.shared.ram, address, p)))
    }

    fn remove_sw_breakpoint(&mut self, address: u64, kind: usize) -> TargetResult<bool, Self> {
        if !self.shared.points.abilities().breakpoints {
            return self.remove_hw_breakpoint(address, kind);
        }
        Ok(self.shared.breakpoints.remove(&self.shared.ram, address))
    }
}

fn instruction(address: u64) -> Point {
    Point {
        address,
        length: 1,
        access: Access::Execute,
    }
}

impl HwBreakpoint for GdbTarget {
    fn add_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.watch(instruction(address)))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.shared.points.remove(instruction(address)))
    }
}

impl HwWatchpoint for GdbTarget {
    fn add_hw_watchpoint(
        &mut self,
        address: u64,
        length: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.watch(watch(address, length, kind)))
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        length: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.shared.points.remove(watch(address, length, kind)))
    }
}

impl MonitorCmd for GdbTarget {
    fn handle_monitor_cmd(
        &mut self,
        command: &[u8],
        mut out: ConsoleOutput<'_>,
    ) -> Result<(), Self::Error> {
        let text = String::from_utf8_lossy(command);
        let words: Vec<_> = text.split_whitespace().collect();
        self.addresses = match words[..] {
            ["memory", "physical"] => Addresses::Physical,
            ["memory", "virtual"] => Addresses::Virtual,
            _ => self.addresses,
        };
        match words[..] {
            ["memory", ..] => outputln!(out, "addresses are {:?}", self.addresses),
            [] | ["help"] => outputln!(out, "{}\n{MEMORY_HELP}", self.guest.answer("help")),
            _ => outputln!(out, "{}", self.guest.answer(&text)),
        }
        Ok(())
    }
}
