//! The host: where the build put things, which tools there are, what this machine can do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::firecracker;
use crate::real;

/// The project's root.
pub fn root() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    above.canonicalize().unwrap_or(above)
}

/// A file that `scripts/build` makes, by its path in `target/`.
pub fn built(path: &str) -> Result<PathBuf> {
    let file = root().join("target").join(path);
    ensure!(
        file.exists(),
        "{} is missing: run scripts/build first",
        file.display()
    );
    Ok(file)
}

/// The monitor, not yet started, with the project's root as its folder.
pub fn monitor() -> Result<Command> {
    let mut command = Command::new(built("release/vmm")?);
    command.arg("run").current_dir(root());
    Ok(command)
}

/// A command that may be in `/sbin`, which a user's PATH does not always have.
pub fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/sbin:/usr/sbin"));
    command.stdin(Stdio::null());
    command
}

/// Standard output and standard error of a command that must succeed.
pub fn output(command: &mut Command) -> Result<(String, String)> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
    Ok((out, err))
}

/// What a test needs of the host beyond a compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `/dev/kvm` that may be opened.
    Kvm,
    /// The debugger.
    Gdb,
    /// The emulator for x86-64.
    Qemu,
    /// The Firecracker monitor, in the PATH or where `FIRECRACKER` says.
    Firecracker,
    /// Debian's busybox, which runs without any library.
    Busybox,
    /// What `scripts/real-programs` builds sqlite's tests from.
    Sqlite,
    /// What it builds LMDB's tests from.
    Lmdb,
    /// What it builds the test of threads with.
    Musl,
    /// Mount namespaces of one's own, and control over capabilities.
    Namespaces,
}

impl Need {
    /// Why this machine does not have it; none if it does.
    pub fn lacking(self) -> Option<String> {
        match self {
            Self::Kvm => std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/kvm")
                .err()
                .map(|error| format!("/dev/kvm: {error}")),
            Self::Gdb => lacking_tool("gdb", "gdb"),
            Self::Qemu => lacking_tool("qemu-system-x86_64", "qemu-system-x86"),
            Self::Firecracker => {
                let mut probe = Command::new(firecracker::program());
                let found = probe.arg("--version").stdout(Stdio::null()).status();
                let works = found.is_ok_and(|status| status.success());
                (!works).then(|| "firecracker is not in the PATH, nor in $FIRECRACKER".into())
            }
            Self::Busybox => in_path("busybox")
                .is_none()
                .then(|| "busybox is not installed (apt-get install busybox-static)".into()),
            Self::Sqlite => real::lacking("sqlite"),
            Self::Lmdb => real::lacking("lmdb"),
            Self::Musl => real::lacking("threads"),
            Self::Namespaces => {
                let mut probe = in_namespace("true");
                let refused = output(probe.arg("true")).err();
                refused.map(|_| "unshare and setpriv (util-linux) are not allowed here".into())
            }
        }
    }
}

/// Where a program is.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/sbin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn lacking_tool(name: &str, package: &str) -> Option<String> {
    let found = tool(name)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    (!found).then(|| format!("{name} is not installed (apt-get install {package})"))
}

/// A command that runs its arguments in a mount namespace of its own, after the shell command
/// `prepare`, as a user whom file permissions bind: without root's power to override them.
pub fn in_namespace(prepare: &str) -> Command {
    let namespaces = match rustix::process::getuid().is_root() {
        true => "--mount",
        // An ordinary user is root in a user namespace only.
        false => "--mount --map-root-user",
    };
    let script = format!(
        "{prepare} && exec setpriv --bounding-set=-dac_override,-dac_read_search -- \"$@\""
    );
    let mut command = tool("unshare");
    command
        .args(namespaces.split(' '))
        .args(["sh", "-c", &script, "sh"]);
    command
}
