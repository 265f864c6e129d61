//! What only QEMU's machines have.
//!
//! Its microvm without ACPI has one CPU; its virtio devices are announced on the command line, two in one page.

use crate::trial::on_qemu;
use anyhow::Result;
use ferrix_tests::{Disk, Firmware, Guest, Options};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![on_qemu(
        "qemu::microvm_without_acpi",
        "the monitor's machine always has ACPI",
        without_acpi,
    )]
}

fn without_acpi() -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new().firmware(Firmware::CommandLine);
    let mut guest = Guest::at_prompt(&disk, options)?;
    let message =
        std::fs::read_to_string(ferrix_tests::host::root().join("images/rootfs/etc/motd"))?;
    guest.check("cat /etc/motd", &message)?;
    guest.check(
        "seq 1 1000 > /home/numbers; sync; tail -1 /home/numbers",
        "1000\n",
    )?;
    guest.power_off(3)?;
    disk.check()
}
