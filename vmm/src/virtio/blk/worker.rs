//! The threads of a disk: each sleeps until the driver notifies the queue, and then takes one request after
//! the other, so that as many are in flight as there are threads.
//!
//! Whoever takes a request and sees more wakes the next thread. The ring is locked while a request is taken
//! or given back, not while it is served; a reset waits for those in flight ([`InFlight`]).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use virtio_bindings::virtio_blk::VIRTIO_BLK_F_FLUSH;
use vmm_sys_util::eventfd::EventFd;

use super::request::{BlkSnapshot, CacheMode, Executor};
use crate::disk::Disk;
use crate::memory::Ram;
use crate::sandbox::{Role, Sandbox};
use crate::sync::Mutex;
use crate::virtio::ring;
use crate::virtio::{Activation, Buffers, Interrupt, Slot};

/// Requests of a disk that are served at the same time.
const THREADS: usize = 4;
const STACK_SIZE: usize = 256 << 10;

/// The requests in flight: each holds a guard.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<RwLock<()>>);

impl InFlight {
    fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when there are none. No more can come: the ring was taken away before.
    pub fn wait(&self) {
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What threads and front of a disk share.
#[derive(Clone, Default)]
pub struct Desk {
    /// The ring, while there is one.
    pub slot: Slot<Activation>,
    /// Requests taken from it.
    pub in_flight: InFlight,
}

/// A request that was taken and not yet given back.
pub struct Job<'a> {
    head: u16,
    cache: CacheMode,
    buffers: Buffers,
    _guard: RwLockReadGuard<'a, ()>,
}

/// The back of a disk.
pub struct Worker {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<Disk>,
    ram: Arc<Ram>,
    desk: Desk,
    interrupt: Arc<Interrupt>,
    /// Blocks when read: the threads sleep here.
    notified: EventFd,
    stopping: AtomicBool,
    counters: Mutex<BlkSnapshot>,
}

impl Worker {
    /// A back that is not running yet. `notified` must be a blocking event file.
    pub fn new(
        disk: Arc<Disk>,
        ram: Arc<Ram>,
        desk: Desk,
        interrupt: Arc<Interrupt>,
        notified: EventFd,
    ) -> Self {
        let shared = Shared {
            disk,
            ram,
            desk,
            interrupt,
            notified,
            stopping: AtomicBool::new(false),
            counters: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            threads: Vec::new(),
        }
    }

    /// Starts the threads.
    pub fn start(&mut self, sandbox: Sandbox) -> io::Result<()> {
        for _ in 0..THREADS {
            let shared = self.shared.clone();
            let thread = thread::Builder::new()
                .name("disk".into())
                .stack_size(STACK_SIZE);
            self.threads.push(thread.spawn(move || {
                sandbox.enter(Role::Disk);
                shared.run();
            })?);
        }
        Ok(())
    }

    /// Serves what is available now, in the calling thread.
    pub fn serve_now(&self) {
        self.shared.serve_available();
    }

    /// What the disk did so far.
    pub fn counters(&self) -> BlkSnapshot {
        BlkSnapshot {
            file: self.shared.disk.path.display().to_string(),
            interrupts: self.shared.interrupt.raised(),
            ..self.shared.counters.lock().clone()
        }
    }

    /// Whether the driver has set up the device.
    #[cfg(test)]
    pub fn desk_is_full(&self) -> bool {
        self.shared.desk.slot.lock().is_some()
    }

    /// Takes a request, as the threads do.
    #[cfg(test)]
    pub fn take(&self) -> Option<Job<'_>> {
        self.shared.take()
    }

    /// Serves a request that was taken.
    #[cfg(test)]
    pub fn finish(&self, job: Job<'_>) {
        self.shared.finish(job);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if self.shared.notified.write(1).is_ok() {
            for thread in self.threads.drain(..) {
                // A panic of the thread has been printed already.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn run(&self) {
        while self.notified.read().is_ok() && !self.stopping.load(Ordering::SeqCst) {
            self.serve_available();
        }
        self.wake_next();
    }

    fn wake_next(&self) {
        // A full counter wakes as well.
        let _ = self.notified.write(1);
    }

    fn serve_available(&self) {
        while let Some(job) = self.take() {
            self.finish(job);
        }
    }

    fn take(&self) -> Option<Job<'_>> {
        let mut slot = self.desk.slot.lock();
        let activation = slot.as_mut()?;
        if self.stopping.load(Ordering::SeqCst) {
            return None;
        }
        let cache = match activation.has(VIRTIO_BLK_F_FLUSH) {
            true => CacheMode::WriteBack,
            false => CacheMode::WriteThrough,
        };
        let taken = ring::take(activation.queues.first_mut()?, &self.ram)?;
        if taken.more {
            self.wake_next();
        }
        Some(Job {
            head: taken.head,
            cache,
            buffers: taken.buffers,
            _guard: self.desk.in_flight.enter(),
        })
    }

    fn finish(&self, job: Job<'_>) {
        let executor = Executor {
            disk: &self.disk,
            ram: &self.ram,
            counters: &self.counters,
            cache: job.cache,
        };
        let written = executor.serve(job.buffers);
        // There is no ring if the driver resets the device and waits for us.
        if let Some(activation) = self.desk.slot.lock().as_mut()
            && let Some(queue) = activation.queues.first_mut()
        {
            ring::give_back(queue, &self.ram, &self.interrupt, job.head, written);
        }
    }
}
