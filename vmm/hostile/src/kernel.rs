//! Kernel files: what is accepted is sound, and can be loaded.

use std::cell::OnceCell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use ferrix_machine::memory::{KERNEL_BASE, MMIO_HOLE_BASE};
use rustix::fs::{MemfdFlags, memfd_create};
use vm_memory::{Bytes, GuestAddress};
use vmm::boot::{self, BootError, KernelImage};
use vmm::config::{Manifest, MemorySize, VmConfig};
use vmm::inspect::symbols::Symbols;
use vmm::memory::{self, Ram};

const MEMORY: MemorySize = MemorySize::mib(16);
const MANIFEST: &str = "kernel = 'k'\nmemory = '16M'\nappend = 'quiet'";
/// Below it are the tables.
const TABLES_END: u64 = 1 << 20;

/// The bytes are a kernel file; names are looked up in it whether it is accepted or not.
pub fn run(data: &[u8]) {
    let file = File::from(memfd_create("kernel", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(data, 0).expect("memory");
    Symbols::read(&file).find(KERNEL_BASE);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match KernelImage::open(path.as_ref()) {
        Ok(kernel) => accepted(&kernel, data.len() as u64),
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains(&path) && message.contains(';'),
                "{message}"
            );
        }
    }
}

fn accepted(kernel: &KernelImage, length: u64) {
    let segments = &kernel.segments;
    for pair in segments.windows(2) {
        let end = pair[0].physical + pair[0].memory_size;
        assert!(end <= pair[1].physical, "overlapping segments: {pair:x?}");
    }
    for segment in segments {
        let end = segment.physical + segment.memory_size;
        assert!(segment.physical >= KERNEL_BASE && end <= MMIO_HOLE_BASE);
        assert!(segment.file_size <= segment.memory_size);
        assert!(segment.file_offset + segment.file_size <= length);
    }
    let holds_entry = |start: u64, size: u64| (start..start + size).contains(&kernel.entry);
    assert!(
        segments
            .iter()
            .any(|s| holds_entry(s.physical, s.memory_size))
    );
    if kernel.check_fits(MEMORY).is_ok() {
        load(kernel);
    }
}

fn load(kernel: &KernelImage) {
    with_ram(|ram| {
        let loaded = boot::load(&config(), kernel, ram);
        assert!(
            matches!(loaded, Ok(_) | Err(BootError::TablesTooLarge { .. })),
            "{loaded:?}"
        );
        let tables = (0, TABLES_END);
        let segments = kernel.segments.iter().map(|s| (s.physical, s.file_size));
        for (start, size) in segments.chain([tables]) {
            ram.write_slice(&vec![0; size as usize], GuestAddress(start))
                .expect("it fits");
        }
    });
}

fn config() -> VmConfig {
    let manifest = Manifest::parse(MANIFEST, "kernel.toml".as_ref());
    manifest.expect("it is one").into_config("/images".as_ref())
}

fn with_ram(work: impl FnOnce(&Ram)) {
    thread_local!(static RAM: OnceCell<Ram> = const { OnceCell::new() });
    RAM.with(|ram| work(ram.get_or_init(|| memory::allocate(MEMORY).expect("16 MiB"))));
}
