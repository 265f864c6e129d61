//! One block request: decoded from its buffers, then executed.

use serde::Serialize;
use virtio_bindings::virtio_blk::*;

use super::{RANGE_SECTORS_MAX, RANGES_MAX};
use crate::bytes::array_at;
use crate::config::DiskMode;
use crate::disk::{Disk, SECTOR};
use crate::memory::Ram;
use crate::sync::Mutex;
use crate::trace::{self, Kind};
use crate::virtio::{Buffers, Segments};

const HEADER: usize = size_of::<virtio_blk_outhdr>();
const RANGE: usize = size_of::<virtio_blk_discard_write_zeroes>();
/// `VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP`.
const FLAG_UNMAP: u32 = 1;

/// How the device makes writes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// The driver flushes.
    WriteBack,
    /// The driver did not take the flush feature: each write is durable when it completes.
    WriteThrough,
}

/// What a disk did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkSnapshot {
    /// The disk's file.
    pub file: String,
    /// Read requests.
    pub reads: u64,
    /// Write requests.
    pub writes: u64,
    /// Flush requests.
    pub flushes: u64,
    /// Discard and write-zeroes requests.
    pub discards: u64,
    /// Requests that did not end in `VIRTIO_BLK_S_OK`.
    pub errors: u64,
    /// Bytes from the disk.
    pub bytes_read: u64,
    /// Bytes to the disk.
    pub bytes_written: u64,
    /// Interrupts raised.
    pub interrupts: u64,
}

/// Why a request has another status than OK.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Io,
    Unsupported,
}

/// A decoded request; its numbers are checked against the disk.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Read { offset: u64, into: Segments },
    Write { offset: u64, from: Segments },
    Flush,
    Discard(Vec<Range>),
    WriteZeroes(Vec<Range>),
    Identify { into: Segments },
}

impl Request {
    fn name(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Flush => "flush",
            Self::Discard(_) => "discard",
            Self::WriteZeroes(_) => "write zeroes",
            Self::Identify { .. } => "identify",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    sector: u64,
    count: u64,
}

/// What the requests of a disk have in common.
pub struct Executor<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// Guest RAM.
    pub ram: &'a Ram,
    /// Counters.
    pub counters: &'a Mutex<BlkSnapshot>,
    /// Durability of writes.
    pub cache: CacheMode,
}

impl Executor<'_> {
    /// Serves one request. Returns the bytes written to its buffers, the status included.
    pub fn serve(&self, mut buffers: Buffers) -> u32 {
        let Some(status) = buffers.writable.take_back(1) else {
            let name = self.disk.path.display();
            log::warn!("{name}: a request without room for its status");
            return 0;
        };
        let request = self.decode(buffers);
        let (code, written) = match request.and_then(|request| self.execute(&request)) {
            Ok(written) => (VIRTIO_BLK_S_OK, written),
            Err(Failure::Io) => (VIRTIO_BLK_S_IOERR, 0),
            Err(Failure::Unsupported) => (VIRTIO_BLK_S_UNSUPP, 0),
        };
        if code != VIRTIO_BLK_S_OK {
            self.counters.lock().errors += 1;
        }
        match status.write(self.ram, &[code as u8]) {
            Ok(_) => written.saturating_add(1),
            Err(_) => 0,
        }
    }

    fn decode(&self, mut buffers: Buffers) -> Result<Request, Failure> {
        let header = buffers.readable.take_front(HEADER as u64);
        let header = header.ok_or(Failure::Io)?;
        let mut bytes = [0; HEADER];
        header.read(self.ram, &mut bytes).map_err(|_| Failure::Io)?;
        let kind = u32::from_le_bytes(array_at(&bytes, 0));
        let sector = u64::from_le_bytes(array_at(&bytes, 8));
        let Buffers { readable, writable } = buffers;
        match kind {
            VIRTIO_BLK_T_IN => Ok(Request::Read {
                offset: self.offset(sector, &writable)?,
                into: writable,
            }),
            VIRTIO_BLK_T_OUT => {
                self.check_writable()?;
                Ok(Request::Write {
                    offset: self.offset(sector, &readable)?,
                    from: readable,
                })
            }
            VIRTIO_BLK_T_FLUSH => Ok(Request::Flush),
            VIRTIO_BLK_T_DISCARD => Ok(Request::Discard(self.ranges(&readable, 0)?)),
            VIRTIO_BLK_T_WRITE_ZEROES => {
                Ok(Request::WriteZeroes(self.ranges(&readable, FLAG_UNMAP)?))
            }
            VIRTIO_BLK_T_GET_ID => Ok(Request::Identify { into: writable }),
            _ => Err(Failure::Unsupported),
        }
    }

    fn check_writable(&self) -> Result<(), Failure> {
        match self.disk.mode {
            DiskMode::ReadOnly => Err(Failure::Io),
            DiskMode::ReadWrite | DiskMode::Snapshot => Ok(()),
        }
    }

    /// Byte offset of a transfer of whole sectors that lies on the disk.
    fn offset(&self, sector: u64, data: &Segments) -> Result<u64, Failure> {
        let length = data.length();
        let count = length / SECTOR;
        if !length.is_multiple_of(SECTOR) || !self.on_disk(Range { sector, count }) {
            return Err(Failure::Io);
        }
        Ok(sector * SECTOR)
    }

    fn on_disk(&self, range: Range) -> bool {
        let end = range.sector.checked_add(range.count);
        end.is_some_and(|end| end <= self.disk.sectors)
    }

    fn ranges(&self, data: &Segments, allowed_flags: u32) -> Result<Vec<Range>, Failure> {
        self.check_writable()?;
        let length = data.length() as usize;
        if length == 0 || !length.is_multiple_of(RANGE) || length / RANGE > RANGES_MAX as usize {
            return Err(Failure::Io);
        }
        let mut bytes = vec![0; length];
        data.read(self.ram, &mut bytes).map_err(|_| Failure::Io)?;
        let ranges = bytes.chunks_exact(RANGE);
        let checked = ranges.map(|chunk| self.range(chunk, allowed_flags));
        checked.collect()
    }

    fn range(&self, bytes: &[u8], allowed_flags: u32) -> Result<Range, Failure> {
        let sector = u64::from_le_bytes(array_at(bytes, 0));
        let count = u32::from_le_bytes(array_at(bytes, 8));
        let flags = u32::from_le_bytes(array_at(bytes, 12));
        let range = Range {
            sector,
            count: count.into(),
        };
        if flags & !allowed_flags != 0 {
            return Err(Failure::Unsupported);
        }
        if count > RANGE_SECTORS_MAX || !self.on_disk(range) {
            return Err(Failure::Io);
        }
        Ok(range)
    }

    /// Returns the bytes written to the request's buffers, the status not included.
    fn execute(&self, request: &Request) -> Result<u32, Failure> {
        let began = trace::begin();
        let result = match request {
            Request::Read { offset, into } => self.read(*offset, into),
            Request::Write { offset, from } => self.write(*offset, from),
            Request::Flush => self.disk.flush().map(|()| 0),
            Request::Discard(ranges) => each(ranges, |r| self.disk.discard(r.sector, r.count)),
            Request::WriteZeroes(ranges) => {
                let zero = |r: &Range| self.disk.write_zeroes(r.sector, r.count);
                each(ranges, zero).and_then(|n| self.settle(n))
            }
            Request::Identify { into } => return self.identify(into),
        };
        self.count(request);
        trace::span(Kind::Disk, format_args!("{}", request.name()), began);
        result.map_err(|error| {
            log::warn!("disk {}: {error}", self.disk.path.display());
            Failure::Io
        })
    }

    fn count(&self, request: &Request) {
        let mut counters = self.counters.lock();
        match request {
            Request::Read { .. } => counters.reads += 1,
            Request::Write { .. } => counters.writes += 1,
            Request::Flush => counters.flushes += 1,
            Request::Discard(_) | Request::WriteZeroes(_) => counters.discards += 1,
            Request::Identify { .. } => {}
        }
    }

    fn read(&self, offset: u64, into: &Segments) -> std::io::Result<u32> {
        self.disk.read(self.ram, offset, into.as_slice())?;
        self.counters.lock().bytes_read += into.length();
        Ok(u32::try_from(into.length()).unwrap_or(u32::MAX))
    }

    fn write(&self, offset: u64, from: &Segments) -> std::io::Result<u32> {
        self.disk.write(self.ram, offset, from.as_slice())?;
        self.counters.lock().bytes_written += from.length();
        self.settle(0)
    }

    /// After a change of the disk.
    fn settle(&self, written: u32) -> std::io::Result<u32> {
        if self.cache == CacheMode::WriteThrough {
            self.disk.flush()?;
        }
        Ok(written)
    }

    /// The serial number: the end of the file's name, at most `VIRTIO_BLK_ID_BYTES`, zero-padded.
    fn identify(&self, into: &Segments) -> Result<u32, Failure> {
        const LENGTH: usize = VIRTIO_BLK_ID_BYTES as usize;
        let name = self.disk.path.file_name().unwrap_or_default();
        let name = name.as_encoded_bytes();
        let end = &name[name.len().saturating_sub(LENGTH)..];
        let mut id = [0; LENGTH];
        id[..end.len()].copy_from_slice(end);
        into.write(self.ram, &id)
            .map(|written| written as u32)
            .map_err(|_| Failure::Io)
    }
}

fn each(ranges: &[Range], act: impl FnMut(&Range) -> std::io::Result<()>) -> std::io::Result<u32> {
    ranges.iter().try_for_each(act).map(|()| 0)
}
