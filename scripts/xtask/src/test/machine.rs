//! The machines of the table: what they are called, whether they are here, how a program is run on them.

use crate::hardware_kvm::FAILURE;
use crate::tool;
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Names the machine for the guest tests: `tests/src/machine.rs`.
pub const VARIABLE: &str = "FERRIX_MACHINE";
/// Runs a command with a hardware KVM.
const HARDWARE_KVM: &str = "scripts/hardware-kvm";

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The host's `/dev/kvm`.
    Kvm,
    /// Hardware KVM, in an emulated computer.
    Hardware,
    /// QEMU's `microvm` without any KVM.
    Qemu,
}

impl Machine {
    /// The one of this name.
    pub fn named(name: &str) -> Result<Self> {
        let machine = super::MACHINES.into_iter().find(|one| one.name() == name);
        match machine {
            Some(machine) => Ok(machine),
            None => bail!("no machine `{name}`: expected kvm, hardware or qemu"),
        }
    }

    /// What `--machine` and [`VARIABLE`] call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hardware => "hardware",
            Self::Qemu => "qemu",
        }
    }

    /// What the table calls it.
    pub fn title(self) -> String {
        match self {
            Self::Kvm => host_title(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            Self::Hardware => "hardware KVM (nested in TCG)".into(),
            Self::Qemu => "QEMU microvm (TCG)".into(),
        }
    }

    /// Why it is not here; none if it is.
    pub fn lacking(self) -> Result<Option<String>> {
        Ok(match self {
            Self::Kvm => fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/kvm")
                .err()
                .map(|error| format!("/dev/kvm: {error}")),
            Self::Hardware => hardware_lacking()?,
            Self::Qemu => qemu_lacking(),
        })
    }

    /// `program` with these variables, to be run there; its arguments follow.
    pub fn command(self, program: &Path, settings: &[String]) -> Command {
        let mut command = match self {
            Self::Kvm | Self::Qemu => Command::new("env"),
            Self::Hardware => Command::new(HARDWARE_KVM),
        };
        if self == Self::Hardware {
            command.arg("env");
        }
        command.arg(format!("{VARIABLE}={}", self.name()));
        command.args(settings).arg(program);
        command
    }

    /// Whether this status of a run says that the machine itself stopped: an emulated computer may, as a whole.
    pub fn stopped(self, status: ExitStatus) -> bool {
        self == Self::Hardware && status.code() == Some(i32::from(FAILURE))
    }
}

/// KVM uses the processor's virtualization where the processor has it.
fn host_title(cpuinfo: &str) -> String {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    let mut words = flags.unwrap_or_default().split_whitespace();
    let kind = match words.any(|flag| flag == "vmx" || flag == "svm") {
        true => "hardware",
        false => "no hardware virtualization",
    };
    format!("host /dev/kvm ({kind})")
}

/// The emulated computer boots in seconds: the surest look is to use it.
fn hardware_lacking() -> Result<Option<String>> {
    if !Path::new(HARDWARE_KVM).exists() {
        return Ok(Some(format!("{HARDWARE_KVM} does not exist")));
    }
    let output = Command::new(HARDWARE_KVM)
        .args(["test", "-c", "/dev/kvm"])
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Ok(Some(format!(
        "{HARDWARE_KVM}: {}: {}",
        output.status,
        last.unwrap_or("it says nothing").trim()
    )))
}

fn qemu_lacking() -> Option<String> {
    let version = tool("qemu-system-x86_64")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = version.is_ok_and(|status| status.success());
    (!found).then(|| "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_kvm_is_named_by_what_the_processor_has() {
        let intel = "processor : 0\nflags\t\t: fpu vmx sse\nvmx flags : ept\n";
        assert_eq!(host_title(intel), "host /dev/kvm (hardware)");
        let none = "processor : 0\nflags\t\t: fpu sse\n";
        assert_eq!(
            host_title(none),
            "host /dev/kvm (no hardware virtualization)"
        );
    }

    #[test]
    fn hardware_runs_the_same_program() {
        let settings = ["FERRIX_TESTS=quick".to_string()];
        let command = Machine::Hardware.command(Path::new("/t/guest"), &settings);
        assert_eq!(command.get_program(), HARDWARE_KVM);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(
            arguments,
            [
                "env",
                "FERRIX_MACHINE=hardware",
                "FERRIX_TESTS=quick",
                "/t/guest"
            ]
        );
        let here = Machine::Qemu.command(Path::new("/t/guest"), &[]);
        assert_eq!(here.get_args().count(), 2);
    }
}
