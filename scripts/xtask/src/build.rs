//! Builds the parts, each for its target, and then the image.

use crate::{cargo, image, run, tool};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The bare-metal binaries: package, features, binary.
pub const GUEST: &[(&str, &str)] = &[
    ("ferrix-kernel", ""),
    ("init", "init/guest"),
    ("blk", "blk/guest"),
    ("console", "console/guest"),
    ("ferrix-ext2", "ferrix-ext2/guest"),
    ("vfs", "vfs/guest"),
    ("queue", "queue/guest"),
    ("posix", "posix/guest"),
    ("bench", "bench/guest"),
    ("ktest", "ktest/guest"),
    ("vmm-checks", "vmm-checks/guest"),
];

/// Boot modules of the default image.
const MODULES: &[&str] = &["init", "blk", "console", "ext2", "vfs", "queue", "posix"];

const GUEST_TARGET: &str = "x86_64-unknown-none";
const PROGRAM_TARGET: &str = "x86_64-unknown-linux-musl";

/// Everything.
pub fn all() -> Result<()> {
    monitor()?;
    guest()?;
    checked_kernel()?;
    programs()?;
    modules()?;
    image::update(
        &Path::new("target")
            .join(PROGRAM_TARGET)
            .join("programs/ferrix-programs"),
    )
}

/// One static binary: it runs on any Linux, starts without a dynamic linker, and takes less memory. Where the system
/// has no C library for that, a dynamic one.
fn monitor() -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["rustc", "--quiet", "--release"]);
    cargo.args(["--package", "vmm", "--bin", "vmm", "--"]);
    if has_static_c_library() {
        cargo.args(["-C", "target-feature=+crt-static"]);
    } else {
        eprintln!("the monitor is linked dynamically: there is no libc.a");
    }
    run(&mut cargo)
}

/// The compiler gives the path of a file that it finds, and the bare name of one that it does not.
fn has_static_c_library() -> bool {
    let asked = tool("cc").arg("-print-file-name=libc.a").output();
    asked.is_ok_and(|answer| answer.stdout.starts_with(b"/"))
}

/// `cargo COMMAND` for every bare-metal package.
pub fn guest_cargo(command: &str) -> std::process::Command {
    let mut cargo = cargo();
    cargo.args([
        command,
        "--quiet",
        "--release",
        "--target",
        GUEST_TARGET,
        "--bins",
    ]);
    for (package, _) in GUEST {
        cargo.args(["--package", package]);
    }
    let features: Vec<&str> = GUEST
        .iter()
        .map(|(_, feature)| *feature)
        .filter(|f| !f.is_empty())
        .collect();
    cargo.args(["--features", &features.join(",")]);
    cargo
}

fn guest() -> Result<()> {
    run(&mut guest_cargo("build"))
}

/// The kernel that checks its lock discipline, beside the ordinary one, which it does not replace.
fn checked_kernel() -> Result<()> {
    let target = Path::new("target/lockdep");
    run(cargo()
        .args(["build", "--quiet", "--release", "--target", GUEST_TARGET])
        .args(["--package", "ferrix-kernel", "--bin", "ferrix-kernel"])
        .args(["--features", "lockdep", "--target-dir"])
        .arg(target))?;
    let kernel = target.join(GUEST_TARGET).join("release/ferrix-kernel");
    fs::create_dir_all("target/image")?;
    copy_if_newer(&kernel, Path::new("target/image/kernel-lockdep"))
}

fn programs() -> Result<()> {
    let package = ["--package", "ferrix-programs"];
    run(cargo()
        .args([
            "build",
            "--quiet",
            "--profile",
            "programs",
            "--target",
            PROGRAM_TARGET,
        ])
        .args(package))
}

/// Puts the kernel (with its symbols, which the monitor and gdb read) and the stripped modules where the
/// manifest names them.
fn modules() -> Result<()> {
    let from = Path::new("target").join(GUEST_TARGET).join("release");
    let to = Path::new("target/image");
    fs::create_dir_all(to)?;
    copy_if_newer(&from.join("ferrix-kernel"), &to.join("kernel"))?;
    for module in MODULES {
        let (source, target) = (from.join(module), to.join(module));
        if is_newer(&source, &target)? {
            run(tool("strip").arg("-o").arg(&target).arg(&source))?;
        }
    }
    for alone in ["bench", "ktest", "vmm-checks"] {
        copy_if_newer(&from.join(alone), &to.join(alone))?;
    }
    copy_if_newer(Path::new("images/servers.manifest"), &to.join("manifest"))?;
    archive(to)
}

/// All modules in one file, `init` first, for loaders that take only one.
fn archive(folder: &Path) -> Result<()> {
    let files: Vec<PathBuf> = MODULES
        .iter()
        .chain(&["manifest"])
        .map(|name| folder.join(name))
        .collect();
    let archive = folder.join("modules.cpio");
    for file in &files {
        if is_newer(file, &archive)? {
            let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
            return crate::archive::write(&files, &archive);
        }
    }
    Ok(())
}

fn copy_if_newer(source: &Path, target: &Path) -> Result<()> {
    if is_newer(source, target)? {
        fs::copy(source, target).with_context(|| format!("copying {}", source.display()))?;
    }
    Ok(())
}

/// Whether the target is missing or older than the source.
pub fn is_newer(source: &Path, target: &Path) -> Result<bool> {
    let changed = fs::metadata(source)
        .with_context(|| source.display().to_string())?
        .modified()?;
    Ok(fs::metadata(target)
        .and_then(|target| target.modified())
        .map_or(true, |made| made < changed))
}
