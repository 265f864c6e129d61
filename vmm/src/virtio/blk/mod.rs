//! virtio-blk (specification, section 5.2): a raw disk image, served by threads of its own.
//!
//! The front here knows the configuration space; [`worker`] waits for notifications and
//! serves the queue; [`request`] decodes and executes one request.

pub mod request;
mod worker;

use std::sync::Arc;

use virtio_bindings::virtio_blk::*;

pub use request::BlkSnapshot;
pub use worker::{Desk, Worker};

use super::{Activation, VirtioDevice, config_space, read_from};
use crate::config::DiskMode;
use crate::disk::{Disk, SECTOR};

/// `VIRTIO_ID_BLOCK`.
const ID: u32 = 2;
const QUEUE_SIZES: [u16; 1] = [256];
/// Data buffers of a request: the queue less header and status.
const SEG_MAX: u32 = QUEUE_SIZES[0] as u32 - 2;
/// Hosts' file systems keep files in blocks of 8 sectors.
const PHYSICAL_BLOCK_EXP: u8 = 3;
/// Ranges in one discard or write-zeroes request.
pub(crate) const RANGES_MAX: u32 = 16;
/// Sectors in one such range: 2 GiB.
pub(crate) const RANGE_SECTORS_MAX: u32 = 4 << 20;

/// The front of a disk.
pub struct Blk {
    disk: Arc<Disk>,
    desk: Desk,
    config: Vec<u8>,
}

impl Blk {
    /// A front whose back works at this desk.
    pub fn new(disk: Arc<Disk>, desk: Desk) -> Self {
        let config = config_of(&disk);
        Self { disk, desk, config }
    }
}

fn config_of(disk: &Disk) -> Vec<u8> {
    let space = config_space!(virtio_blk_config {
        capacity: disk.sectors,
        seg_max: SEG_MAX,
        blk_size: SECTOR as u32,
        physical_block_exp: PHYSICAL_BLOCK_EXP,
        min_io_size: 1u16 << PHYSICAL_BLOCK_EXP,
        max_discard_sectors: RANGE_SECTORS_MAX,
        max_discard_seg: RANGES_MAX,
        discard_sector_alignment: 1u32 << PHYSICAL_BLOCK_EXP,
        max_write_zeroes_sectors: RANGE_SECTORS_MAX,
        max_write_zeroes_seg: RANGES_MAX,
        write_zeroes_may_unmap: 1u8,
    });
    space.into()
}

impl VirtioDevice for Blk {
    fn id(&self) -> u32 {
        ID
    }

    fn features(&self) -> u64 {
        let always = 1 << VIRTIO_BLK_F_SEG_MAX
            | 1 << VIRTIO_BLK_F_BLK_SIZE
            | 1 << VIRTIO_BLK_F_FLUSH
            | 1 << VIRTIO_BLK_F_TOPOLOGY;
        let access = match self.disk.mode {
            DiskMode::ReadOnly => 1 << VIRTIO_BLK_F_RO,
            DiskMode::ReadWrite | DiskMode::Snapshot => {
                1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES
            }
        };
        always | access
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUE_SIZES
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        read_from(&self.config, offset, data);
    }

    fn activate(&mut self, activation: Activation) {
        *self.desk.slot.lock() = Some(activation);
    }

    fn reset(&mut self) {
        *self.desk.slot.lock() = None;
        self.desk.in_flight.wait();
    }
}

#[cfg(test)]
mod tests;
