//! The exit statuses of `vmm`: one enum, from which the help text and the README table come.
//!
//! The guest's own statuses (0 to 63, 126 to 128 + 64 by convention) pass through unchanged;
//! the monitor's are chosen from the range of `sysexits.h`, which programs rarely use.

use ferrix_machine::exit;

/// Why `vmm` ended, as its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The guest ended itself with this status through the exit port.
    Guest(u8),
    /// The command line is wrong.
    Usage,
    /// `/dev/kvm` is missing, may not be opened, or lacks a capability.
    Kvm,
    /// The manifest, the kernel, a module or the boot options are unusable.
    Image,
    /// A disk file is missing, malformed, locked or not writable.
    Disk,
    /// The guest crashed: triple fault, KVM internal error, failed entry.
    GuestCrash,
    /// The monitor itself failed: a host resource was refused.
    Host,
    /// `--timeout` ran out.
    Timeout,
    /// The kernel panicked.
    KernelPanic,
    /// The monitor was ended by this signal.
    Signal(u8),
}

impl ExitStatus {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Guest(status) => status,
            Self::Usage => 64,
            Self::Kvm => 65,
            Self::Image => 66,
            Self::Disk => 67,
            Self::GuestCrash => 69,
            Self::Host => 70,
            Self::Timeout => 124,
            Self::KernelPanic => exit::PANIC as u8,
            Self::Signal(number) => 128 + number,
        }
    }
}

/// The table printed by `vmm run --help`; `vmm/README.md` holds the same one.
pub const TABLE: &str = "\
Exit status:
  0-255  the guest's own (`poweroff N`, or the status of --command; 128+N after signal N)
  0      the guest reset the machine or powered it off by ACPI, or Ctrl-A x was typed
  64     bad usage
  65     /dev/kvm is missing, may not be opened, or lacks a capability
  66     bad image: manifest, kernel, module, memory size
  67     bad disk: missing, empty, odd size, locked, not writable, no ext2 for a root
  69     the guest crashed (triple fault, KVM internal error); a report is on standard error
  70     the host refused a resource
  71     Ferrix could not start its servers; its log says why
  124    --timeout ran out
  253    the guest's kernel panicked
  128+N  ended by signal N (129 SIGHUP, 130 SIGINT, 131 SIGQUIT, 143 SIGTERM)

SIGUSR1 asks where the guest is: registers, interrupts, backtraces, threads. It goes on.";

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status that the monitor chooses itself is in the table that users read.
    #[test]
    fn table_and_readme_name_every_status() {
        let readme = include_str!("../README.md");
        for status in [
            ExitStatus::Usage,
            ExitStatus::Kvm,
            ExitStatus::Image,
            ExitStatus::Disk,
            ExitStatus::GuestCrash,
            ExitStatus::Host,
            ExitStatus::Timeout,
            ExitStatus::KernelPanic,
        ] {
            let code = status.code().to_string();
            assert!(
                TABLE.lines().any(|l| l.trim_start().starts_with(&code)),
                "{code} in help"
            );
            assert!(readme.contains(&format!("| {code} |")), "{code} in README");
        }
    }
}
