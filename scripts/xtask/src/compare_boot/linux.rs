//! Debian's cloud kernel, as packed and unpacked, and an initramfs with busybox only.

use crate::archive::Archive;
use crate::hardware_kvm::{kit, packages};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOLDER: &str = "target/compare-boot";
/// As short as an initramfs with a usable shell can be.
const INIT: &[u8] = b"#!/busybox sh
/busybox mount -t devtmpfs dev /dev
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
exec /busybox sh
";
/// How a packed kernel begins, and what unpacks it.
const FORMATS: &[(&[u8], &str)] = &[
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x1f\x8b\x08", "gzip"),
];

/// The files to boot.
pub struct Linux {
    /// As the distribution ships it.
    pub packed: PathBuf,
    /// The ELF file in it, which has a PVH entry.
    pub unpacked: PathBuf,
    pub initramfs: PathBuf,
}

/// Fetches and makes what is missing; `hardware-kvm`'s kernel serves here too.
pub fn prepare() -> Result<Linux> {
    let folder = Path::new(FOLDER);
    let linux = Linux {
        packed: kit::prepare()?.kernel,
        unpacked: folder.join("vmlinux"),
        initramfs: folder.join("initramfs.cpio"),
    };
    fs::create_dir_all(folder)?;
    if !linux.initramfs.exists() {
        make_initramfs(folder, &linux.initramfs)?;
    }
    if crate::build::is_newer(&linux.packed, &linux.unpacked)? {
        unpack(&linux.packed, &linux.unpacked)?;
    }
    Ok(linux)
}

fn make_initramfs(folder: &Path, initramfs: &Path) -> Result<()> {
    let unpacked = folder.join("root");
    packages::unpack(&["busybox-static".to_owned()], &unpacked)?;
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|name| unpacked.join(name));
    let busybox = busybox.iter().find(|file| file.exists());
    let mut archive = Archive::aligned(4);
    archive.add("init", INIT);
    archive.add_file(
        "busybox",
        busybox.context("busybox-static holds no busybox")?,
    )?;
    for name in ["dev", "proc", "sys"] {
        archive.add_folder(name);
    }
    archive.finish(initramfs)
}

/// Finds the ELF file in a bzImage.
fn unpack(packed: &Path, unpacked: &Path) -> Result<()> {
    let image = fs::read(packed).with_context(|| packed.display().to_string())?;
    for (magic, tool) in FORMATS {
        for at in find_all(&image, magic) {
            let kernel = decompress(tool, &image[at..])?;
            if kernel.starts_with(b"\x7fELF") {
                return fs::write(unpacked, kernel).with_context(|| unpacked.display().to_string());
            }
        }
    }
    bail!("{}: no packed ELF file found in it", packed.display())
}

fn find_all(image: &[u8], magic: &[u8]) -> Vec<usize> {
    let windows = image.windows(magic.len()).enumerate();
    windows
        .filter(|(_, window)| window == &magic)
        .map(|(at, _)| at)
        .collect()
}

/// What came out before the tool met the bytes behind the kernel.
fn decompress(tool: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(tool);
    command.arg("-dc").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let spawned = command.spawn();
    let mut child =
        spawned.with_context(|| format!("running {tool}: install the package {tool}"))?;
    let mut input = child.stdin.take().context("no pipe")?;
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    let _ = feeder.join(); // the tool may end before it read all
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_kernel_among_what_only_looks_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let [packed, unpacked] = ["packed", "unpacked"].map(|name| folder.path().join(name));
        let kernel = folder.path().join("kernel");
        fs::write(&kernel, b"\x7fELF kernel").unwrap();
        let gzip = Command::new("gzip")
            .arg("-c")
            .arg(&kernel)
            .output()
            .unwrap();
        let image = [b"code \x1f\x8b\x08 code ", &gzip.stdout[..]].concat();
        fs::write(&packed, image).unwrap();
        unpack(&packed, &unpacked).unwrap();
        assert_eq!(fs::read(unpacked).unwrap(), b"\x7fELF kernel");
    }
}
