//! The machine's files: the kernel's own trees, the kernel modules from the initramfs, and the host's
//! root below an overlay in memory.

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};
use rustix::process::chroot;
use rustix::system::init_module;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::ffi::CStr;
use std::fs;
use std::path::Path;

/// Lists the modules of the initramfs in the order in which they load.
const MODULE_LIST: &str = "/modules";
/// The shared folder's name, as the host gives it to QEMU.
const HOST_TAG: &str = "host";
/// The kernel makes this option of its command line a variable of ours.
const ORDINARY_USER: &str = "ordinary_user";
const NEW_ROOT: &str = "/new";

/// Mounts `/dev`, `/proc` and `/sys`.
pub fn mount_kernel_trees() -> Result<()> {
    for (kind, target) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        attach(kind, kind, target, c"")?;
    }
    Ok(())
}

/// Loads what the host found to be needed, dependencies first.
pub fn load_modules() -> Result<()> {
    for name in fs::read_to_string(MODULE_LIST)
        .context(MODULE_LIST)?
        .lines()
    {
        let image = fs::read(Path::new("/").join(name)).with_context(|| name.to_owned())?;
        init_module(&image, c"").with_context(|| format!("loading the kernel module {name}"))?;
    }
    Ok(())
}

/// Makes the host's tree the root. What is written goes to memory and is gone with the machine.
pub fn enter_host_tree() -> Result<()> {
    attach("virtiofs", HOST_TAG, "/host", c"")?;
    attach("tmpfs", "changes", "/changes", c"mode=755")?;
    for folder in ["/changes/upper", "/changes/work"] {
        fs::create_dir(folder).context(folder)?;
    }
    let layers = c"lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work";
    without_ownership(|| attach("overlay", "overlay", NEW_ROOT, layers))?;
    for tree in ["/dev", "/proc", "/sys"] {
        let target = format!("{NEW_ROOT}{tree}");
        mount_move(tree, &target).with_context(|| format!("moving {tree} to {target}"))?;
    }
    std::env::set_current_dir(NEW_ROOT)?;
    mount_move(".", "/").context("making the new root the root")?;
    chroot(".").context("entering the new root")?;
    std::env::set_current_dir("/")?;
    attach("devpts", "devpts", "/dev/pts", c"ptmxmode=666,mode=620")?;
    attach("tmpfs", "shm", "/dev/shm", c"mode=1777")?;
    mount_bind("/dev/pts/ptmx", "/dev/ptmx").context("/dev/ptmx")?;
    link_descriptors()
}

/// An overlay works with the rights of who mounts it, and opens files with `O_NOATIME` if these include
/// the rights of every owner. The host refuses that if it shares its files as an ordinary user.
fn without_ownership(mount_it: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(ORDINARY_USER).is_none() {
        return mount_it();
    }
    let all = capabilities(None)?;
    let mut fewer = all;
    fewer.effective.remove(CapabilitySet::FOWNER);
    set_capabilities(None, fewer)?;
    let mounted = mount_it();
    set_capabilities(None, all)?;
    mounted
}

/// The names that udev would make.
fn link_descriptors() -> Result<()> {
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        std::os::unix::fs::symlink(target, Path::new("/dev").join(name))
            .with_context(|| format!("/dev/{name}"))?;
    }
    Ok(())
}

fn attach(kind: &str, source: &str, target: &str, options: &CStr) -> Result<()> {
    fs::create_dir_all(target).context(target.to_owned())?;
    mount(source, target, kind, MountFlags::empty(), options)
        .with_context(|| format!("mounting {kind} on {target}"))
}
