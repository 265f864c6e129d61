//! The monitor's top-level error: one variant a layer, and the exit status that goes with it.

use crate::boot::BootError;
use crate::config::ConfigError;
use crate::disk::DiskError;
use crate::kvm::KvmError;
use crate::status::ExitStatus;

/// Anything that keeps a machine from running. The layer's message says what, which file, and
/// what to do.
#[derive(Debug, thiserror::Error)]
pub enum VmmError {
    /// Options or manifest.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Kernel, modules, boot information.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Disk files.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// `/dev/kvm` and its ioctls.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The debugger's address.
    #[error(
        "cannot listen for gdb on {address}: {source}; choose another address or port (port 0 takes any free one)"
    )]
    Gdb {
        /// As given.
        address: std::net::SocketAddr,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The console cannot be where it is to be.
    #[error(
        "cannot open the console on {target}: {source}; choose another place by --console: stdio, pty, or unix:PATH where nothing is yet"
    )]
    Console {
        /// As given.
        target: String,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The file of `--trace`.
    #[error("cannot write a trace to {}: {source}; name another file by --trace", path.display())]
    Trace {
        /// As given.
        path: std::path::PathBuf,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The host confines nobody.
    #[error("cannot confine the monitor's threads: {0}; run without by --seccomp off")]
    Sandbox(std::io::Error),
    /// A host resource (thread, event file, socket) was refused.
    #[error("cannot {what}: {source}; check the limits of this process (ulimit -a)")]
    Host {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The host's answer.
        source: std::io::Error,
    },
}

impl VmmError {
    /// Wraps a host error with what was being done, as a verb phrase.
    pub fn host(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Host { what, source }
    }

    /// The exit status documented for this error.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::Config(ConfigError::Usage(_)) => ExitStatus::Usage,
            Self::Config(_) | Self::Boot(_) => ExitStatus::Image,
            Self::Disk(_) => ExitStatus::Disk,
            Self::Kvm(_) => ExitStatus::Kvm,
            Self::Gdb { .. }
            | Self::Console { .. }
            | Self::Trace { .. }
            | Self::Sandbox(_)
            | Self::Host { .. } => ExitStatus::Host,
        }
    }
}
