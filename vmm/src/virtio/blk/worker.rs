//! The thread of a disk: sleeps until the driver notifies the queue, then serves it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use virtio_bindings::virtio_blk::VIRTIO_BLK_F_FLUSH;
use vmm_sys_util::eventfd::EventFd;

use super::request::{BlkCounters, BlkSnapshot, CacheMode, Executor};
use crate::disk::Disk;
use crate::memory::Ram;
use crate::virtio::ring::{Served, serve};
use crate::virtio::{Activation, Interrupt, Slot};

const STACK_SIZE: usize = 256 << 10;

/// The back of a disk.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<Disk>,
    ram: Arc<Ram>,
    slot: Slot<Activation>,
    interrupt: Arc<Interrupt>,
    /// Blocks when read: the thread sleeps here.
    notified: EventFd,
    stopping: AtomicBool,
    counters: BlkCounters,
}

impl Worker {
    /// A back that is not running yet. `notified` must be a blocking event file.
    pub fn new(
        disk: Arc<Disk>,
        ram: Arc<Ram>,
        slot: Slot<Activation>,
        interrupt: Arc<Interrupt>,
        notified: EventFd,
    ) -> Self {
        let shared = Shared {
            disk,
            ram,
            slot,
            interrupt,
            notified,
            stopping: AtomicBool::new(false),
            counters: BlkCounters::default(),
        };
        Self {
            shared: Arc::new(shared),
            thread: None,
        }
    }

    /// Starts the thread.
    pub fn start(&mut self) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new()
            .name("disk".into())
            .stack_size(STACK_SIZE);
        self.thread = Some(thread.spawn(move || shared.run())?);
        Ok(())
    }

    /// Serves what is available now, in the calling thread.
    pub fn serve_now(&self) {
        self.shared.serve_available();
    }

    /// What the disk did so far.
    pub fn counters(&self) -> BlkSnapshot {
        let shared = &self.shared;
        shared
            .counters
            .snapshot(&shared.disk.path, shared.interrupt.raised())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let woken = self.shared.notified.write(1);
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        while self.notified.read().is_ok() && !self.stopping.load(Ordering::SeqCst) {
            self.serve_available();
        }
    }

    fn serve_available(&self) {
        let mut slot = self.slot.lock();
        let Some(activation) = slot.as_mut() else {
            return;
        };
        let cache = match activation.has(VIRTIO_BLK_F_FLUSH) {
            true => CacheMode::WriteBack,
            false => CacheMode::WriteThrough,
        };
        let executor = Executor {
            disk: &self.disk,
            ram: &self.ram,
            counters: &self.counters,
            cache,
        };
        let Some(queue) = activation.queues.first_mut() else {
            return;
        };
        serve(queue, &self.ram, &self.interrupt, |buffers| {
            match self.stopping.load(Ordering::SeqCst) {
                true => Served::Later,
                false => Served::Used(executor.serve(buffers)),
            }
        });
    }
}
