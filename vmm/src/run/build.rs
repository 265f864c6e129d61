//! Builds a machine from its configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ferrix_machine::irq;
use vmm_sys_util::eventfd::EventFd;

use crate::boot::{self, KernelImage};
use crate::bus::Bus;
use crate::cli::RunOptions;
use crate::config::{Model, VmConfig};
use crate::console::log_sink::LogSink;
use crate::console::out::{Buffered, Out};
use crate::control::Control;
use crate::devices::serial::Serial;
use crate::devices::uart::Uart;
use crate::devices::{Milestones, Registers};
use crate::disk::Disk;
use crate::error::VmmError;
use crate::gdb::{self, GdbServer, GdbTarget};
use crate::inspect::Guest;
use crate::kvm::stats::VcpuStats;
use crate::kvm::{System, Vm, entry, event_fd};
use crate::memory::{self, Ram};
use crate::trace;
use crate::vcpu::{Context, DebugHook, Gate, Vcpu, Vcpus, Who};

use super::crash::{CoreFile, OnCrash};
use super::plug::{Backs, Plug};
use super::tty::streams;

/// A machine that is ready to run.
pub struct Machine {
    /// What runs.
    pub guest: Guest,
    /// The kernel's log.
    pub log: LogSink,
    /// The backs of the virtio devices.
    pub backs: Backs,
    /// The debugger's server, if there is one.
    pub gdb: Option<Arc<Mutex<GdbServer>>>,
    /// Where its core goes if it dies.
    pub core: Option<CoreFile>,
    /// Keeps the virtual machine alive.
    _vm: Vm,
}

impl Machine {
    /// Checks all files first and touches KVM last, so that bad input is reported as such.
    pub fn build(
        config: &VmConfig,
        options: &RunOptions,
        start: Instant,
    ) -> Result<Self, VmmError> {
        let listener = listen_for_gdb(options)?;
        let core = match options.on_crash {
            OnCrash::Dump => Some(CoreFile::prepare()),
            OnCrash::Exit | OnCrash::WaitGdb => None,
        };
        let core = core
            .transpose()
            .map_err(VmmError::host("make a core file in the current folder"))?;
        let kernel = Arc::new(KernelImage::open(&config.kernel)?);
        let disks = config
            .disks
            .iter()
            .map(Disk::open)
            .collect::<Result<Vec<_>, _>>()?;
        let ram = memory::allocate(config.memory).map_err(VmmError::host("reserve guest RAM"))?;
        let entry = boot::load(config, &kernel, &ram)?;
        let ram = Arc::new(ram);
        let vm = Vm::create(System::open()?, ram.clone())?;

        let log = open_log()?;
        let control = Arc::new(Control::new()?);
        let model = config.machine.model;
        let mut plug = Plug::new(&vm, ram.clone(), model.windows());
        let line = vm.interrupt_line(irq::UART_GSI)?;
        let (uart, serial) = open_uart(config, line, &log, &control)?;
        let backs = Backs::plug(&mut plug, disks, serial, &config.console, &control)?;
        let vcpus = Arc::new(create_vcpus(&vm, config, options, entry)?);
        let bus = Bus {
            model,
            uart,
            milestones: Milestones::new(start),
            trace: trace_guest(&ram, model, &vcpus),
            cmos: Default::default(),
            virtio: plug.windows,
            control: control.clone(),
        };
        count_instructions(&bus.milestones, &vcpus);
        let debug = match &listener {
            Some(_) => Some(Arc::new(debug_shared(&kernel, &ram)?)),
            None => None,
        };
        let context = Arc::new(Context {
            bus,
            control,
            gate: Gate::new(if options.gdb.is_some() {
                Who::Nobody
            } else {
                Who::All
            }),
            debug: debug.clone().map(|shared| shared as Arc<dyn DebugHook>),
        });
        let guest = Guest {
            ram,
            kernel,
            vcpus,
            context,
        };
        let gdb = listener.zip(debug).map(|(listener, shared)| {
            let target = GdbTarget::new(shared, guest.clone());
            let server = GdbServer::new(listener, target, guest.context.control.clone());
            Arc::new(Mutex::new(server))
        });
        Ok(Self {
            guest,
            log,
            backs,
            gdb,
            core,
            _vm: vm,
        })
    }
}

/// Binds the debugger's address, if one may come, and says which one it is if the guest waits for it.
fn listen_for_gdb(options: &RunOptions) -> Result<Option<TcpListener>, VmmError> {
    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let address = match (options.gdb, options.on_crash) {
        (Some(address), _) => address,
        (None, OnCrash::WaitGdb) => ANY,
        (None, OnCrash::Exit | OnCrash::Dump) => return Ok(None),
    };
    let (listener, bound) =
        gdb::listen(address).map_err(|source| VmmError::Gdb { address, source })?;
    if options.gdb.is_some() {
        eprintln!("vmm: waiting for gdb on {bound}");
    }
    Ok(Some(listener))
}

fn debug_shared(kernel: &Arc<KernelImage>, ram: &Arc<Ram>) -> Result<gdb::Shared, VmmError> {
    let abilities = gdb::Abilities::probe()?;
    if let Some(lack) = abilities.lacks() {
        log::warn!("gdb: {lack}");
    }
    Ok(gdb::Shared {
        ram: ram.clone(),
        kernel: kernel.clone(),
        breakpoints: gdb::Breakpoints::default(),
        points: gdb::Points::new(abilities),
        stops: gdb::Stops::new()?,
    })
}

fn open_log() -> Result<LogSink, VmmError> {
    Out::open(std::io::stderr().as_fd())
        .and_then(|out| LogSink::new(Buffered::new(out)))
        .map_err(VmmError::host("open standard error"))
}

/// The UART, and the same as a terminal if that is what it is.
fn open_uart(
    config: &VmConfig,
    line: EventFd,
    log: &LogSink,
    control: &Arc<Control>,
) -> Result<(Box<dyn Registers>, Option<Serial>), VmmError> {
    if !config.has_serial_terminal() {
        return Ok((Box::new(Uart::new(line, Box::new(log.clone()))), None));
    }
    let (input, out) = streams(&config.console, control)?;
    let serial = Serial::new(Box::new(line), input, out, event_fd()?);
    Ok((Box::new(serial.clone()), Some(serial)))
}

fn create_vcpus(
    vm: &Vm,
    config: &VmConfig,
    options: &RunOptions,
    start: boot::Entry,
) -> Result<Vcpus, VmmError> {
    let mut all = Vec::new();
    for index in 0..config.cpus {
        let fd = vm.create_vcpu(index, config.cpus, config.machine.model)?;
        if index == 0 {
            entry::set(&fd, start)?;
        }
        let stats = options.stats.then(|| VcpuStats::open(&fd).ok()).flatten();
        all.push(Vcpu::new(index as usize, fd, stats));
    }
    Ok(Vcpus::new(all))
}

/// Reads what the guest tells of itself, if there is a trace.
fn trace_guest(ram: &Arc<Ram>, model: Model, vcpus: &Vcpus) -> Option<trace::guest::Guest> {
    let clock = vcpus
        .all
        .first()
        .and_then(|vcpu| vcpu.fd().get_tsc_khz().ok());
    let wanted = trace::is_on() && model.is_ferrix();
    wanted.then(|| trace::guest::Guest::new(ram.clone(), clock.unwrap_or(0), vcpus.all.len()))
}

/// Milestones carry the count of emulated kernel instructions, where KVM has it.
fn count_instructions(milestones: &Milestones, vcpus: &Arc<Vcpus>) {
    let vcpus = Arc::downgrade(vcpus);
    milestones.count_with(Box::new(move || vcpus.upgrade()?.counter("insn_emulation")));
}
