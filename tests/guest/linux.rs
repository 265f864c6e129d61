//! Linux on our monitor: the kernel that Debian ships for clouds, as it is (a bzImage), with busybox from the
//! host. Linux's drivers are somebody else's reading of the specifications that our devices follow.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::trial::{except, long, needs, on_monitor};
use anyhow::{Context, Result, ensure};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Guest, Machine, Wiring};
use libtest_mimic::Trial;
use serde_json::Value;

/// What `scripts/hardware-kvm` fetches for itself.
const FETCHED: &str = "hardware-kvm/root";
/// Each needs those before it.
const MODULES: [&str; 5] = [
    "virtio_ring",
    "virtio",
    "virtio_mmio",
    "virtio_blk",
    "virtio-rng",
];
const PROMPT: &str = "linux:/# ";
/// An emulated computer beside other work boots Linux on one CPU in 20 to 110 seconds. With two, Linux patches its
/// code at its boot while both run it, which QEMU 7.2 does not always survive (`docs/kvm.md`).
const BOOT_TIME: Duration = Duration::from_secs(90);
const COMMAND_TIME: Duration = Duration::from_secs(20);
const OPTIONS: &str = "console=ttyS0 quiet tsc=reliable no_timer_check nokaslr cryptomgr.notests \
                       mitigations=off 8250.nr_uarts=1 pci=off audit=0 lsm= panic=-1";
/// In the initramfs: drivers, then the root on the first disk.
const EARLY_INIT: &str = r#"#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
for module in /modules/*; do $bb insmod $module; done
until [ -b /dev/vda ]; do $bb usleep 10000; done
$bb mount -t ext4 /dev/vda /root
exec $bb switch_root /root /init
"#;
/// On the disk.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
export PATH=/bin PS1='linux:/# '
stty cols 250 < /dev/ttyS0
exec setsid cttyhack sh
"#;
/// Bytes of the second disk.
const SCRATCH: u64 = 16 << 20;

pub fn trials() -> Vec<Trial> {
    let trial = on_monitor(
        "linux::debian_finds_and_uses_every_device",
        "about the monitor's Linux boot",
        debian,
    );
    let trial = except(
        trial,
        Machine::Kvm,
        "that KVM emulates kernels and lacks instructions that Linux needs",
    );
    vec![long(needs(trial, &[Need::Busybox]))]
}

struct Linux {
    guest: Guest,
    scratch: PathBuf,
    /// Holds the files for as long as the machine runs.
    _folder: tempfile::TempDir,
}

impl Linux {
    fn boot() -> Result<Self> {
        let folder = ferrix_tests::disk::folder()?;
        let at = |name: &str| folder.path().join(name);
        let scratch = at("scratch.img");
        fs::File::create(&scratch)?.set_len(SCRATCH)?;
        let mut vmm = host::monitor()?;
        vmm.args(["--machine", "ferrix,announce=acpi", "--memory", "256M"])
            .args(["--cpus", "1", "--stats", "--append", OPTIONS])
            .args(["--timeout", "600", "--kernel"])
            .arg(only_entry(&host::built(FETCHED)?.join("boot"), "vmlinuz-")?)
            .arg("--initrd")
            .arg(initramfs(&at("early"), &at("initramfs.cpio"))?)
            .arg("--disk")
            .arg(root(&at("root"), &at("root.img"))?)
            .arg("--disk")
            .arg(&scratch);
        let mut guest = Guest::start_on(Machine::current()?, vmm, Wiring::Terminal)?;
        guest.expect(PROMPT, BOOT_TIME)?;
        Ok(Self {
            guest,
            scratch,
            _folder: folder,
        })
    }

    /// What a command prints.
    fn ask(&mut self, command: &str) -> Result<String> {
        self.guest.send_line(command)?;
        let text = self.guest.expect(PROMPT, COMMAND_TIME)?.replace('\r', "");
        let output = text.split_once('\n').map(|(_, output)| output);
        Ok(output.context("no echo")?.trim_end().to_owned())
    }

    fn check(&mut self, command: &str, expected: &str) -> Result<()> {
        let output = self.ask(command)?;
        ensure!(
            output == expected,
            "`{command}`: {output:?} instead of {expected:?}"
        );
        Ok(())
    }
}

fn debian() -> Result<()> {
    let mut linux = Linux::boot()?;
    linux.check("nproc", "1")?;
    linux.check("mount | grep -c '/dev/vda on / type ext4'", "1")?;
    // Two disks, the entropy source; the UART; all from the DSDT.
    linux.check("ls -d /sys/bus/acpi/devices/LNRO0005:* | wc -l", "3")?;
    linux.check(
        "cat /sys/bus/virtio/devices/*/device",
        "0x0002\n0x0002\n0x0004",
    )?;
    linux.check(
        "ls /sys/bus/acpi/devices | grep -c -e PNP0501 -e FRRX0001",
        "2",
    )?;
    linux.check("cat /sys/class/misc/hw_random/rng_current", "virtio_rng.0")?;
    configuration(&mut linux)?;
    write_verify_flush_discard(&mut linux)?;
    linux.guest.send_line("sync; poweroff -f")?;
    let ending = linux.guest.wait(COMMAND_TIME)?;
    ending.must_be(0)?;
    let stats: Value = serde_json::from_str(ending.log.lines().last().unwrap_or_default())?;
    let scratch = &stats["disks"][1];
    for counter in ["reads", "writes", "flushes", "discards"] {
        ensure!(scratch[counter].as_u64() > Some(0), "{counter}: {scratch}");
    }
    ensure!(scratch["errors"] == 0, "{scratch}");
    Ok(())
}

/// What Linux reads out of the configuration space.
fn configuration(linux: &mut Linux) -> Result<()> {
    linux.check("cat /sys/block/vdb/serial; echo", "scratch.img")?;
    let queue = "cd /sys/block/vdb/queue";
    linux.check(
        &format!("({queue}; cat logical_block_size physical_block_size write_cache)"),
        "512\n4096\nwrite back",
    )?;
    let most = "cat discard_max_bytes write_zeroes_max_bytes";
    let most = linux.ask(&format!("({queue}; {most})"))?;
    ensure!(
        most.lines().all(|line| line != "0"),
        "discard and write-zeroes: {most}"
    );
    linux.check("cat /sys/block/vdb/size", &(SCRATCH / 512).to_string())
}

/// What is written to the second disk, more than 2 MiB: it lies on the first one, as making it would take an emulated
/// computer minutes.
fn numbers() -> String {
    (1..=400_000).map(|number| format!("{number}\n")).collect()
}

fn write_verify_flush_discard(linux: &mut Linux) -> Result<()> {
    let numbers = numbers();
    linux.ask("dd if=/numbers of=/dev/vdb bs=64k conv=fsync 2>/dev/null")?;
    linux.ask("echo 3 > /proc/sys/vm/drop_caches")?;
    let read = format!(
        "head -c {} /dev/vdb | md5sum; md5sum < /numbers",
        numbers.len()
    );
    let sums = linux.ask(&read)?;
    let sums: Vec<_> = sums.lines().collect();
    ensure!(sums.len() == 2 && sums[0] == sums[1], "{sums:?}");
    // After the flush the host has it too.
    let on_disk = |linux: &Linux| {
        let mut bytes = vec![0; numbers.len()];
        let file = fs::File::open(&linux.scratch)?;
        file.read_exact_at(&mut bytes, 0).map(|()| bytes)
    };
    ensure!(
        on_disk(linux)? == numbers.as_bytes(),
        "the host reads something else"
    );
    linux.ask("blkdiscard -o 1048576 -l 1048576 /dev/vdb")?;
    let bytes = on_disk(linux)?;
    let discarded = &bytes[1 << 20..2 << 20];
    ensure!(
        discarded.iter().all(|&byte| byte == 0),
        "nothing was discarded"
    );
    ensure!(
        bytes[..1 << 20] == numbers.as_bytes()[..1 << 20],
        "too much was discarded"
    );
    Ok(())
}

/// An initramfs with busybox, the drivers and an init.
fn initramfs(folder: &Path, archive: &Path) -> Result<PathBuf> {
    let modules = folder.join("modules");
    fs::create_dir_all(&modules)?;
    for name in ["dev", "root"] {
        fs::create_dir(folder.join(name))?;
    }
    busybox(folder, EARLY_INIT)?;
    let available = host::built(FETCHED)?.join("lib/modules");
    for (index, name) in MODULES.iter().enumerate() {
        let found = find(&available, &format!("{name}.ko"))?;
        let found = found.with_context(|| format!("the kernel has no module {name}.ko"))?;
        fs::copy(found, modules.join(format!("{index}-{name}.ko")))?;
    }
    let script = "cd \"$0\" && find . | busybox cpio -o -H newc > \"$1\"";
    let mut pack = host::tool("sh");
    host::output(pack.args(["-c", script]).arg(folder).arg(archive))?;
    Ok(archive.to_owned())
}

/// A file system with busybox and an init.
fn root(folder: &Path, image: &Path) -> Result<PathBuf> {
    for name in ["dev", "proc", "sys", "tmp"] {
        fs::create_dir_all(folder.join(name))?;
    }
    busybox(folder, INIT)?;
    fs::write(folder.join("numbers"), numbers())?;
    let mut mke2fs = host::tool("mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext2", "-d"]);
    host::output(mke2fs.arg(folder).arg(image).arg("16M"))?;
    Ok(image.to_owned())
}

fn busybox(folder: &Path, init: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(folder.join("bin"))?;
    let program = host::in_path("busybox").context("busybox")?;
    fs::copy(program, folder.join("bin/busybox"))?;
    let file = folder.join("init");
    fs::write(&file, init)?;
    Ok(fs::set_permissions(
        file,
        fs::Permissions::from_mode(0o755),
    )?)
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    anyhow::bail!("{} holds no {prefix}…", folder.display())
}

/// The file of this name somewhere below.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|file| file == name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
