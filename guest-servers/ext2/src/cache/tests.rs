use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::{DeviceError, Error};

const BLOCK: usize = 1024;

/// A disk that remembers its requests.
struct Disk {
    bytes: Vec<u8>,
    reads: Vec<(u64, usize)>,
    writes: Vec<(u64, usize)>,
    broken_from: u64,
}

impl BlockDevice for Disk {
    fn sector_count(&self) -> u64 {
        (self.bytes.len() / 512) as u64
    }
    fn is_read_only(&self) -> bool {
        false
    }
    fn read(&mut self, sector: u64, buf: &mut [u8]) -> core::result::Result<(), DeviceError> {
        self.reads.push((sector / 2, buf.len() / BLOCK));
        let at = sector as usize * 512;
        if (at + buf.len()) as u64 > self.broken_from {
            return Err(DeviceError);
        }
        buf.copy_from_slice(&self.bytes[at..at + buf.len()]);
        Ok(())
    }
    fn write(&mut self, sector: u64, buf: &[u8]) -> core::result::Result<(), DeviceError> {
        self.writes.push((sector / 2, buf.len() / BLOCK));
        let at = sector as usize * 512;
        self.bytes[at..at + buf.len()].copy_from_slice(buf);
        Ok(())
    }
    fn flush(&mut self) -> core::result::Result<(), DeviceError> {
        Ok(())
    }
}

fn cache(capacity: usize) -> Cache<Disk> {
    let bytes = (0..256 * BLOCK).map(|i| (i / BLOCK) as u8).collect();
    let disk = Disk {
        bytes,
        reads: vec![],
        writes: vec![],
        broken_from: u64::MAX,
    };
    Cache::new(disk, BLOCK, capacity)
}

const DATA: Tag = Tag {
    class: Class::Data,
    owner: Some(Ino(12)),
};

#[test]
fn a_run_is_read_in_one_request_and_stays() {
    let mut cache = cache(64);
    assert_eq!(cache.get_ahead(BlockNr(10), 8).unwrap()[0], 10);
    for block in 10..18 {
        assert_eq!(cache.get(BlockNr(block)).unwrap()[7], block as u8);
    }
    assert_eq!(cache.device.reads, [(10, 8)]);
    assert_eq!((cache.stats().misses, cache.stats().hits), (1, 8));
}

#[test]
fn read_ahead_stops_at_cached_blocks_and_at_the_end() {
    let mut cache = cache(64);
    cache.modify(BlockNr(13), DATA).unwrap()[0] = 99;
    cache.get_ahead(BlockNr(10), 8).unwrap();
    cache.get_ahead(BlockNr(254), 8).unwrap();
    assert_eq!(cache.device.reads, [(13, 1), (10, 3), (254, 2)]);
    assert_eq!(cache.get(BlockNr(13)).unwrap()[0], 99);
}

#[test]
fn replacing_does_not_read_and_neighbours_are_written_together() {
    let mut cache = cache(64);
    for block in [22, 20, 21, 40] {
        cache.replace(BlockNr(block), DATA).unwrap().fill(7);
    }
    cache.replace(BlockNr(5), Tag::INODE).unwrap().fill(8);
    cache.write_back().unwrap();
    assert!(cache.device.reads.is_empty());
    assert_eq!(
        cache.device.writes,
        [(20, 3), (40, 1), (5, 1)],
        "data before inodes"
    );
    assert_eq!(cache.stats().dirty, 0);
    assert_eq!(cache.device.bytes[21 * BLOCK], 7);
}

#[test]
fn the_oldest_block_goes_and_dirty_ones_are_written_first() {
    let mut cache = cache(32);
    for block in 0..32 {
        cache.replace(BlockNr(block), DATA).unwrap().fill(200);
    }
    cache.get(BlockNr(0)).unwrap();
    cache.get(BlockNr(100)).unwrap();
    assert_eq!(cache.stats().evictions, 1);
    assert_eq!(cache.stats().cached, 32);
    cache.get(BlockNr(0)).unwrap();
    assert_eq!(cache.stats().misses, 1, "block 0 was used, block 1 left");
    assert_eq!(cache.get(BlockNr(1)).unwrap()[0], 200);
    assert_eq!(cache.stats().misses, 2);
}

#[test]
fn fsync_writes_one_files_blocks() {
    let mut cache = cache(64);
    cache.replace(BlockNr(50), DATA).unwrap().fill(1);
    cache
        .replace(BlockNr(51), Tag::of(Class::Data, Ino(13)))
        .unwrap()
        .fill(1);
    cache.replace(BlockNr(5), Tag::INODE).unwrap().fill(1);
    cache.replace(BlockNr(6), Tag::INODE).unwrap().fill(1);
    cache.write_back_file(Ino(12), BlockNr(5)).unwrap();
    assert_eq!(cache.device.writes, [(50, 1), (5, 1)]);
    assert_eq!(cache.stats().dirty, 2);
}

#[test]
fn a_discarded_block_is_not_written() {
    let mut cache = cache(64);
    cache.replace(BlockNr(50), DATA).unwrap().fill(1);
    cache.discard(BlockNr(50));
    cache.write_back().unwrap();
    assert!(cache.device.writes.is_empty());
    assert_eq!(cache.get(BlockNr(50)).unwrap()[0], 50);
}

#[test]
fn a_failed_read_ahead_does_not_fail_the_read() {
    let mut cache = cache(64);
    cache.device.broken_from = 12 * BLOCK as u64;
    assert_eq!(cache.get_ahead(BlockNr(10), 8).unwrap()[0], 10);
    assert_eq!(cache.get(BlockNr(12)), Err(Error::Io));
    assert_eq!(cache.get(BlockNr(11)).unwrap()[0], 11);
}

#[test]
fn memory_given_back_loses_nothing() {
    let mut cache = cache(64);
    for block in 0..40u32 {
        cache.get(BlockNr(block)).unwrap();
    }
    cache.modify(BlockNr(7), DATA).unwrap()[3] = 99;
    assert_eq!(cache.give_back_memory(), Ok(40 * BLOCK));
    assert_eq!(cache.device.bytes[7 * BLOCK + 3], 99);
    assert_eq!((cache.stats().cached, cache.stats().dirty), (0, 0));
    assert_eq!(cache.give_back_memory(), Ok(0));
    assert_eq!(cache.get(BlockNr(7)).unwrap()[..4], [7, 7, 7, 99]);
    assert_eq!(cache.get(BlockNr(8)).unwrap()[0], 8);
}
