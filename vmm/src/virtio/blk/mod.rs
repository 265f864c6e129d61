//! virtio-blk (specification, section 5.2): a raw disk image, served by threads of its own.
//!
//! The front here knows the configuration space; [`worker`] waits for notifications and
//! serves the queue; [`request`] decodes and executes one request.

pub mod request;
mod worker;

use std::mem::offset_of;
use std::sync::Arc;

use virtio_bindings::virtio_blk::*;

pub use request::{BlkCounters, BlkSnapshot};
pub use worker::{Desk, Worker};

use super::{Activation, VirtioDevice, read_from};
use crate::config::DiskMode;
use crate::disk::{Disk, SECTOR};

/// `VIRTIO_ID_BLOCK`.
const ID: u32 = 2;
const QUEUE_SIZES: [u16; 1] = [256];
/// Data buffers of a request: the queue less header and status.
const SEG_MAX: u32 = QUEUE_SIZES[0] as u32 - 2;
/// Sectors of the block in which hosts' file systems keep files.
const PHYSICAL_BLOCK: u16 = 8;
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
        let config = config_space(&disk);
        Self { disk, desk, config }
    }
}

fn config_space(disk: &Disk) -> Vec<u8> {
    let mut space = vec![0; size_of::<virtio_blk_config>()];
    let mut put = |offset: usize, bytes: &[u8]| {
        space[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(
        offset_of!(virtio_blk_config, capacity),
        &disk.sectors.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, seg_max),
        &SEG_MAX.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, blk_size),
        &(SECTOR as u32).to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, physical_block_exp),
        &[PHYSICAL_BLOCK.trailing_zeros() as u8],
    );
    put(
        offset_of!(virtio_blk_config, min_io_size),
        &PHYSICAL_BLOCK.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, max_discard_sectors),
        &RANGE_SECTORS_MAX.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, max_discard_seg),
        &RANGES_MAX.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, discard_sector_alignment),
        &8u32.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, max_write_zeroes_sectors),
        &RANGE_SECTORS_MAX.to_le_bytes(),
    );
    put(
        offset_of!(virtio_blk_config, max_write_zeroes_seg),
        &RANGES_MAX.to_le_bytes(),
    );
    put(offset_of!(virtio_blk_config, write_zeroes_may_unmap), &[1]);
    space
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
