//! Shares the host's root with the machine. Nothing is written through it: the machine mounts it below
//! an overlay.

use super::machine::bound_to_us;
use anyhow::{Context, Result, bail};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where distributions put it. The first is QEMU's own, in C (Debian 12, Ubuntu 22.04); the others are
/// the later one in Rust, with other options.
const PLACES: &[(&str, Kind)] = &[
    ("/usr/lib/qemu/virtiofsd", Kind::C),
    ("/usr/libexec/virtiofsd", Kind::Rust),
    ("/usr/lib/virtiofsd", Kind::Rust),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    C,
    Rust,
}

/// Starts the server of one machine on a listening socket; it ends when that machine does.
pub fn start(listener: &OwnedFd) -> Result<Child> {
    let installed = PLACES.iter().find(|(place, _)| Path::new(place).exists());
    let Some((program, kind)) = installed else {
        bail!(
            "virtiofsd is missing: install the package virtiofsd, or qemu-system-common on Debian 12 (`scripts/setup` does)"
        );
    };
    let root = rustix::process::geteuid().is_root();
    let mut command = match kind {
        // It wants to be root, if only in a user namespace.
        Kind::C if !root => {
            let mut unshare = Command::new("unshare");
            unshare.arg("--map-root-user");
            let inner = bound_to_us(program);
            unshare.arg(inner.get_program()).args(inner.get_args());
            unshare
        }
        _ => bound_to_us(program),
    };
    match kind {
        Kind::C => command.args(["-o", "source=/,cache=always,sandbox=chroot,log_level=err"]),
        Kind::Rust => command
            .args([
                "--shared-dir=/",
                "--cache=always",
                "--no-announce-submounts",
                "--log-level=error",
            ])
            .arg(if root {
                "--sandbox=chroot"
            } else {
                "--sandbox=none"
            }),
    };
    command
        .arg(format!("--fd={}", listener.as_raw_fd()))
        .arg(format!("--rlimit-nofile={}", most_files()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("running {program}"))
}

/// An open file for each file that the machine knows; an ordinary user cannot raise the hard limit.
fn most_files() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.maximum.unwrap_or(1 << 20)
}
