//! Opening, reading, writing and cutting files.

use crate::block_map::{Extent, allocate, map};
use crate::cache::{Class, Tag};
use crate::mount::Ext2;
use crate::node::{Node, ReadAhead};
use crate::trim::trim;
use crate::types::{FileType, Ino, Timestamp};
use crate::volume::Volume;
use crate::{BlockDevice, Error, Result};

/// Most blocks that reading ahead asks for at once.
const WINDOW_MAX: u32 = 32;

impl<D: BlockDevice> Ext2<D> {
    /// Keeps the file alive until [`close`](Self::close), even without a name.
    pub fn open(&mut self, ino: Ino) -> Result<()> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        node.opens += 1;
        Ok(())
    }

    /// Whether the file has no name any more, and one open file is all that keeps it.
    pub fn is_last_use(&mut self, ino: Ino) -> bool {
        let node = self.nodes.get(&mut self.volume, ino);
        node.is_ok_and(|node| node.inode.links_count == 0 && node.opens == 1)
    }

    /// Ends an [`open`](Self::open); the last one of a file without a name deletes it.
    pub fn close(&mut self, ino: Ino, now: Timestamp) -> Result<()> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        node.opens = node.opens.checked_sub(1).ok_or(Error::Invalid)?;
        if node.opens > 0 {
            return Ok(());
        }
        let linked = node.inode.links_count > 0;
        self.volume.release_reservation(ino)?;
        if linked || self.volume.read_only {
            return Ok(());
        }
        self.update(|fs| fs.delete_orphan(ino, now))
    }

    /// Reads from byte `offset` into `buf`; returns the bytes read, fewer only at the end.
    pub fn read(&mut self, ino: Ino, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let node = self.nodes.get(&mut self.volume, ino)?;
        check_regular(node)?;
        let rest = node.inode.size.saturating_sub(offset);
        let len = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        if len > 0 {
            read_blocks(&mut self.volume, node, offset, &mut buf[..len])?;
        }
        Ok(len)
    }

    /// Writes `data` at byte `offset`; the file grows as needed, and what lies between its
    /// old end and `offset` reads as zeros. Returns the bytes written: fewer if space or
    /// the largest size is reached on the way.
    pub fn write(&mut self, ino: Ino, offset: u64, data: &[u8], now: Timestamp) -> Result<usize> {
        self.update(|fs| {
            let limit = fs.volume.superblock.max_file_size();
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            check_regular(node)?;
            if data.is_empty() {
                return Ok(0);
            }
            let rest = limit.checked_sub(offset).filter(|&rest| rest > 0);
            let rest = rest.ok_or(Error::FileTooLarge)?;
            let len = usize::try_from(rest).unwrap_or(usize::MAX).min(data.len());
            let mut done = 0;
            let outcome = write_blocks(&mut fs.volume, node, offset, &data[..len], &mut done);
            let end = offset + done as u64;
            if done > 0 && end > node.inode.size {
                grow(&mut fs.volume, node, end);
            }
            if done > 0 {
                node.inode.mtime = now.to_disk();
                node.inode.ctime = now.to_disk();
            }
            node.store(&mut fs.volume)?;
            match outcome {
                Ok(()) => Ok(done),
                Err(error) => {
                    drop_behind_end(&mut fs.volume, node)?;
                    if done > 0 { Ok(done) } else { Err(error) }
                }
            }
        })
    }

    /// Sets the size of a file: cuts it, or lets it grow by a hole.
    pub fn truncate(&mut self, ino: Ino, size: u64, now: Timestamp) -> Result<()> {
        self.update(|fs| {
            let limit = fs.volume.superblock.max_file_size();
            let node = fs.nodes.get(&mut fs.volume, ino)?;
            check_regular(node)?;
            if size > limit {
                return Err(Error::FileTooLarge);
            }
            node.inode.mtime = now.to_disk();
            node.inode.ctime = now.to_disk();
            if size >= node.inode.size {
                grow(&mut fs.volume, node, size);
                return node.store(&mut fs.volume);
            }
            clear_tail(&mut fs.volume, node, size)?;
            node.inode.size = size;
            drop_behind_end(&mut fs.volume, node)
        })
    }
}

pub(super) fn check_regular(node: &Node) -> Result<()> {
    match node.inode.file_type() {
        Some(FileType::Regular) => Ok(()),
        Some(FileType::Directory) => Err(Error::IsDirectory),
        _ => Err(Error::Invalid),
    }
}

pub(super) fn grow<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node, size: u64) {
    node.inode.size = size;
    if volume.superblock.note_file_size(size) {
        volume.superblock_dirty = true;
    }
}

/// Zeroes what follows byte `size` in its block: growing again must show zeros there.
fn clear_tail<D: BlockDevice>(volume: &mut Volume<D>, node: &mut Node, size: u64) -> Result<()> {
    let within = (size as usize) & (volume.block_size() - 1);
    if within == 0 {
        return Ok(());
    }
    let extent = map(volume, node, (size >> volume.block_bits()) as u32)?;
    if let Some(block) = extent.physical {
        volume.cache.modify(block, Tag::of(Class::Data, node.ino))?[within..].fill(0);
    }
    Ok(())
}

pub(super) fn drop_behind_end<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
) -> Result<()> {
    let keep = node.inode.size.div_ceil(volume.block_size() as u64);
    trim(volume, node, keep)
}

fn read_blocks<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    offset: u64,
    mut buf: &mut [u8],
) -> Result<()> {
    let (bits, size) = (volume.block_bits(), volume.block_size());
    let window = sequential_window(node, offset, buf.len() as u64);
    let mut position = offset;
    while !buf.is_empty() {
        let within = position as usize & (size - 1);
        let extent = map(volume, node, (position >> bits) as u32)?;
        let wanted = (within + buf.len()).div_ceil(size).max(window as usize);
        let bytes = ((extent.len as usize) << bits)
            .saturating_sub(within)
            .min(buf.len());
        let (part, rest) = buf.split_at_mut(bytes);
        match extent.physical {
            None => part.fill(0),
            Some(_) => copy_out(volume, extent, within, part, wanted)?,
        }
        position += bytes as u64;
        buf = rest;
    }
    Ok(())
}

/// Copies from the blocks of an extent; of what is missing, up to `wanted` blocks are read
/// in one request.
fn copy_out<D: BlockDevice>(
    volume: &mut Volume<D>,
    extent: Extent,
    mut within: usize,
    mut buf: &mut [u8],
    wanted: usize,
) -> Result<()> {
    let Some(first) = extent.physical else {
        return Ok(());
    };
    let size = volume.block_size();
    let mut index = 0;
    while !buf.is_empty() {
        let ahead = (extent.len - index).min((wanted as u32).saturating_sub(index).max(1));
        let data = volume.cache.get_ahead(first.plus(index), ahead)?;
        let bytes = (size - within).min(buf.len());
        let (part, rest) = buf.split_at_mut(bytes);
        part.copy_from_slice(&data[within..within + bytes]);
        buf = rest;
        within = 0;
        index += 1;
    }
    Ok(())
}

/// How far to read ahead: not at all at random, further and further in sequence.
fn sequential_window(node: &mut Node, offset: u64, len: u64) -> u32 {
    let ReadAhead { next, window } = node.read_ahead;
    let window = if offset == next {
        (window * 2).clamp(4, WINDOW_MAX)
    } else {
        1
    };
    node.read_ahead = ReadAhead {
        next: offset + len,
        window,
    };
    window
}

fn write_blocks<D: BlockDevice>(
    volume: &mut Volume<D>,
    node: &mut Node,
    offset: u64,
    data: &[u8],
    done: &mut usize,
) -> Result<()> {
    let (bits, size) = (volume.block_bits(), volume.block_size());
    let tag = Tag::of(Class::Data, node.ino);
    while *done < data.len() {
        let position = offset + *done as u64;
        let logical = (position >> bits) as u32;
        let mut within = position as usize & (size - 1);
        let wanted = (within + data.len() - *done).div_ceil(size);
        let mut extent = map(volume, node, logical)?;
        let fresh = extent.physical.is_none();
        if fresh {
            extent = allocate(volume, node, logical, wanted as u32)?;
        }
        let Some(first) = extent.physical else {
            continue;
        };
        for index in 0..extent.len.min(wanted as u32) {
            let bytes = (size - within).min(data.len() - *done);
            let block = first.plus(index);
            let target = match (bytes == size, fresh) {
                (true, _) => volume.cache.replace(block, tag)?,
                (false, true) => volume.cache.zeroed(block, tag)?,
                (false, false) => volume.cache.modify(block, tag)?,
            };
            target[within..within + bytes].copy_from_slice(&data[*done..*done + bytes]);
            *done += bytes;
            within = 0;
        }
    }
    Ok(())
}
