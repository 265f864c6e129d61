//! What a block device says of itself (section 5.2.4).

use crate::error::InitError;
use crate::features::Features;
use crate::spec::blk::{SECTOR_BYTES, config, feature};
use crate::transport::{Config, Transport};

/// Size and limits of a block device. A sector is 512 bytes everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Sectors on the device.
    pub sectors: u64,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Bytes of a logical block: the unit of I/O that performs best.
    pub block_bytes: u32,
    /// Most bytes of one segment.
    pub max_segment_bytes: u32,
    /// Most segments of one request.
    pub max_segments: u32,
    /// Best sizes and alignments, if told.
    pub topology: Option<Topology>,
    /// Discard requests, if the device takes them.
    pub discard: Option<RangeLimits>,
    /// Write-zeroes requests, if the device takes them.
    pub write_zeroes: Option<RangeLimits>,
}

/// Sizes and alignments that perform well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// log2 of the logical blocks in a physical one.
    pub physical_block_exponent: u8,
    /// First logical block that is aligned to a physical one.
    pub alignment_offset: u8,
    /// Smallest I/O that performs well, in logical blocks.
    pub min_io_blocks: u16,
    /// Best I/O for streams, in logical blocks; 0: not told.
    pub optimal_io_blocks: u32,
}

/// Limits of a request about a range of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLimits {
    /// Most sectors of one request.
    pub max_sectors: u32,
    /// Sectors to which a range is best aligned; at least 1.
    pub alignment_sectors: u32,
    /// Whether zeroed sectors may be unmapped (write-zeroes only).
    pub may_unmap: bool,
}

impl Geometry {
    /// Reads the configuration space, only the fields that are valid.
    pub(super) fn read(transport: &Transport, features: Features) -> Result<Geometry, InitError> {
        let geometry = transport.read_config(|config| Self::fields(&config, features))?;
        let bytes = geometry.block_bytes;
        let valid = bytes.is_power_of_two() && bytes >= SECTOR_BYTES;
        let invalid = InitError::ConfigInvalid {
            field: "blk_size",
            value: bytes.into(),
        };
        valid.then_some(geometry).ok_or(invalid)
    }

    fn fields(from: &Config<'_>, features: Features) -> Geometry {
        let has = |feature| features.contains(feature);
        let field = |feature, offset| has(feature).then(|| from.u32(offset));
        Geometry {
            sectors: from.u64(config::CAPACITY),
            read_only: has(feature::RO),
            block_bytes: field(feature::BLK_SIZE, config::BLK_SIZE).unwrap_or(SECTOR_BYTES),
            max_segment_bytes: at_least_one(
                field(feature::SIZE_MAX, config::SIZE_MAX).unwrap_or(u32::MAX),
            ),
            // Not told means one, to be safe: so do others.
            max_segments: at_least_one(field(feature::SEG_MAX, config::SEG_MAX).unwrap_or(1)),
            topology: has(feature::TOPOLOGY).then(|| Topology::fields(from)),
            discard: has(feature::DISCARD).then(|| RangeLimits {
                max_sectors: from.u32(config::MAX_DISCARD_SECTORS),
                alignment_sectors: at_least_one(from.u32(config::DISCARD_SECTOR_ALIGNMENT)),
                may_unmap: true,
            }),
            write_zeroes: has(feature::WRITE_ZEROES).then(|| RangeLimits {
                max_sectors: from.u32(config::MAX_WRITE_ZEROES_SECTORS),
                alignment_sectors: 1,
                may_unmap: from.u8(config::WRITE_ZEROES_MAY_UNMAP) == 1,
            }),
        }
    }
}

impl Topology {
    fn fields(from: &Config<'_>) -> Topology {
        Topology {
            physical_block_exponent: from.u8(config::PHYSICAL_BLOCK_EXP),
            alignment_offset: from.u8(config::ALIGNMENT_OFFSET),
            min_io_blocks: from.u16(config::MIN_IO_SIZE),
            optimal_io_blocks: from.u32(config::OPT_IO_SIZE),
        }
    }
}

fn at_least_one(value: u32) -> u32 {
    value.max(1)
}
