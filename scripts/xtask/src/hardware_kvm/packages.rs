//! Fetches a distribution's kernel with its modules by apt, and unpacks it: nothing is installed.

use crate::run;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Packages that depend on the newest kernel that has what we need: Debian's, then Ubuntu's.
const CANDIDATES: &[&str] = &[
    "linux-image-cloud-amd64",
    "linux-image-virtual",
    "linux-image-kvm",
];

/// Unpacks the first available candidate's kernel into `folder`.
pub fn fetch(folder: &Path) -> Result<()> {
    let mut chosen = Vec::new();
    for candidate in CANDIDATES {
        chosen = kernel_packages(candidate)?;
        if !chosen.is_empty() {
            break;
        }
    }
    if chosen.is_empty() {
        bail!(
            "apt knows none of the packages {}: run `apt-get update`, or add Debian's main archive to apt's sources",
            CANDIDATES.join(", ")
        );
    }
    unpack(&chosen, folder)
}

/// Downloads packages and unpacks them into `folder`.
pub fn unpack(packages: &[String], folder: &Path) -> Result<()> {
    eprintln!("fetching {}", packages.join(", "));
    let parent = folder.parent().context("a folder below target")?;
    let downloads = tempfile::tempdir_in(parent).context("making a folder in target")?;
    download(packages, downloads.path())?;
    for package in fs::read_dir(downloads.path())? {
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(package?.path())
            .arg(folder))?;
    }
    Ok(())
}

fn download(packages: &[String], folder: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    // Without the sandbox user, who may not write into our folder.
    apt.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]);
    let output = apt.args(packages).current_dir(folder).output();
    let output = output.context("running apt-get")?;
    if !output.status.success() {
        bail!(
            "apt-get cannot download {}: {}\nIs there a network? Is the list of packages too old (run `apt-get update`)?",
            packages.join(" "),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}

/// The packages of files behind a package that only depends on them; empty if apt does not know it.
fn kernel_packages(candidate: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut next = vec![candidate.to_owned()];
    while let Some(package) = next.pop() {
        for dependency in kernel_dependencies(&apt_cache_depends(&package)?) {
            if !found.contains(&dependency) {
                found.push(dependency.clone());
                next.push(dependency);
            }
        }
    }
    Ok(found)
}

fn apt_cache_depends(package: &str) -> Result<String> {
    let output = Command::new("apt-cache")
        .args(["depends", "--no-recommends", "--no-suggests", package])
        .output()
        .context(
            "running apt-cache: hardware-kvm takes its kernel from a Debian or Ubuntu system's apt",
        )?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Those of `apt-cache depends`' lines that name a kernel or its modules.
fn kernel_dependencies(depends: &str) -> Vec<String> {
    depends
        .lines()
        .filter_map(|line| {
            line.trim_start_matches([' ', '|'])
                .strip_prefix("Depends: ")
        })
        .filter(|name| name.starts_with("linux-image-") || name.starts_with("linux-modules-"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_and_modules_are_wanted() {
        let depends = "linux-image-6.8.0-31-generic\n  Depends: kmod\n |Depends: linux-modules-6.8.0-31-generic\n  \
                       Depends: <linux-initramfs-tool>\n  Conflicts: linux-image-unsigned\n";
        assert_eq!(
            kernel_dependencies(depends),
            ["linux-modules-6.8.0-31-generic"]
        );
        assert!(kernel_dependencies("").is_empty());
    }
}
