//! The machines that the same tests run on, and what differs between them.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::host::Need;
use crate::options::Options;
use crate::{monitor, qemu};

/// Names the machine for a test program: `kvm` (the default), `hardware`, `qemu`, or `none` for no test.
pub const VARIABLE: &str = "FERRIX_MACHINE";

/// By how many times itself a busy host makes everything longer. Only tests that fail wait for it.
const BUSY_HOST: u32 = 2;

/// What boots the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The monitor on the `/dev/kvm` at hand.
    Kvm,
    /// The monitor on hardware KVM, by `scripts/hardware-kvm`: the same, inside an emulated computer.
    Hardware,
    /// QEMU's `microvm`, emulated, without any KVM.
    Qemu,
}

impl Machine {
    /// The one that [`VARIABLE`] names; none for `none`.
    pub fn chosen() -> Result<Option<Self>> {
        match std::env::var(VARIABLE) {
            Ok(name) => Self::named(&name),
            Err(_) => Ok(Some(Self::Kvm)),
        }
    }

    fn named(name: &str) -> Result<Option<Self>> {
        Ok(Some(match name {
            "" | "kvm" => Self::Kvm,
            "hardware" => Self::Hardware,
            "qemu" => Self::Qemu,
            "none" => return Ok(None),
            other => {
                bail!("{VARIABLE}={other}: no such machine; expected kvm, hardware, qemu or none")
            }
        }))
    }

    /// The machine of the running test.
    pub fn current() -> Result<Self> {
        match Self::chosen()? {
            Some(machine) => Ok(machine),
            None => bail!("{VARIABLE}=none: there is no machine to boot"),
        }
    }

    /// Whether our monitor runs the guest.
    pub fn is_monitor(self) -> bool {
        self != Self::Qemu
    }

    /// Why it cannot run here; none if it can.
    pub fn lacking(self) -> Option<String> {
        match self {
            Self::Kvm | Self::Hardware => Need::Kvm.lacking(),
            Self::Qemu => Need::Qemu.lacking(),
        }
    }

    /// How much longer work takes than natively: the one place for it.
    pub fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 1,
            // Both are emulated instruction by instruction.
            Self::Hardware | Self::Qemu => 4,
        }
    }

    /// A time limit as this machine needs it, also beside other work of the host.
    pub fn limit(self, time: Duration) -> Duration {
        time * (self.slowness() + BUSY_HOST)
    }

    /// The command that boots a guest.
    pub fn command(self, options: &Options) -> Result<Command> {
        match self {
            Self::Kvm | Self::Hardware => monitor::command(options, self),
            Self::Qemu => qemu::command(options),
        }
    }

    /// Whether the process's `status` tells that the guest ended with `expected`.
    pub fn tells(self, status: ExitStatus, expected: u8) -> bool {
        match self {
            Self::Kvm | Self::Hardware => status.code() == Some(expected.into()),
            Self::Qemu => qemu::tells(status, expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Machine::named("kvm").unwrap(), Some(Machine::Kvm));
        assert_eq!(Machine::named("qemu").unwrap(), Some(Machine::Qemu));
        assert_eq!(Machine::named("none").unwrap(), None);
        let error = Machine::named("vax").unwrap_err().to_string();
        assert!(error.contains("vax") && error.contains("hardware"));
    }

    #[test]
    fn the_emulated_ones_get_more_time() {
        let second = Duration::from_secs(1);
        let kvm = Machine::Kvm.limit(second);
        assert!(kvm > second);
        assert!(Machine::Hardware.limit(second) > kvm);
        assert!(Machine::Qemu.limit(second) > kvm);
    }
}
