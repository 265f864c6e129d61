extern crate std;

use super::*;
use std::format;

const MMIO_DEVICE: Device = Device::Mmio(MmioDevice {
    base: 0xd000_0000,
    size: 0x1000,
    gsi: 11,
});

fn pci_device() -> Device {
    let region = |base, bytes| Region { base, bytes };
    Device::Pci(PciDevice {
        location: PciLocation {
            bus: 0x1f,
            device: 0x1e,
            function: 7,
        },
        kind: 2,
        common: region(0xfe00_0000, 0x38),
        notify: region(0xffff_ffff_f000, 0x1000),
        notify_multiplier: 4,
        isr: region(0xfe00_1000, 1),
        config: Region::NONE,
        msix_table: 0xfebd_1000,
    })
}

#[test]
fn strings_say_what_was_put_into_them() {
    for device in [MMIO_DEVICE, pci_device()] {
        let text = format!("{device}");
        assert_eq!(Device::parse(text.as_bytes()), Some(device), "{text}");
    }
    assert_eq!(format!("{MMIO_DEVICE}"), "virtio=d0000000,1000,11");
}

#[test]
fn cut_and_foreign_strings_are_no_devices() {
    let text = format!("{}", pci_device());
    for length in 0..text.rfind(',').unwrap() {
        assert_eq!(Device::parse(&text.as_bytes()[..length]), None, "{length}");
    }
    for other in [
        "",
        "root=vda",
        "virtio=",
        "virtio=1,2",
        "virtio=g,1,1",
        "virtio-pci=0:0,1",
    ] {
        assert_eq!(Device::parse(other.as_bytes()), None, "{other}");
    }
    assert_eq!(Device::parse(b"virtio=\xff,1,1"), None);
}

#[test]
fn places_are_what_people_know_devices_by() {
    assert_eq!(format!("{}", MMIO_DEVICE.place()), "0xd0000000");
    assert_eq!(format!("{}", pci_device().place()), "1f:1e.7");
}
