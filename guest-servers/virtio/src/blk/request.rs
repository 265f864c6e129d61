//! Requests of the block device and what becomes of them (section 5.2.6).

use super::{Geometry, RangeLimits, SlotData};
use crate::dma::Segment;
use crate::features::Features;
use crate::spec::blk::{SECTOR_BYTES, feature, request, status};
use core::slice;
use thiserror::Error;

/// What the device is asked to do. Sectors are 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Read from `sector` on until the segments are full.
    Read {
        /// First sector.
        sector: u64,
        /// Where the data goes; whole sectors in all.
        into: &'a [Segment],
    },
    /// Write the segments from `sector` on.
    Write {
        /// First sector.
        sector: u64,
        /// The data; whole sectors in all.
        from: &'a [Segment],
    },
    /// Make all completed writes durable. Without FLUSH among the features each write is durable
    /// when it completes, and this is [`SubmitError::Unsupported`].
    Flush,
    /// Forget what is in these sectors.
    Discard {
        /// First sector.
        sector: u64,
        /// How many.
        sectors: u32,
    },
    /// Zero these sectors.
    WriteZeroes {
        /// First sector.
        sector: u64,
        /// How many.
        sectors: u32,
        /// Whether they may be given back to the host.
        unmap: Unmap,
    },
    /// Read the device's identity (its serial number).
    GetId,
}

/// Whether zeroed sectors keep their storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmap {
    /// They do.
    Keep,
    /// The device may give it back.
    Allowed,
}

/// The identity string of a device: up to 20 bytes, without the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    bytes: [u8; 20],
}

impl Identity {
    pub(super) fn new(bytes: [u8; 20]) -> Identity {
        Identity { bytes }
    }

    /// Its bytes; ASCII by custom.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.bytes.iter().position(|byte| *byte == 0);
        &self.bytes[..end.unwrap_or(self.bytes.len())]
    }
}

/// What a request has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A read or write is done.
    Transferred {
        /// All that was asked for.
        bytes: u64,
    },
    /// A flush, discard or write-zeroes is done.
    Done,
    /// The device's identity.
    Identity(Identity),
}

/// Why a request was not submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// As many are in flight as fit.
    #[error("block device queue is full")]
    Full,
    /// The device is read-only.
    #[error("block device is read-only")]
    ReadOnly,
    /// It reaches past the last sector.
    #[error("request ends past the device's {sectors} sectors")]
    OutOfRange {
        /// Sectors on the device.
        sectors: u64,
    },
    /// No data, or not whole sectors.
    #[error("request of {bytes} bytes is not a positive multiple of 512")]
    NotWholeSectors {
        /// Bytes asked for.
        bytes: u64,
    },
    /// Too many segments.
    #[error("request has more than {most} segments")]
    TooManySegments {
        /// How many are allowed.
        most: usize,
    },
    /// A segment, or the range of a discard or write-zeroes, is too long: split it.
    #[error("request has a range longer than {most} (bytes or sectors)")]
    TooLong {
        /// How much is allowed.
        most: u32,
    },
    /// The device does not offer this kind of request.
    #[error("block device does not offer this request")]
    Unsupported,
}

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlkError {
    /// VIRTIO_BLK_S_IOERR.
    #[error("block device reports an I/O error")]
    Io,
    /// VIRTIO_BLK_S_UNSUPP.
    #[error("block device does not know the request")]
    Unsupported,
    /// The status byte is none that the specification names (0xff: never written).
    #[error("block device returned the undefined status {status:#x}")]
    UndefinedStatus {
        /// The byte.
        status: u8,
    },
}

impl BlkError {
    /// Reads a status byte.
    pub(super) fn check(byte: u8) -> Result<(), BlkError> {
        match byte {
            status::OK => Ok(()),
            status::IOERR => Err(BlkError::Io),
            status::UNSUPP => Err(BlkError::Unsupported),
            status => Err(BlkError::UndefinedStatus { status }),
        }
    }
}

impl Request<'_> {
    /// The request type in the header.
    pub(super) fn kind(&self) -> u32 {
        match self {
            Request::Read { .. } => request::IN,
            Request::Write { .. } => request::OUT,
            Request::Flush => request::FLUSH,
            Request::Discard { .. } => request::DISCARD,
            Request::WriteZeroes { .. } => request::WRITE_ZEROES,
            Request::GetId => request::GET_ID,
        }
    }

    /// The sector in the header: of reads and writes only.
    pub(super) fn header_sector(&self) -> u64 {
        match *self {
            Request::Read { sector, .. } | Request::Write { sector, .. } => sector,
            _ => 0,
        }
    }

    /// Whether the device writes the data.
    pub(super) fn device_writes(&self) -> bool {
        matches!(self, Request::Read { .. } | Request::GetId)
    }

    /// Sector, count and flags of a range request.
    pub(super) fn range(&self) -> Option<(u64, u32, u32)> {
        match *self {
            Request::Discard { sector, sectors } => Some((sector, sectors, 0)),
            Request::WriteZeroes {
                sector,
                sectors,
                unmap,
            } => match unmap {
                Unmap::Keep => Some((sector, sectors, 0)),
                Unmap::Allowed => Some((sector, sectors, request::UNMAP)),
            },
            _ => None,
        }
    }

    /// The data segments: its own, or the slot's.
    pub(super) fn segments<'s>(&'s self, slot: &'s SlotData) -> &'s [Segment] {
        match self {
            Request::Read { into: data, .. } | Request::Write { from: data, .. } => data,
            _ => slot.as_ref().map_or(&[], slice::from_ref),
        }
    }

    /// Checks it against what the device can do.
    pub(super) fn check(
        &self,
        geometry: &Geometry,
        features: Features,
        max_segments: usize,
    ) -> Result<(), SubmitError> {
        let writes = !matches!(self, Request::Read { .. } | Request::GetId | Request::Flush);
        if writes && geometry.read_only {
            return Err(SubmitError::ReadOnly);
        }
        match *self {
            Request::Read { sector, into: data } | Request::Write { sector, from: data } => {
                check_data(sector, data, geometry, max_segments)
            }
            Request::Discard { sector, sectors } => {
                check_range(sector, sectors, geometry.discard, geometry)
            }
            Request::WriteZeroes {
                sector,
                sectors,
                unmap,
            } => {
                let limits = geometry.write_zeroes;
                if unmap == Unmap::Allowed && limits.is_some_and(|limits| !limits.may_unmap) {
                    return Err(SubmitError::Unsupported);
                }
                check_range(sector, sectors, limits, geometry)
            }
            Request::Flush if !features.contains(feature::FLUSH) => Err(SubmitError::Unsupported),
            Request::Flush | Request::GetId => Ok(()),
        }
    }
}

fn check_data(
    sector: u64,
    data: &[Segment],
    geometry: &Geometry,
    max_segments: usize,
) -> Result<(), SubmitError> {
    if data.len() > max_segments {
        return Err(SubmitError::TooManySegments { most: max_segments });
    }
    let most = geometry.max_segment_bytes;
    if data.iter().any(|segment| segment.length() > most) {
        return Err(SubmitError::TooLong { most });
    }
    let bytes: u64 = data.iter().map(|segment| u64::from(segment.length())).sum();
    let whole = bytes > 0 && bytes.is_multiple_of(SECTOR_BYTES.into());
    if !whole || data.iter().any(|segment| segment.length() == 0) {
        return Err(SubmitError::NotWholeSectors { bytes });
    }
    // Header and status count as well, and the chain must stay below 4 GiB (section 2.7.5).
    if bytes > u64::from(u32::MAX - SECTOR_BYTES) {
        return Err(SubmitError::TooLong {
            most: u32::MAX - SECTOR_BYTES,
        });
    }
    check_end(sector, bytes / u64::from(SECTOR_BYTES), geometry)
}

fn check_range(
    sector: u64,
    sectors: u32,
    limits: Option<RangeLimits>,
    geometry: &Geometry,
) -> Result<(), SubmitError> {
    let most = limits.ok_or(SubmitError::Unsupported)?.max_sectors;
    match sectors {
        0 => Err(SubmitError::NotWholeSectors { bytes: 0 }),
        _ if sectors > most => Err(SubmitError::TooLong { most }),
        _ => check_end(sector, sectors.into(), geometry),
    }
}

fn check_end(sector: u64, count: u64, geometry: &Geometry) -> Result<(), SubmitError> {
    let sectors = geometry.sectors;
    let inside = sector.checked_add(count).is_some_and(|end| end <= sectors);
    inside
        .then_some(())
        .ok_or(SubmitError::OutOfRange { sectors })
}
