//! The root file system: a staging folder made into an ext2 image by `mke2fs -d`.
//!
//! Two files come of it: `root.img`, which nobody boots, and `disk.img`, a copy that
//! `vmm run images/default.toml` reads and writes. Both are made anew only when an input changed.

use crate::{run, tool};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: &str = "96M";
const FOLDER: &str = "target/image";
const SKELETON: &str = "images/rootfs";
/// Directories of the root file system, with their permissions.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
];

/// Makes the image if the programs or the skeleton changed.
pub fn update(programs: &Path) -> Result<()> {
    let folder = Path::new(FOLDER);
    let (root, stamp) = (folder.join("root.img"), folder.join("root.stamp"));
    let inputs = describe_inputs(programs)?;
    if root.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return work_copy(&root);
    }
    let staging = folder.join("staging");
    stage(&staging, programs)?;
    let fresh = folder.join("root.img.new");
    make(&staging, &fresh)?;
    fs::rename(&fresh, &root)?;
    fs::write(stamp, inputs)?;
    work_copy(&root)
}

/// What the image is made of: path, size and time of change of every input.
fn describe_inputs(programs: &Path) -> Result<String> {
    let mut files = files_below(Path::new(SKELETON))?;
    files.push(programs.to_path_buf());
    let mut text = format!("{SIZE} {DIRECTORIES:?}\n");
    for file in files {
        let metadata = fs::metadata(&file).with_context(|| file.display().to_string())?;
        writeln!(
            text,
            "{} {} {}.{}",
            file.display(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        )?;
    }
    Ok(text)
}

/// All files in a folder and its folders, sorted.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn stage(staging: &Path, programs: &Path) -> Result<()> {
    if staging.exists() {
        fs::remove_dir_all(staging)?;
    }
    for (directory, mode) in DIRECTORIES {
        let path = staging.join(directory);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    for file in files_below(Path::new(SKELETON))? {
        let target = staging.join(file.strip_prefix(SKELETON)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, &target)?;
    }
    install_programs(&staging.join("bin"), programs)
}

/// One binary, a hard link for each of its names.
fn install_programs(bin: &Path, programs: &Path) -> Result<()> {
    let listed = Command::new(programs)
        .arg("--list")
        .output()
        .context("listing the programs")?;
    let names = String::from_utf8(listed.stdout)?;
    let first = bin.join("ferrix-programs");
    fs::copy(programs, &first)?;
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755))?;
    let mut count = 0;
    for name in names.split_whitespace() {
        fs::hard_link(&first, bin.join(name)).with_context(|| format!("linking {name}"))?;
        count += 1;
    }
    if count == 0 {
        bail!("{} --list names no program", programs.display());
    }
    Ok(())
}

fn make(staging: &Path, image: &Path) -> Result<()> {
    let _ = fs::remove_file(image);
    let mut mke2fs = tool("mke2fs");
    mke2fs.args([
        "-q",
        "-F",
        "-t",
        "ext2",
        "-b",
        "4096",
        "-L",
        "ferrix",
        "-E",
        "root_owner=0:0",
        "-d",
    ]);
    run(mke2fs.arg(staging).arg(image).arg(SIZE))?;
    if !rustix::process::getuid().is_root() {
        give_to_root(staging, image)?;
    }
    Ok(())
}

/// Files staged by an ordinary user belong to that user: in the image they belong to root.
fn give_to_root(staging: &Path, image: &Path) -> Result<()> {
    let mut paths: Vec<PathBuf> = DIRECTORIES
        .iter()
        .map(|(path, _)| PathBuf::from(path))
        .collect();
    for file in files_below(staging)? {
        paths.push(file.strip_prefix(staging)?.to_path_buf());
    }
    let mut commands = String::new();
    for path in paths {
        for field in ["uid", "gid"] {
            writeln!(commands, "set_inode_field /{} {field} 0", path.display())?;
        }
    }
    let script = image.with_extension("debugfs");
    fs::write(&script, commands)?;
    let output = tool("debugfs")
        .arg("-w")
        .arg("-f")
        .arg(&script)
        .arg(image)
        .output()?;
    fs::remove_file(&script)?;
    if !output.status.success() {
        bail!("debugfs: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The disk that `vmm run images/default.toml` uses.
fn work_copy(root: &Path) -> Result<()> {
    let disk = root.with_file_name("disk.img");
    if crate::build::is_newer(root, &disk)? {
        copy_sparse(root, &disk)?;
    }
    Ok(())
}

/// Copies an image without filling its holes.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp")
        .args(["--sparse=always", "--reflink=auto"])
        .arg(from)
        .arg(to))
}
