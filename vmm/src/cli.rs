//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::config::{DiskConfig, MachineConfig, MemorySize};
use crate::console::target::Target;
use crate::run::OnCrash;
use crate::sandbox::Sandbox;
use crate::status;

/// Runs a virtual machine on KVM.
#[derive(Debug, Parser)]
#[command(name = "vmm", version, after_help = status::TABLE)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `vmm`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boots an image or a kernel and runs it until it ends.
    Run(Box<RunOptions>),
    /// Says what `vmm run` with the same arguments would run, and everything that is wrong with it, without
    /// running it.
    Check(Box<RunOptions>),
    /// Says what this host's KVM offers.
    Info,
}

/// Options of `vmm run`. What is given here overrides the manifest.
///
/// The guest's console is standard input and output; Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A sends Ctrl-A.
#[derive(Debug, Default, Args)]
#[command(after_help = status::TABLE, args_override_self = true)]
pub struct RunOptions {
    /// Image manifest (TOML).
    #[arg(value_name = "IMAGE.toml", required_unless_present = "kernel")]
    pub image: Option<PathBuf>,

    /// Boot this kernel instead of an image: an ELF file with a PVH note, or Linux as bzImage or vmlinux.
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    pub kernel: Option<PathBuf>,

    /// The initrd of a Linux --kernel, the first boot module of a PVH one.
    #[arg(
        long,
        value_name = "FILE",
        requires = "kernel",
        conflicts_with = "image"
    )]
    pub initrd: Option<PathBuf>,

    /// Which machine to present: ferrix (the default) or firecracker, the latter without exit port, with
    /// the terminal on the UART. `,announce=acpi` or `,announce=cmdline` names the devices there only.
    #[arg(long, value_name = "MODEL[,announce=HOW]")]
    pub machine: Option<MachineConfig>,

    /// Number of virtual CPUs.
    #[arg(long, value_name = "N", value_parser = |text: &str| read::<u32>(text, "number of CPUs; write for example 4"))]
    pub cpus: Option<u32>,

    /// Guest RAM, e.g. 256M or 4G.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemorySize>,

    /// Attach a disk (raw); the first is the root. Replaces all disks of the manifest. The guest may not write
    /// to it with `,ro`; with `,snapshot` what it writes is dropped at the end.
    #[arg(long = "disk", value_name = "FILE[,ro|,snapshot]")]
    pub disks: Vec<DiskConfig>,

    /// Where the guest's console is: stdio (the default), pty (its name is printed), or unix:PATH (a socket, whose
    /// first connection it is; the guest waits for it).
    #[arg(long, value_name = "stdio|pty|unix:PATH")]
    pub console: Option<Target>,

    /// Run this command instead of a shell and exit with its status.
    #[arg(long, value_name = "CMD ARGS")]
    pub command: Option<String>,

    /// Append to the kernel's command line.
    #[arg(long, value_name = "CMDLINE", allow_hyphen_values = true)]
    pub append: Vec<String>,

    /// Wait for gdb on this address before the first instruction (port 0: any free port).
    #[arg(long, value_name = "ADDR:PORT", value_parser = |text: &str| read::<SocketAddr>(text, "address with a port; write for example 127.0.0.1:1234"))]
    pub gdb: Option<SocketAddr>,

    /// What to do when the guest dies: exit (the default), wait-gdb (wait for gdb to look at it, on the address of
    /// --gdb or any free port), or dump (write the core file vmm-PID.core).
    #[arg(
        long,
        value_name = "exit|wait-gdb|dump",
        default_value = "exit",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub on_crash: OnCrash,

    /// Print one JSON object with counters and boot milestones to standard error at the end.
    #[arg(long)]
    pub stats: bool,

    /// Write a trace of exits, interrupts, disk requests and the guest's milestones to this file, for Perfetto or
    /// chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// End the machine after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = |text: &str| read::<NonZeroU64>(text, "number of seconds; write 1 or more"))]
    pub timeout: Option<NonZeroU64>,

    /// Confine the monitor's threads to the system calls that they need: on (the default) or off.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub seccomp: Option<Sandbox>,

    /// Messages of the monitor: off, error, warn (the default), info, debug or trace.
    #[arg(long, value_name = "LEVEL", value_parser = |text: &str| read::<log::LevelFilter>(text, "level of messages; write off, error, warn, info, debug or trace"))]
    pub log_level: Option<log::LevelFilter>,
}

/// Reads a value; `kind` completes "it is no …" and says what to write.
fn read<T: FromStr>(text: &str, kind: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DiskMode;

    fn parse(arguments: &[&str]) -> Result<Box<RunOptions>, clap::Error> {
        let all = ["vmm", "run"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| match cli.command {
            Command::Run(options) => options,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn all_documented_options_parse() {
        let options = parse(&[
            "images/default.toml",
            "--machine",
            "firecracker,announce=acpi",
            "--cpus",
            "4",
            "--memory",
            "256M",
            "--disk",
            "a.img",
            "--disk",
            "b.img,ro",
            "--command",
            "sh -c 'exit 3'",
            "--append",
            "-x y",
            "--gdb",
            "127.0.0.1:0",
            "--stats",
            "--timeout",
            "7",
            "--log-level",
            "debug",
        ])
        .unwrap();
        assert_eq!(options.cpus, Some(4));
        assert_eq!(options.memory.unwrap().bytes(), 256 << 20);
        assert_eq!(options.disks[0].mode, DiskMode::ReadWrite);
        assert_eq!(options.disks[1].mode, DiskMode::ReadOnly);
        assert_eq!(options.append, ["-x y"]);
        assert_eq!(options.timeout, NonZeroU64::new(7));
        assert!(options.stats);
    }

    #[test]
    fn wrong_usage_is_refused() {
        assert!(parse(&[]).is_err(), "no image");
        assert!(parse(&["a.toml", "--kernel", "k"]).is_err(), "both");
        assert!(
            parse(&["a.toml", "--initrd", "i"]).is_err(),
            "initrd without kernel"
        );
        assert!(parse(&["a.toml", "--memory", "lots"]).is_err(), "memory");
        assert!(parse(&["a.toml", "--timeout", "0"]).is_err(), "timeout");
    }
}
