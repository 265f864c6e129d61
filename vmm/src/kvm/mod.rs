//! The virtual machine as KVM sees it.
//!
//! [`Vm::create`] makes the machine with its in-kernel interrupt controllers and timer and maps
//! RAM; [`cpuid`] and [`entry`] shape its vCPUs; [`stats`] reads KVM's own counters.

pub mod cpuid;
pub mod entry;
#[expect(
    unsafe_code,
    reason = "KVM_SET_USER_MEMORY_REGION hands host memory to the guest"
)]
mod ram;
#[expect(unsafe_code, reason = "KVM_GET_STATS_FD has no wrapper in kvm-ioctls")]
pub mod stats;

use std::arch::x86_64::__cpuid;
use std::io;
use std::sync::Arc;

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use vmm_sys_util::eventfd::EventFd;

use crate::config::Model;
use crate::memory::Ram;

const DEVICE: &str = "/dev/kvm";
/// The only version of the API there ever was.
pub const API_VERSION: i32 = 12;
/// Three pages and one page that Intel's real-mode emulation needs, at QEMU's usual place.
const TSS_BASE: usize = 0xfffb_d000;
const IDENTITY_MAP_BASE: u64 = 0xfffb_c000;

/// Capabilities without which there is no machine.
pub const REQUIRED: [(Cap, &str); 7] = [
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Pit2, "KVM_CAP_PIT2"),
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

/// Why there is no virtual machine.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// No such device.
    #[error(
        "cannot open {DEVICE}: it does not exist; enable virtualization in the firmware and load kvm_intel or kvm_amd, or boot the image with QEMU (see README.md)"
    )]
    Missing,
    /// Not allowed.
    #[error(
        "cannot open {DEVICE}: permission denied; add yourself to its group (sudo usermod -aG kvm $USER, then log in again)"
    )]
    Permission,
    /// Any other reason not to open it.
    #[error("cannot open {DEVICE}: {0}; see whether another hypervisor holds the CPU")]
    Open(io::Error),
    /// An old or odd KVM.
    #[error("{DEVICE} lacks {0}; run a newer host kernel")]
    Lacks(&'static str),
    /// More vCPUs than KVM offers.
    #[error("{DEVICE} offers at most {most} CPUs; give --cpus {most} or less")]
    TooManyCpus {
        /// KVM_CAP_MAX_VCPUS.
        most: usize,
    },
    /// An ioctl failed.
    #[error("{DEVICE} refused to {what}: {source}; see the host's kernel log")]
    Ioctl {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// KVM's answer.
        source: io::Error,
    },
}

impl KvmError {
    /// Wraps an ioctl's error with what was being done, as a verb phrase.
    pub fn ioctl<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Ioctl {
            what,
            source: source.into(),
        }
    }
}

/// The system side: capabilities and supported CPUID.
pub struct System(Kvm);

impl System {
    /// Opens `/dev/kvm` and checks what the monitor depends on.
    pub fn open() -> Result<Self, KvmError> {
        let kvm = Kvm::new().map_err(|error| match io::Error::from(error) {
            e if e.kind() == io::ErrorKind::NotFound => KvmError::Missing,
            e if e.kind() == io::ErrorKind::PermissionDenied => KvmError::Permission,
            e => KvmError::Open(e),
        })?;
        if kvm.get_api_version() != API_VERSION {
            return Err(KvmError::Lacks("API version 12"));
        }
        match REQUIRED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
            Some((_, name)) => Err(KvmError::Lacks(name)),
            None => Ok(Self(kvm)),
        }
    }

    /// Whether KVM has a capability.
    pub fn offers(&self, cap: Cap) -> bool {
        self.0.check_extension(cap)
    }

    /// Most vCPUs of a machine.
    pub fn most_cpus(&self) -> usize {
        self.0.get_max_vcpus()
    }

    /// How this KVM executes kernels; none if it does not say what it supports.
    pub fn kernels(&self) -> Option<cpuid::Kernels> {
        let leaves = self
            .0
            .get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES);
        Some(cpuid::Kernels::of(&leaves.ok()?, __cpuid(1).ecx))
    }
}

/// A virtual machine with RAM, interrupt controllers and timer, and no vCPU yet.
pub struct Vm {
    system: System,
    fd: VmFd,
    /// Kept mapped for as long as the machine exists.
    _ram: Arc<Ram>,
}

impl Vm {
    /// Creates the machine.
    pub fn create(system: System, ram: Arc<Ram>) -> Result<Self, KvmError> {
        let fd = system
            .0
            .create_vm()
            .map_err(KvmError::ioctl("create a virtual machine"))?;
        // First: once devices are on KVM's bus, a new memory slot waits for a slow grace period.
        ram::map(&fd, &ram)?;
        fd.set_identity_map_address(IDENTITY_MAP_BASE)
            .map_err(KvmError::ioctl("place the identity map"))?;
        fd.set_tss_address(TSS_BASE)
            .map_err(KvmError::ioctl("place the task state segment"))?;
        fd.create_irq_chip()
            .map_err(KvmError::ioctl("create the interrupt controllers"))?;
        let pit = kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..Default::default()
        };
        fd.create_pit2(pit)
            .map_err(KvmError::ioctl("create the interval timer"))?;
        Ok(Self {
            system,
            fd,
            _ram: ram,
        })
    }

    /// Creates vCPU `index` of `count`, with its CPUID set as the machine has it.
    pub fn create_vcpu(&self, index: u32, count: u32, model: Model) -> Result<VcpuFd, KvmError> {
        let most = self.system.most_cpus();
        if count as usize > most {
            return Err(KvmError::TooManyCpus { most });
        }
        let vcpu = self
            .fd
            .create_vcpu(index.into())
            .map_err(KvmError::ioctl("create a virtual CPU"))?;
        let mut leaves = self
            .system
            .0
            .get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)
            .map_err(KvmError::ioctl("list supported CPUID leaves"))?;
        let topology = cpuid::Topology {
            apic_id: index,
            cpus: count,
        };
        let clocks = cpuid::Clocks {
            model,
            tsc_khz: vcpu.get_tsc_khz().unwrap_or(0),
            deadline_timer: self.system.offers(Cap::TscDeadlineTimer),
        };
        let kernels = cpuid::Kernels::of(&leaves, __cpuid(1).ecx);
        cpuid::shape(&mut leaves, topology, clocks, kernels)
            .map_err(|_| KvmError::Lacks("room for one more CPUID leaf"))?;
        vcpu.set_cpuid2(&leaves)
            .map_err(KvmError::ioctl("set CPUID"))?;
        Ok(vcpu)
    }

    /// An event file whose every write raises interrupt line `gsi` (edge).
    pub fn interrupt_line(&self, gsi: u32) -> Result<EventFd, KvmError> {
        let event = event_fd()?;
        self.fd
            .register_irqfd(&event, gsi)
            .map_err(KvmError::ioctl("attach an interrupt"))?;
        Ok(event)
    }

    /// Turns 32-bit writes of `value` to `address` into writes to `event`, without an exit.
    pub fn notify_on_write(
        &self,
        address: u64,
        value: u32,
        event: &EventFd,
    ) -> Result<(), KvmError> {
        self.fd
            .register_ioevent(event, &IoEventAddress::Mmio(address), value)
            .map_err(KvmError::ioctl("attach a queue notification"))
    }
}

/// A non-blocking event file.
pub fn event_fd() -> Result<EventFd, KvmError> {
    EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)
        .map_err(KvmError::ioctl("create an event file"))
}
