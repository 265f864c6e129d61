//! Plugs virtio devices into a machine: window, interrupt line, queue notifications, back.

use std::io;
use std::sync::{Arc, Mutex};

use virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY;
use vmm_sys_util::eventfd::EventFd;

use crate::config::Windows;
use crate::console::target::Target;
use crate::control::Control;
use crate::devices::serial::Serial;
use crate::disk::Disk;
use crate::error::VmmError;
use crate::kvm::{Vm, event_fd};
use crate::memory::Ram;
use crate::sandbox::Sandbox;
use crate::virtio::blk::{Blk, Desk, Worker};
use crate::virtio::console::{Console, ConsoleBack};
use crate::virtio::mmio::Transport;
use crate::virtio::rng::{Rng, RngBack};
use crate::virtio::{Interrupt, Slot, VirtioDevice};

use super::tty::{Tty, streams};

/// The next free window, line by line.
pub struct Plug<'a> {
    vm: &'a Vm,
    ram: Arc<Ram>,
    places: Windows,
    /// Windows in order.
    pub windows: Vec<Transport>,
}

impl<'a> Plug<'a> {
    /// No devices yet.
    pub fn new(vm: &'a Vm, ram: Arc<Ram>, places: Windows) -> Self {
        Self {
            vm,
            ram,
            places,
            windows: Vec::new(),
        }
    }

    /// The line of the device that is plugged in next.
    fn interrupt(&self) -> Result<Arc<Interrupt>, VmmError> {
        let gsi = self.places.gsi(self.windows.len());
        Ok(Arc::new(Interrupt::new(Box::new(
            self.vm.interrupt_line(gsi)?,
        ))))
    }

    /// Plugs in a device whose queue n is notified through `events[n]`.
    fn add(
        &mut self,
        name: &str,
        device: Box<dyn VirtioDevice>,
        interrupt: Arc<Interrupt>,
        events: Vec<EventFd>,
    ) -> Result<(), VmmError> {
        let base = self.places.address(self.windows.len());
        for (queue, event) in events.iter().enumerate() {
            let register = base + u64::from(VIRTIO_MMIO_QUEUE_NOTIFY);
            self.vm.notify_on_write(register, queue as u32, event)?;
        }
        let (name, ram) = (format!("{name} at {base:#x}"), self.ram.clone());
        let window = Transport::new(name, device, ram, interrupt, events);
        self.windows.push(window);
        Ok(())
    }
}

/// The backs of a machine's devices.
pub struct Backs {
    /// Disks in order.
    pub disks: Vec<Worker>,
    /// The terminal.
    pub tty: Tty,
    /// The entropy source, for the event loop.
    pub rng: Arc<Mutex<RngBack>>,
}

impl Backs {
    /// Plugs in the disks, then the console unless the terminal is on the `uart`, then the entropy
    /// source.
    pub fn plug(
        plug: &mut Plug<'_>,
        disks: Vec<Disk>,
        uart: Option<Serial>,
        console: &Target,
        control: &Arc<Control>,
    ) -> Result<Self, VmmError> {
        let disks = disks
            .into_iter()
            .map(|disk| plug_disk(plug, disk))
            .collect::<Result<_, _>>()?;
        let tty = match uart {
            Some(uart) => Tty::Serial(uart),
            None => plug_console(plug, console, control)?,
        };
        let rng = plug_rng(plug)?;
        Ok(Self {
            disks,
            tty,
            rng: Arc::new(Mutex::new(rng)),
        })
    }

    /// Starts the disks' threads.
    pub fn start(&mut self, sandbox: Sandbox) -> io::Result<()> {
        self.disks
            .iter_mut()
            .try_for_each(|disk| disk.start(sandbox))
    }
}

fn plug_disk(plug: &mut Plug<'_>, disk: Disk) -> Result<Worker, VmmError> {
    let (disk, desk, interrupt) = (Arc::new(disk), Desk::default(), plug.interrupt()?);
    // Blocks when read, unlike the events of the event loop.
    let event = EventFd::new(libc::EFD_CLOEXEC).map_err(VmmError::host(MAKE_EVENT))?;
    let notified = event.try_clone().map_err(VmmError::host(MAKE_EVENT))?;
    let ram = plug.ram.clone();
    let worker = Worker::new(disk.clone(), ram, desk.clone(), interrupt.clone(), notified);
    let front = Box::new(Blk::new(disk, desk));
    plug.add("disk", front, interrupt, vec![event])?;
    Ok(worker)
}

fn plug_console(
    plug: &mut Plug<'_>,
    console: &Target,
    control: &Arc<Control>,
) -> Result<Tty, VmmError> {
    let (slot, interrupt) = (Slot::default(), plug.interrupt()?);
    let events = [event_fd()?, event_fd()?];
    let [receive, transmit] = &events;
    let notified = [clone(receive)?, clone(transmit)?];
    let (ram, streams) = (plug.ram.clone(), streams(console, control)?);
    let back = ConsoleBack::new(slot.clone(), ram, interrupt.clone(), notified, streams);
    let front = Console::new(slot, back.window());
    plug.add("console", Box::new(front), interrupt, events.into())?;
    Ok(Tty::Virtio(Arc::new(Mutex::new(back))))
}

fn plug_rng(plug: &mut Plug<'_>) -> Result<RngBack, VmmError> {
    let (slot, interrupt, event) = (Slot::default(), plug.interrupt()?, event_fd()?);
    let (ram, notified) = (plug.ram.clone(), clone(&event)?);
    let back = RngBack::new(slot.clone(), ram, interrupt.clone(), notified)
        .map_err(VmmError::host("open /dev/urandom"))?;
    plug.add(
        "entropy source",
        Box::new(Rng(slot)),
        interrupt,
        vec![event],
    )?;
    Ok(back)
}

const MAKE_EVENT: &str = "create an event file";

fn clone(event: &EventFd) -> Result<EventFd, VmmError> {
    event.try_clone().map_err(VmmError::host(MAKE_EVENT))
}
