//! What a guest is made of, whichever machine boots it.

use crate::disk::Disk;

/// Which programs the machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The servers and the shell: `images/default.toml`.
    Default,
    /// The kernel's own tests, alone: `images/ktest.toml`.
    KernelTests,
    /// The same on a kernel that checks its lock discipline: `images/lockdep.toml`.
    LockTests,
}

/// How QEMU tells of its virtio devices and CPUs. Our monitor always uses the command line and the MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// ACPI: several CPUs in the MADT, devices in the DSDT.
    Acpi,
    /// No ACPI: one CPU, devices on the kernel's command line.
    CommandLine,
}

/// What the guest's terminal is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// virtio-console; the UART has the kernel's log.
    Virtio,
    /// The UART, with the kernel's log between the output; there is no virtio-console.
    Serial,
}

/// A guest before its start: one CPU, 256 MiB, the default image, no disk.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) payload: Payload,
    pub(crate) cpus: u32,
    pub(crate) memory: u32,
    /// As `vmm run --disk` takes it: `FILE` or `FILE,ro`.
    pub(crate) disks: Vec<String>,
    pub(crate) command: Option<String>,
    pub(crate) append: Vec<String>,
    pub(crate) firmware: Firmware,
    pub(crate) console: Console,
    pub(crate) monitor: Vec<String>,
    pub(crate) qemu: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            payload: Payload::Default,
            cpus: 1,
            memory: 256,
            disks: Vec::new(),
            command: None,
            append: Vec::new(),
            firmware: Firmware::Acpi,
            console: Console::Virtio,
            monitor: Vec::new(),
            qemu: Vec::new(),
        }
    }
}

impl Options {
    /// The default image.
    pub fn new() -> Self {
        Self::default()
    }

    /// The kernel's own tests.
    pub fn kernel_tests() -> Self {
        Self {
            payload: Payload::KernelTests,
            ..Self::default()
        }
    }

    /// The kernel's own tests, on a kernel that checks its lock discipline.
    pub fn lock_tests() -> Self {
        Self {
            payload: Payload::LockTests,
            ..Self::default()
        }
    }

    /// Number of CPUs.
    pub fn cpus(self, cpus: u32) -> Self {
        Self { cpus, ..self }
    }

    /// Memory in MiB.
    pub fn memory(self, memory: u32) -> Self {
        Self { memory, ..self }
    }

    /// One more disk; the first is the root.
    pub fn disk(mut self, disk: &Disk) -> Self {
        self.disks.push(disk.argument());
        self
    }

    /// Runs this instead of a shell, and ends with its status.
    pub fn command(self, command: &str) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }

    /// More words for the kernel's command line.
    pub fn append(mut self, words: &str) -> Self {
        self.append.push(words.into());
        self
    }

    /// How QEMU describes the machine.
    pub fn firmware(self, firmware: Firmware) -> Self {
        Self { firmware, ..self }
    }

    /// What the terminal is on.
    pub fn console(self, console: Console) -> Self {
        Self { console, ..self }
    }

    /// Options of `vmm run` that other machines do not have.
    pub fn monitor(mut self, options: &[&str]) -> Self {
        self.monitor.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Options of QEMU that other machines do not have.
    pub fn qemu(mut self, options: &[&str]) -> Self {
        self.qemu.extend(options.iter().map(ToString::to_string));
        self
    }
}
