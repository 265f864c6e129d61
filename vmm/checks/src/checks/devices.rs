//! virtio-console and virtio-rng (virtio 1.2, 5.3 and 5.4).

use super::blk::{DATA, at};
use super::{Check, list};
use crate::Machine;
use crate::arch::phys;
use crate::verdict::{Verdict, equal, holds, skip, there, within};
use crate::virtio::{self, Buffer, WRITE};

/// All of this file.
pub const CHECKS: &[Check] = list!("device_": console_output, console_size, rng_differs);

const CONSOLE: u32 = 3;
const RNG: u32 = 4;
/// What appears on the machine's standard output; whoever runs this looks for it.
const TEXT: &[u8] = b"checks: this is the console\n";

/// 5.3.6: a buffer of the transmit queue (1) is used, and its bytes are on the console.
fn console_output(machine: &Machine) -> Verdict {
    let Some(device) = virtio::find(machine, CONSOLE) else {
        return skip("no virtio-console device");
    };
    let [_, mut transmit] = there("a device that gets ready", device.start(0, 0..2))?;
    for (offset, &byte) in TEXT.iter().enumerate() {
        phys::write(at(DATA) + offset as u64, byte);
    }
    // In two pieces, of one chain.
    let (first, length) = (10, TEXT.len() as u32);
    transmit.describe(
        0,
        Buffer {
            address: at(DATA),
            length: first,
            flags: virtio::NEXT,
            next: 1,
        },
    );
    let rest = at(DATA) + u64::from(first);
    transmit.describe(
        1,
        Buffer {
            address: rest,
            length: length - first,
            flags: 0,
            next: 0,
        },
    );
    transmit.offer(0);
    transmit.notify();
    holds("the buffer is used", transmit.all_used())?;
    equal(
        "used length of what the driver wrote",
        transmit.used_element(0).1,
        0u32,
    )
}

/// 5.3.4: with VIRTIO_CONSOLE_F_SIZE, columns and rows.
fn console_size(machine: &Machine) -> Verdict {
    const SIZE: u64 = 1;
    let Some(device) = virtio::find(machine, CONSOLE) else {
        return skip("no virtio-console device");
    };
    if device.features() & SIZE == 0 {
        return skip("VIRTIO_CONSOLE_F_SIZE is not offered");
    }
    let half =
        |offset| u64::from(device.config8(offset)) | u64::from(device.config8(offset + 1)) << 8;
    within("columns", half(0), 0..=10_000)?;
    within("rows", half(2), 0..=10_000)
}

/// 5.4.6: at least one byte, and not the same ones every time.
fn rng_differs(machine: &Machine) -> Verdict {
    let Some(device) = virtio::find(machine, RNG) else {
        return skip("no virtio-rng device");
    };
    let [mut queue, _] = there("a device that gets ready", device.start(0, 0..1))?;
    let mut sums = [0; 4];
    for (round, sum) in sums.iter_mut().enumerate() {
        (0..8).for_each(|word| phys::write(at(DATA) + 8 * word, 0u64));
        queue.describe(
            0,
            Buffer {
                address: at(DATA),
                length: 64,
                flags: WRITE,
                next: 0,
            },
        );
        queue.offer(0);
        queue.notify();
        holds("the buffer is used", queue.all_used())?;
        let (_, length) = queue.used_element(round as u16);
        within("used length", length.into(), 1..=64)?;
        *sum = phys::read::<u64>(at(DATA));
    }
    holds(
        "the bytes differ",
        sums[0] != sums[1] && sums[1] != sums[2] && sums[2] != sums[3],
    )
}
