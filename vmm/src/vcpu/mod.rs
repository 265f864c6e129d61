//! Virtual CPUs: a thread each, which runs the guest and dispatches its exits.
//!
//! A vCPU's descriptor lies in a mutex that its thread holds while the guest runs and gives up
//! while parked at the [`Gate`]; then the debugger and the crash report can look at registers.

mod debug;
mod exits;
mod gate;
mod history;
#[expect(
    unsafe_code,
    reason = "immediate_exit is written, and a thread signalled, from outside"
)]
mod kick;
pub mod points;
#[expect(
    unsafe_code,
    reason = "reads the union of kvm_run that belongs to an exit reason"
)]
mod run_page;
mod threads;

use std::sync::{Arc, MutexGuard};

use kvm_ioctls::{VcpuExit, VcpuFd};

pub use debug::{DebugHook, DebugMode, DebugReason, DebugStop};
pub use exits::{Exit, ExitCounters};
pub use gate::{Gate, Turn, Who};
pub use history::History;
pub use threads::Vcpus;

use crate::bus::Bus;
use crate::control::{Control, CrashCause, Outcome};
use crate::kvm::stats::VcpuStats;
use crate::sync::Mutex;
use crate::trace::{self, Kind};
use history::Record;
use kick::Kick;

/// One vCPU, shared by its thread and those who look at it.
pub struct Vcpu {
    /// 0 is the first to run.
    pub index: usize,
    /// Exits by reason.
    pub exits: ExitCounters,
    /// The last of them.
    pub history: History,
    /// KVM's counters, if statistics were asked for and KVM has them.
    pub stats: Option<VcpuStats>,
    fd: Mutex<VcpuFd>,
    debug: Mutex<DebugMode>,
    kick: Kick,
}

/// What every vCPU thread needs.
pub struct Context {
    /// Devices.
    pub bus: Bus,
    /// The end.
    pub control: Arc<Control>,
    /// Where vCPUs park.
    pub gate: Gate,
    /// The debugger, if there is one.
    pub debug: Option<Arc<dyn DebugHook>>,
}

impl Vcpu {
    /// Wraps a vCPU that has its CPUID and entry state.
    pub fn new(index: usize, mut fd: VcpuFd, stats: Option<VcpuStats>) -> Self {
        let kick = Kick::new(&mut fd);
        Self {
            index,
            exits: ExitCounters::default(),
            history: History::default(),
            stats,
            fd: Mutex::new(fd),
            debug: Mutex::default(),
            kick,
        }
    }

    /// The descriptor; waits until the vCPU is parked.
    pub fn fd(&self) -> MutexGuard<'_, VcpuFd> {
        self.fd.lock()
    }

    /// Makes the vCPU leave the guest soon; it then looks at the gate.
    pub fn kick(&self) {
        self.kick.now();
    }

    /// The thread's body: runs the guest whenever the gate lets it.
    fn run(&self, context: &Context) {
        self.kick.claim();
        while context.gate.wait(self.index) == Turn::Run {
            let mut fd = self.fd();
            while !context.gate.wants_attention() {
                self.step(&mut fd, context);
            }
            if context.debug.is_some() {
                self.settle(&mut fd, context);
            }
            drop(fd);
            context.gate.leave();
        }
        self.kick.release();
    }

    /// Completes the instruction whose port or MMIO access was just served, so that registers are
    /// true. `KVM_RUN` with `immediate_exit` does no more than that.
    fn settle(&self, fd: &mut VcpuFd, context: &Context) {
        self.kick.prevent();
        while self.step(fd, context).is_access() {
            self.kick.prevent();
        }
        self.kick.clear();
    }

    /// Runs the guest up to its next exit.
    fn step(&self, fd: &mut VcpuFd, context: &Context) -> Exit {
        let entered = trace::begin();
        let exit = fd.run();
        let record = Record::of(&exit);
        let left = trace::span(Kind::Guest, format_args!("guest"), entered);
        self.exits.count(record.exit);
        self.history.note(record);
        match exit {
            Ok(VcpuExit::IoOut(port, data)) => context.bus.port_write(self.index, port, data),
            Ok(VcpuExit::IoIn(port, data)) => context.bus.port_read(port, data),
            Ok(VcpuExit::MmioWrite(address, data)) => context.bus.mmio_write(address, data),
            Ok(VcpuExit::MmioRead(address, data)) => context.bus.mmio_read(address, data),
            Ok(VcpuExit::Hlt | VcpuExit::Intr | VcpuExit::IrqWindowOpen) => {}
            Ok(VcpuExit::Debug(arch)) => self.debug_exit(fd, arch, context),
            Ok(VcpuExit::InternalError) => self.internal_error(fd, context),
            Ok(VcpuExit::Shutdown) => self.crash(CrashCause::TripleFault, context),
            Ok(VcpuExit::FailEntry(reason, _)) => {
                self.crash(CrashCause::FailEntry(reason), context)
            }
            Ok(VcpuExit::SystemEvent(kind, _)) => self.system_event(kind, context),
            Ok(other) => self.crash(CrashCause::Unexpected(format!("{other:?}")), context),
            Err(error) => self.run_failed(error.errno(), context),
        }
        trace::span(Kind::Exit, format_args!("{record}"), left);
        self.end_turn_if_over(context);
        record.exit
    }

    fn end_turn_if_over(&self, context: &Context) {
        if context.control.outcome().is_some() {
            context.gate.stop();
        }
    }

    fn run_failed(&self, errno: i32, context: &Context) {
        match errno {
            libc::EINTR => self.kick.clear(),
            // A processor that waits for INIT and SIPI sleeps in the kernel and comes back so once.
            libc::EAGAIN => std::thread::yield_now(),
            _ => {
                let error = std::io::Error::from_raw_os_error(errno);
                self.crash(CrashCause::Unexpected(format!("KVM_RUN: {error}")), context);
            }
        }
    }

    fn system_event(&self, kind: u32, context: &Context) {
        match kind {
            kvm_bindings::KVM_SYSTEM_EVENT_SHUTDOWN | kvm_bindings::KVM_SYSTEM_EVENT_RESET => {
                context.control.end(Outcome::Reset);
            }
            _ => self.crash(
                CrashCause::Unexpected(format!("system event {kind}")),
                context,
            ),
        }
    }

    fn crash(&self, cause: CrashCause, context: &Context) {
        context.control.end(Outcome::Crash {
            vcpu: self.index,
            cause,
        });
    }
}
