//! virtio-blk: whole queues of requests, on a disk of each mode.

use std::cell::OnceCell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use vm_memory::{Bytes, GuestAddress};
use vmm::config::{DiskConfig, DiskMode};
use vmm::disk::Disk;
use vmm::virtio::blk::{Blk, Desk, Worker};

use crate::device::{Back, Bench, DATA, event, fresh_ram, interrupt};
use crate::op::{Descriptor, Place, Source};

/// Sectors of the disk.
pub const SECTORS: usize = 64;
const SECTOR: usize = 512;
/// Where the honest request has its header, its data and its status.
const HEADER: u16 = 0;
const BUFFER: u16 = 0x200;
const STATUS: u16 = 0x100;

impl Back for Worker {
    fn serve(&mut self) {
        self.serve_now();
    }
}

/// The first byte chooses the disk's mode; the rest are [`Op`](crate::op::Op)s on a device that is set up.
pub fn run(data: &[u8]) {
    let mut source = Source(data);
    let mode = match source.array() {
        Some([0]) => DiskMode::ReadOnly,
        Some([1]) => DiskMode::Snapshot,
        _ => DiskMode::ReadWrite,
    };
    let file = disk_file();
    let mut bench = bench(&file, mode);
    bench.start_honestly();
    bench.run(source);
    let after = content(&file);
    assert!(
        mode == DiskMode::ReadWrite || after == pattern(),
        "a {} disk was written",
        mode.name()
    );
    read_honestly(&mut bench, 3, (mode != DiskMode::Snapshot).then_some(after));
}

/// A disk on this file, and its driver.
pub fn bench(file: &File, mode: DiskMode) -> Bench<Worker> {
    let config = DiskConfig {
        path: format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
        mode,
        holds: None,
    };
    let disk = Arc::new(Disk::open(&config).expect("nobody else has it"));
    let (ram, interrupt, desk, event) = (fresh_ram(), interrupt(), Desk::default(), event());
    let notified = event.try_clone().expect("event files can be cloned");
    let front = Box::new(Blk::new(disk.clone(), desk.clone()));
    let back = Worker::new(disk, ram.clone(), desk, interrupt.clone(), notified);
    Bench::new(front, ram, interrupt, vec![event], back)
}

/// Reads a sector of a device that may be in any state; its bytes are the file's.
fn read_honestly(bench: &mut Bench<Worker>, sector: u64, file: Option<Vec<u8>>) {
    bench.start_honestly();
    let header = [0u64.to_le_bytes(), sector.to_le_bytes()].concat();
    bench.fill(DATA + u64::from(HEADER), &header);
    bench.fill(DATA + u64::from(STATUS), &[0xff]);
    let parts = [
        (HEADER, 16, 1),
        (BUFFER, SECTOR as u32, 1 | 2),
        (STATUS, 1, 2),
    ];
    for (index, (offset, length, flags)) in (0u8..).zip(parts) {
        let descriptor = Descriptor {
            index,
            place: Place::Data(offset),
            length,
            flags,
            next: u16::from(index) + 1,
        };
        bench.describe(0, &descriptor);
    }
    bench.offer(0, 0);
    bench.back.serve();
    assert_eq!(bench.used(0), 1, "an honest request is not served");
    let mut status = [0xff];
    let mut bytes = [0; SECTOR];
    for (offset, into) in [(STATUS, &mut status[..]), (BUFFER, &mut bytes[..])] {
        let address = GuestAddress(DATA + u64::from(offset));
        bench.ram.read_slice(into, address).expect("it is RAM");
    }
    assert_eq!(status, [0], "an honest request fails");
    if let Some(file) = file {
        let start = sector as usize * SECTOR;
        assert_eq!(
            bytes,
            file[start..start + SECTOR],
            "a read gives other bytes"
        );
    }
}

/// This thread's disk, with its pattern on it.
pub fn disk_file() -> File {
    thread_local!(static DISK: OnceCell<File> = const { OnceCell::new() });
    DISK.with(|disk| {
        let file = disk.get_or_init(|| {
            let memory = memfd_create("disk", MemfdFlags::CLOEXEC).expect("memory");
            File::from(memory)
        });
        file.write_all_at(&pattern(), 0).expect("memory");
        file.try_clone().expect("descriptors")
    })
}

/// The file's bytes; its size is what it was.
fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; SECTORS * SECTOR];
    file.read_exact_at(&mut bytes, 0)
        .expect("the file was made shorter");
    let length = file.metadata().expect("it is open").len();
    assert_eq!(length, bytes.len() as u64, "the file was made longer");
    bytes
}

fn pattern() -> Vec<u8> {
    (0..SECTORS * SECTOR)
        .map(|at| (at / SECTOR) as u8)
        .collect()
}
