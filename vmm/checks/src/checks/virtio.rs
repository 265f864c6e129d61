//! The registers of every virtio-mmio device (virtio 1.2, 3.1 and 4.2).

use super::{Check, list};
use crate::Machine;
use crate::verdict::{Verdict, equal, holds, needs, skip};
use crate::virtio::{
    ACKNOWLEDGE, DRIVER, DRIVER_OK, Device, FEATURES_OK, Queue, VERSION_1, register::*, windows,
};

/// All of this file.
pub const CHECKS: &[Check] = list!("virtio_": identification, empty_windows, reset, handshake, features_need_version_1,
    features_not_offered, features_are_final, queue_sizes, queue_ready, interrupt_status, config_generation);

/// Runs a check on each device; skips without one.
fn each(machine: &Machine, check: fn(Device) -> Verdict) -> Verdict {
    let mut devices = windows(machine)
        .map(Device)
        .filter(|device| device.read(DEVICE_ID) != 0);
    needs(devices.clone().next().is_some(), "no virtio-mmio device")?;
    devices.try_for_each(|device| {
        let verdict = check(device);
        device.reset();
        verdict
    })
}

/// 4.2.2: "virt", version 2 (version 1 is the legacy interface, which nobody here speaks).
fn identification(machine: &Machine) -> Verdict {
    needs(windows(machine).next().is_some(), "no virtio-mmio device")?;
    for device in windows(machine).map(Device) {
        equal(
            "magic value",
            device.read(MAGIC_VALUE),
            u32::from_le_bytes(*b"virt"),
        )?;
        equal("version", device.read(VERSION), 2u32)?;
        holds(
            "vendor",
            device.read(DEVICE_ID) == 0 || device.read(VENDOR_ID) != 0,
        )?;
    }
    Ok(())
}

/// 4.2.2.2: a window without a device has device id 0, and drivers leave it alone.
fn empty_windows(machine: &Machine) -> Verdict {
    let empty = windows(machine)
        .map(Device)
        .filter(|device| device.read(DEVICE_ID) == 0);
    needs(empty.clone().next().is_some(), "every window has a device")?;
    for device in empty {
        equal("version", device.read(VERSION), 2u32)?;
    }
    Ok(())
}

/// 2.1, 4.2.2: status 0 resets: no status, no queue, no interrupt.
fn reset(machine: &Machine) -> Verdict {
    each(machine, |device| {
        device.start(0, 0..1);
        holds("status is 0 after a reset", device.reset())?;
        device.write(QUEUE_SEL, 0);
        equal("QueueReady", device.read(QUEUE_READY), 0u32)?;
        equal("InterruptStatus", device.read(INTERRUPT_STATUS), 0u32)
    })
}

/// 3.1.1: each step is seen in the status.
fn handshake(machine: &Machine) -> Verdict {
    each(machine, |device| {
        holds("status is 0 after a reset", device.reset())?;
        equal("status", device.advance(ACKNOWLEDGE), ACKNOWLEDGE)?;
        equal("status", device.advance(DRIVER), ACKNOWLEDGE | DRIVER)?;
        equal(
            "VIRTIO_F_VERSION_1",
            device.features() & VERSION_1,
            VERSION_1,
        )?;
        holds("FEATURES_OK stays", device.negotiate(VERSION_1))?;
        holds("a queue can be set up", Queue::new(device, 0).enable())?;
        let all = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
        equal("status", device.advance(DRIVER_OK), all)
    })
}

/// 6.1, 6.2: without VERSION_1 a device may refuse; Ferrix's must, as it speaks nothing else.
///
/// QEMU's devices take FEATURES_OK and treat the driver as a legacy one.
fn features_need_version_1(machine: &Machine) -> Verdict {
    each(machine, |device| match device.negotiate(0) {
        false => Ok(()),
        true => lenient(device),
    })
}

/// 2.2: so must a feature that was not offered; QEMU's devices drop it silently.
fn features_not_offered(machine: &Machine) -> Verdict {
    each(machine, |device| {
        // Bit 63 is reserved (6), and no device offers it.
        match device.negotiate(VERSION_1 | 1 << 63) {
            false => Ok(()),
            true => lenient(device),
        }
    })
}

fn lenient(device: Device) -> Verdict {
    equal(
        "vendor of a lenient device",
        device.read(VENDOR_ID),
        u32::from_le_bytes(*b"QEMU"),
    )?;
    skip("QEMU leaves that to the driver")
}

/// 2.2.2, 3.1.1: after FEATURES_OK nothing changes them: the device goes on.
fn features_are_final(machine: &Machine) -> Verdict {
    each(machine, |device| {
        holds("FEATURES_OK stays", device.negotiate(VERSION_1))?;
        device.write(DRIVER_FEATURES_SEL, 1);
        device.write(DRIVER_FEATURES, 0);
        equal(
            "FEATURES_OK afterwards",
            device.read(STATUS) & FEATURES_OK,
            FEATURES_OK,
        )
    })
}

/// 4.2.3.2: QueueNumMax is 0 for a queue that is not there; 2.7: at most 32768.
fn queue_sizes(machine: &Machine) -> Verdict {
    each(machine, |device| {
        holds("FEATURES_OK stays", device.negotiate(VERSION_1))?;
        device.write(QUEUE_SEL, 0);
        crate::verdict::within(
            "QueueNumMax of queue 0",
            device.read(QUEUE_NUM_MAX).into(),
            16..=32768,
        )?;
        device.write(QUEUE_SEL, 1000);
        equal(
            "QueueNumMax of queue 1000",
            device.read(QUEUE_NUM_MAX),
            0u32,
        )?;
        equal("QueueReady of queue 1000", device.read(QUEUE_READY), 0u32)
    })
}

/// 4.2.2: QueueReady reads what was written, and can be taken back.
fn queue_ready(machine: &Machine) -> Verdict {
    each(machine, |device| {
        holds("FEATURES_OK stays", device.negotiate(VERSION_1))?;
        device.write(QUEUE_SEL, 0);
        equal("QueueReady at first", device.read(QUEUE_READY), 0u32)?;
        holds("QueueReady after writing 1", Queue::new(device, 0).enable())?;
        device.write(QUEUE_READY, 0);
        equal("QueueReady after writing 0", device.read(QUEUE_READY), 0u32)
    })
}

/// 4.2.2: no bits before there is a reason, and acknowledging nothing changes nothing.
fn interrupt_status(machine: &Machine) -> Verdict {
    each(machine, |device| {
        device.reset();
        equal("InterruptStatus", device.read(INTERRUPT_STATUS), 0u32)?;
        device.write(INTERRUPT_ACK, 3);
        equal("InterruptStatus", device.read(INTERRUPT_STATUS), 0u32)
    })
}

/// 2.5.1: the same as long as the configuration is.
fn config_generation(machine: &Machine) -> Verdict {
    each(machine, |device| {
        let (first, config) = (device.read(CONFIG_GENERATION), device.config32(0));
        equal("configuration", device.config32(0), config)?;
        equal("ConfigGeneration", device.read(CONFIG_GENERATION), first)
    })
}
