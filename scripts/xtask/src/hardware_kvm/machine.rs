//! The machine: QEMU's emulation of a CPU with SVM, the host's files by virtio-fs, four virtio-serial
//! ports for the command's streams, and the kernel's own console in a log file.

use super::kit::{FOLDER, Kit};
use super::options::Options;
use super::overseer::Overseer;
use super::virtiofsd;
use crate::tool;
use anyhow::{Context, Result};
use hardware_kvm_init::PORTS;
use rustix::io::{FdFlags, fcntl_setfd};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Everything that QEMU can emulate but the promise that string instructions are fast: emulated, they are
/// what is slow, one iteration at a time, and the kernel would clear its pages by them.
const CPU: &str = "max,-erms,-fsrm";
/// Tells our init that the host's files are shared without root's rights.
const ORDINARY_USER: &str = "ordinary_user=1";
/// Without bounce buffers: every device here reaches all memory, and clearing 64 MiB takes a third of the start.
const KERNEL_OPTIONS: &str = "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check nokaslr \
                              cryptomgr.notests swiotlb=noforce";
/// Lines of the kernel's console that a failure shows.
const TAIL: usize = 20;

/// A machine that runs; it ends when the value is dropped, and with this process, however that ends.
pub struct Machine {
    qemu: Child,
    virtiofsd: Child,
    console: PathBuf,
    overseer: Overseer,
    /// Our ends of the ports, in the order of [`PORTS`].
    pub ports: [UnixStream; 4],
}

/// Starts a machine; it is not up yet.
pub fn boot(kit: &Kit, options: &Options) -> Result<Machine> {
    let (listener, files) = file_socket()?;
    fcntl_setfd(&listener, FdFlags::empty())?;
    let virtiofsd = virtiofsd::start(&listener)?;
    drop(listener);
    let console = console_log()?;
    let mut qemu = bound_to_us("qemu-system-x86_64");
    describe(&mut qemu, kit, options, &console);
    attach_files(&mut qemu, &files)?;
    let mut ours = Vec::new();
    let mut theirs = vec![files];
    for name in PORTS {
        let (our_end, their_end) = UnixStream::pair()?;
        let their_end = OwnedFd::from(their_end);
        attach_port(&mut qemu, name, &their_end)?;
        ours.push(our_end);
        theirs.push(their_end);
    }
    let (overseer, theirs_too) = UnixStream::pair()?;
    let theirs_too = OwnedFd::from(theirs_too);
    attach_socket(&mut qemu, "overseer", &theirs_too)?;
    qemu.args(["-mon", "chardev=overseer,mode=control"]);
    theirs.push(theirs_too);
    let qemu = qemu.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let qemu = qemu.context("running qemu-system-x86_64")?;
    drop(theirs);
    Ok(Machine {
        qemu,
        virtiofsd,
        console,
        overseer: Overseer::of(overseer),
        ports: ours.try_into().ok().context("four ports")?,
    })
}

/// A log of our own; those of processes that were killed go.
fn console_log() -> Result<PathBuf> {
    for entry in std::fs::read_dir(FOLDER).context(FOLDER)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let process = name
            .strip_prefix("console-")
            .and_then(|rest| rest.strip_suffix(".log"));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_file(Path::new(FOLDER).join(&*name)); // another may be faster
        }
    }
    let name = format!("console-{}.log", std::process::id());
    Ok(Path::new(FOLDER).join(name))
}

/// A command that is killed when this process dies.
pub fn bound_to_us(program: &str) -> Command {
    let mut command = tool("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A listening socket and one connection to it: the path is gone before anyone else could use it.
fn file_socket() -> Result<(OwnedFd, OwnedFd)> {
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let path = folder.path().join("files");
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    let connection = UnixStream::connect(&path).with_context(|| path.display().to_string())?;
    Ok((listener.into(), connection.into()))
}

fn describe(qemu: &mut Command, kit: &Kit, options: &Options, console: &Path) {
    let memory = format!(
        "memory-backend-memfd,id=memory,size={},share=on",
        options.memory
    );
    qemu.args(["-M", "q35,memory-backend=memory", "-object", &memory])
        .args(["-m", &options.memory, "-smp", &options.cpus.to_string()])
        .args(["-accel", "tcg,thread=multi", "-cpu", CPU])
        .args([
            "-display",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-kernel")
        .arg(&kit.kernel)
        .arg("-initrd")
        .arg(&kit.initramfs)
        .args(["-append", &kernel_options(), "-device", "virtio-serial-pci"]);
}

fn kernel_options() -> String {
    if rustix::process::geteuid().is_root() {
        return KERNEL_OPTIONS.to_owned();
    }
    format!("{KERNEL_OPTIONS} {ORDINARY_USER}")
}

fn attach_files(qemu: &mut Command, socket: &OwnedFd) -> Result<()> {
    attach_socket(qemu, "files", socket)?;
    qemu.args(["-device", "vhost-user-fs-pci,chardev=files,tag=host"]);
    Ok(())
}

fn attach_port(qemu: &mut Command, name: &str, socket: &OwnedFd) -> Result<()> {
    attach_socket(qemu, name, socket)?;
    let device = format!("virtserialport,chardev={name},name={name}");
    qemu.args(["-device", &device]);
    Ok(())
}

/// QEMU inherits the descriptor. We start nothing else until our copy is closed.
fn attach_socket(qemu: &mut Command, name: &str, socket: &OwnedFd) -> Result<()> {
    fcntl_setfd(socket.as_fd(), FdFlags::empty())?;
    let chardev = format!("socket,id={name},fd={}", socket.as_raw_fd());
    qemu.args(["-chardev", &chardev]);
    Ok(())
}

impl Machine {
    /// Where its CPUs are, as QEMU tells it, for a machine that stopped.
    pub fn state(&self) -> String {
        self.overseer
            .cpus()
            .unwrap_or_else(|error| format!("QEMU does not answer either: {error:#}"))
    }

    /// The end of the kernel's console, for a machine that failed; keeps the log.
    pub fn last_words(&self) -> String {
        let console = self.console.with_file_name("console.log");
        let _ = std::fs::rename(&self.console, &console);
        let log = std::fs::read(&console).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        format!(
            "the kernel's console ({}) ends with:\n{tail}",
            console.display()
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both before either is waited for: virtiofsd complains when it sees QEMU go.
        let mut children = [&mut self.qemu, &mut self.virtiofsd];
        for child in &mut children {
            let _ = child.kill(); // it may be gone
        }
        for child in &mut children {
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(&self.console);
    }
}
