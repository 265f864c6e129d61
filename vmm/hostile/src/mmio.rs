//! The register file of a virtio-mmio window, with each device of the machine behind it.

use std::sync::Arc;

use vmm::config::DiskMode;
use vmm::virtio::Slot;
use vmm::virtio::rng::{Rng, RngBack};

use crate::device::{Back, Bench, event, fresh_ram, interrupt};
use crate::op::Source;
use crate::{blk, console};

impl Back for RngBack {
    fn serve(&mut self) {
        RngBack::serve(self);
    }
}

/// The first byte chooses the device; the rest are [`Op`](crate::op::Op)s on one that nobody has touched.
pub fn run(data: &[u8]) {
    let mut source = Source(data);
    match source.array() {
        Some([0]) => survives(blk::bench(&blk::disk_file(), DiskMode::ReadWrite), source),
        Some([1]) => survives(console::bench(), source),
        _ => survives(entropy(), source),
    }
}

fn survives<B: Back>(mut bench: Bench<B>, source: Source<'_>) {
    bench.run(source);
    bench.start_honestly();
    let mut magic = [0; 4];
    bench.window.read(0, &mut magic);
    assert_eq!(&magic, b"virt");
}

fn entropy() -> Bench<RngBack> {
    let (ram, interrupt, slot) = (fresh_ram(), interrupt(), Slot::default());
    let back = RngBack::new(slot.clone(), ram.clone(), Arc::clone(&interrupt), event());
    let back = back.expect("/dev/urandom");
    Bench::new(Box::new(Rng(slot)), ram, interrupt, vec![event()], back)
}
