use super::*;
use crate::testing::{FakeFunction, FakeSegment, at};
use proptest::prelude::*;

const BASE: u64 = 0xfe00_0000;
const WINDOW: Window = Window {
    base: 0xc000_0000,
    bytes: 0x2000_0000,
};

fn find(segment: &FakeSegment) -> Found {
    find_virtio(segment, 0..=255, WINDOW, 1 << 44)
}

fn one(function: FakeFunction) -> Found {
    find(&FakeSegment::new([
        (at(0, 0, 0), FakeFunction::host()),
        (at(0, 3, 0), function),
    ]))
}

fn region(base: u64, bytes: u64) -> Region {
    Region { base, bytes }
}

#[test]
fn a_device_as_qemu_makes_it_is_described_and_ready() {
    let segment = FakeSegment::new([
        (at(0, 0, 0), FakeFunction::host()),
        (at(0, 3, 0), FakeFunction::virtio(0x1042, BASE)),
    ]);
    let found = find(&segment);
    let device = PciDevice {
        location: at(0, 3, 0).into(),
        kind: 2,
        common: region(BASE, 0x1000),
        notify: region(BASE + 0x3000, 0x1000),
        notify_multiplier: 4,
        isr: region(BASE + 0x1000, 0x1000),
        config: region(BASE + 0x2000, 0x1000),
        msix_table: BASE + 0x10_0000,
    };
    assert_eq!(found.devices, [device]);
    assert!(found.problems.is_empty());
    let words = segment.function(at(0, 3, 0)).words;
    assert_eq!(words[1] & 0xffff, 0x406, "memory, master, no INTx");
    assert_eq!(words[0x98 / 4] >> 30, 2, "MSI-X on, not all masked");
}

#[test]
fn types_are_in_the_device_id_or_the_subsystem() {
    let kinds = |device| -> Vec<_> {
        let found = one(FakeFunction::virtio(device, BASE));
        found.devices.iter().map(|device| device.kind).collect()
    };
    assert_eq!(kinds(0x1043), [3]);
    assert_eq!(kinds(0x107f), [63]);
    assert_eq!(kinds(0x1001), [2], "transitional: the subsystem says so");
    assert!(kinds(0x0fff).is_empty() && kinds(0x1080).is_empty());
    let mut other = FakeFunction::virtio(0x1042, BASE);
    other.words[0] = 0x1042_1b36;
    assert!(one(other).devices.is_empty(), "another vendor's");
}

#[test]
fn devices_come_in_the_order_of_their_places() {
    let disk = |base| FakeFunction::virtio(0x1042, base);
    let segment = FakeSegment::new([
        (at(0, 0, 0), FakeFunction::host()),
        (at(0, 1, 0), FakeFunction::bridge(1)),
        (at(1, 0, 0), disk(BASE)),
        (at(0, 9, 0), disk(BASE + 0x20_0000)),
        (at(0, 2, 0), disk(BASE + 0x40_0000)),
    ]);
    let places: Vec<_> = find(&segment)
        .devices
        .iter()
        .map(|found| found.location)
        .collect();
    assert_eq!(
        places,
        [at(0, 2, 0), at(0, 9, 0), at(1, 0, 0)].map(Into::into)
    );
}

/// The problem of a device that was changed.
fn problem(change: impl FnOnce(&mut FakeFunction)) -> Problem {
    let mut function = FakeFunction::virtio(0x1042, BASE);
    change(&mut function);
    let found = one(function);
    assert!(found.devices.is_empty());
    assert_eq!(found.problems.len(), 1);
    found.problems[0].1
}

#[test]
fn what_is_missing_is_named() {
    let missing = |structure| Problem::Missing { structure };
    assert_eq!(problem(|f| f.words[1] = 0), missing("common configuration"));
    let common = missing("common configuration");
    assert_eq!(
        problem(|f| f.words[0x50 / 4 + 1] = 3),
        common,
        "no such register"
    );
    assert_eq!(
        problem(|f| f.words[0x50 / 4 + 2] = 0x3fff),
        common,
        "outside"
    );
    assert_eq!(
        problem(|f| f.words[0x50 / 4 + 2] = u32::MAX),
        common,
        "far outside"
    );
    assert_eq!(
        problem(|f| f.words[0x50 / 4] = 0x010f_4009),
        common,
        "too short"
    );
    assert_eq!(problem(|f| f.words[0x50 / 4 + 2] = 2), common, "unaligned");
    let notification = missing("notification");
    assert_eq!(
        problem(|f| f.words[0x84 / 4] = 0x0210_7009),
        notification,
        "no multiplier"
    );
    assert_eq!(
        problem(|f| f.words[0x98 / 4] = 0x0001_8405),
        Problem::NoMsix
    );
    assert_eq!(
        problem(|f| f.words[0x98 / 4] = 0x07ff_8411),
        Problem::NoMsix,
        "outside"
    );
}

#[test]
fn a_list_that_loops_ends() {
    let found = one({
        let mut function = FakeFunction::virtio(0x1042, BASE);
        function.words[0x40 / 4] = 0x0514_9809;
        function
    });
    assert_eq!(found.devices.len(), 1);
    assert_eq!(
        problem(|function| function.words[0x98 / 4] = 0x0001_9811),
        Problem::Missing {
            structure: "common configuration"
        }
    );
}

#[test]
fn unassigned_devices_get_addresses_and_are_usable() {
    let disk = || FakeFunction::virtio(0x1042, 0);
    let segment = FakeSegment::new([
        (at(0, 0, 0), FakeFunction::host()),
        (at(0, 1, 0), disk()),
        (at(0, 2, 0), disk()),
    ]);
    let devices = find(&segment).devices;
    let tables: Vec<_> = devices.iter().map(|device| device.msix_table).collect();
    assert_eq!(tables, [0xc000_0000, 0xc000_1000]);
    assert_eq!(devices[0].common.base, 0xc000_4000);
    assert_eq!(devices[1].common.base, 0xc000_8000);
}

proptest! {
    /// Any capabilities at all: no panic, bounded work, and whatever is described lies in the device's
    /// registers.
    #[test]
    fn any_capabilities_describe_what_is_the_devices(
        damage in proptest::collection::vec((0x34usize / 4..64, any::<u32>()), 0..24),
    ) {
        let mut function = FakeFunction::virtio(0x1042, BASE);
        for (index, value) in damage {
            function.words[index] = value;
        }
        let segment = FakeSegment::new([(at(0, 0, 0), FakeFunction::host()), (at(0, 3, 0), function)]);
        let found = find(&segment);
        prop_assert!(*segment.reads.borrow() < 10_000);
        let bars = [(BASE, 0x4000), (BASE + 0x10_0000, 0x1000)];
        let owned = |region: Region| region == Region::NONE || bars.iter().any(|&(base, bytes)| {
            region.base >= base && region.base + region.bytes <= base + bytes
        });
        for device in found.devices {
            for part in [device.common, device.notify, device.isr, device.config] {
                prop_assert!(owned(part), "{part:x?}");
            }
            prop_assert!(owned(region(device.msix_table, 16)));
            prop_assert!(device.common.bytes >= 0x38);
        }
    }
}
