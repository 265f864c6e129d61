//! Finding virtio block devices and bringing them up.

use crate::service::Token;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_rt::driver::{Announced, announced, bind_interrupt, device_memory};
use ferrix_rt::log;
use ferrix_rt::proto::startup::Startup;
use ferrix_virtio::blk::{Disk, DiskOptions};
use ferrix_virtio::spec;

/// Requests in flight, and segments of each: a window is contiguous, so one is enough but for its
/// longest pieces.
const OPTIONS: DiskOptions = DiskOptions {
    depth: 64,
    segments: 4,
};
/// Badge of the first device's interrupt; sessions number from 1.
pub const FIRST_IRQ: u32 = 0x7fff_0000;

/// A device that runs.
pub struct Running {
    /// `vda`, `vdb` …
    pub name: String,
    /// The driver.
    pub disk: Disk<Token>,
    /// To acknowledge its interrupts.
    pub irq: Handle,
}

/// All block devices, in the order announced; one that cannot be brought up is logged and left out, and
/// keeps its name.
pub fn find(startup: &Startup, port: Handle, resource: Handle) -> Vec<Option<Running>> {
    let mut disks = Vec::new();
    for device in announced(startup) {
        let index = disks.len();
        match start(&device, index, port, resource) {
            Ok(Some(disk)) => disks.push(Some(disk)),
            Ok(None) => {}
            Err(why) => {
                log!("blk", "device at {device}: {why}");
                disks.push(None);
            }
        }
    }
    disks
}

fn start(
    device: &Announced,
    index: usize,
    port: Handle,
    resource: Handle,
) -> Result<Option<Running>, String> {
    let kernel = |error| alloc::format!("{error:?}");
    let Some(transport) = device
        .transport(spec::device::BLOCK, resource)
        .map_err(kernel)?
    else {
        return Ok(None);
    };
    let memory = device_memory(OPTIONS.memory_bytes(), resource).map_err(kernel)?;
    let disk = Disk::start(transport, OPTIONS, memory).map_err(|error| error.to_string())?;
    let irq = bind_interrupt(device, port, FIRST_IRQ + index as u32, resource).map_err(kernel)?;
    Ok(Some(Running {
        name: name(index),
        disk,
        irq,
    }))
}

/// `vda` … `vdz`, `vdaa` …
fn name(mut index: usize) -> String {
    let mut letters = String::new();
    loop {
        letters.insert(0, char::from(b'a' + (index % 26) as u8));
        if index < 26 {
            return ["vd", &letters].concat();
        }
        index = index / 26 - 1;
    }
}
