//! Pipes as open files: who waits, and what wakes them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::ready;
use ferrix_proto::request::Place;
use ferrix_rt::connections::Connections;
use ferrix_rt::service::{Caller, Outcome, Reply, Request};
use ferrix_rt::sys::{ipc, system};
use ferrix_vfs::Node;
use ferrix_vfs::errno::{EFBIG, EINTR, EPIPE, Result};
use ferrix_vfs::pipe::{Blocking, CAPACITY, PIPE_BUF, Pipe, Progress};
use linux_raw_sys::general as linux;

/// Most bytes of one write (the personality sends less at a time).
const WRITE_MAX: usize = 1 << 20;

/// Which end a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// A FIFO opened for both.
    Both,
}

impl End {
    /// The end that an opener waits for.
    pub const fn other(self) -> End {
        match self {
            End::Read => End::Write,
            _ => End::Read,
        }
    }
}

/// What an open asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    Both,
}

impl Ends {
    /// From the access mode.
    pub const fn of_flags(flags: u32) -> Ends {
        match flags & linux::O_ACCMODE {
            linux::O_RDONLY => Ends::Read,
            linux::O_WRONLY => Ends::Write,
            _ => Ends::Both,
        }
    }
}

/// Somebody who waits to read or write.
#[derive(Debug)]
struct Waiter {
    request: Request,
    /// A writer's bytes that are not in the pipe yet, and how many are.
    payload: Vec<u8>,
    done: usize,
}

/// Somebody who waits for the other end of a FIFO.
#[derive(Clone, Copy, Debug)]
pub struct Opener {
    /// Whom to answer.
    pub caller: Caller,
    /// The end that it opens.
    pub end: End,
    /// The session that it will get.
    pub handle: Handle,
}

struct Entry {
    pipe: Pipe<Waiter>,
    /// Sessions: badge, end, readiness as last signalled.
    ends: Vec<(u32, End, u32)>,
    openers: Vec<Opener>,
    node: Option<Node>,
}

/// Of so many bytes of RAM full pipes may hold one; who wants more pipes gets small ones.
const PIPES_SHARE: u64 = 16;

/// All pipes.
pub struct Pipes {
    port: Handle,
    next: usize,
    entries: BTreeMap<usize, Entry>,
    fifos: BTreeMap<Node, usize>,
}

impl Pipes {
    /// None yet.
    pub const fn new(port: Handle) -> Pipes {
        Pipes {
            port,
            next: 0,
            entries: BTreeMap::new(),
            fifos: BTreeMap::new(),
        }
    }

    /// A new pipe without ends.
    pub fn create(&mut self) -> usize {
        let id = self.next;
        self.next += 1;
        let large = system::kernel_info().memory_bytes / PIPES_SHARE / CAPACITY as u64;
        let pipe = if (self.entries.len() as u64) < large {
            Pipe::default()
        } else {
            Pipe::small()
        };
        self.entries.insert(
            id,
            Entry {
                pipe,
                ends: Vec::new(),
                openers: Vec::new(),
                node: None,
            },
        );
        id
    }

    /// The pipe of a FIFO that is open, or a new one.
    pub fn fifo(&mut self, node: Node) -> usize {
        if let Some(&id) = self.fifos.get(&node) {
            return id;
        }
        let id = self.create();
        self.fifos.insert(node, id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.node = Some(node);
        }
        id
    }

    /// Whether an end is open somewhere.
    pub fn has(&self, id: usize, end: End) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            return false;
        };
        if end == End::Read {
            entry.pipe.readers > 0
        } else {
            entry.pipe.writers > 0
        }
    }

    /// Whether it is a FIFO of the mount.
    pub fn is_in(&self, id: usize, mount: usize) -> bool {
        let node = self.entries.get(&id).and_then(|entry| entry.node);
        node.is_some_and(|node| node.mount == mount)
    }

    /// Bytes in a pipe.
    pub fn held(&self, id: usize) -> usize {
        self.entries.get(&id).map_or(0, |entry| entry.pipe.len())
    }

    /// Counts a new end.
    pub fn opened(&mut self, id: usize, end: End, badge: u32) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.pipe.readers += usize::from(end != End::Write);
        entry.pipe.writers += usize::from(end != End::Read);
        let ready = if end == End::Write {
            ready::WRITABLE
        } else {
            0
        };
        entry.ends.push((badge, end, ready));
        entry.signal(self.port);
    }

    /// Keeps an opener until the other end is there.
    pub fn wait_open(&mut self, id: usize, opener: Opener) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.openers.push(opener);
        }
    }

    /// Takes the openers whose other end is there.
    pub fn openers_ready(&mut self, id: usize) -> Vec<Opener> {
        let Some(entry) = self.entries.get_mut(&id) else {
            return Vec::new();
        };
        let (readers, writers) = (entry.pipe.readers > 0, entry.pipe.writers > 0);
        let is_ready = |opener: &Opener| {
            if opener.end == End::Read {
                writers
            } else {
                readers
            }
        };
        let (ready, waiting) = core::mem::take(&mut entry.openers)
            .into_iter()
            .partition(is_ready);
        entry.openers = waiting;
        ready
    }

    /// Drops a pipe without ends.
    pub fn collect(&mut self, id: usize) {
        if self
            .entries
            .get(&id)
            .is_some_and(|entry| entry.ends.is_empty())
            && let Some(Entry {
                node: Some(node), ..
            }) = self.entries.remove(&id)
        {
            self.fifos.remove(&node);
        }
    }

    /// A description was closed.
    pub fn closed(&mut self, id: usize, end: End, badge: u32, connections: &Connections) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.pipe.readers -= usize::from(end != End::Write);
        entry.pipe.writers -= usize::from(end != End::Read);
        entry.ends.retain(|(other, ..)| *other != badge);
        entry.progress(connections);
        entry.signal(self.port);
        self.collect(id);
    }

    /// Ends the wait of a caller.
    pub fn cancelled(&mut self, caller: Caller) {
        for entry in self.entries.values_mut() {
            let pipe = &mut entry.pipe;
            for queue in [&mut pipe.waiting_readers, &mut pipe.waiting_writers] {
                if let Some(at) = queue
                    .iter()
                    .position(|waiter| waiter.request.caller == caller)
                {
                    let done = queue.remove(at).map_or(0, |waiter| waiter.done);
                    let reply = if done > 0 {
                        Reply::value(done as u64)
                    } else {
                        Reply::error(EINTR)
                    };
                    let _ = caller.reply(&reply);
                    return;
                }
            }
            if let Some(at) = entry
                .openers
                .iter()
                .position(|opener| opener.caller == caller)
            {
                let opener = entry.openers.swap_remove(at);
                let _ = caller.reply(&Reply::error(EINTR));
                let _ = ipc::close(opener.handle);
                return;
            }
        }
        // It was answered in the meantime: nothing to end.
    }

    /// `read(2)`.
    pub fn read(
        &mut self,
        id: usize,
        request: &Request,
        blocking: Blocking,
        connections: &Connections,
    ) -> Outcome {
        let port = self.port;
        let Some(entry) = self.entries.get_mut(&id) else {
            return Err(EPIPE);
        };
        let length = request.head.length() as usize;
        match entry.pipe.readable(length, blocking)? {
            Progress::Done(length) => {
                let reply = entry.take(request, length, connections)?;
                entry.progress(connections);
                entry.signal(port);
                Ok(Some(reply))
            }
            Progress::Wait => {
                entry.pipe.waiting_readers.push_back(Waiter {
                    request: *request,
                    payload: Vec::new(),
                    done: 0,
                });
                Ok(None)
            }
        }
    }

    /// `write(2)`.
    pub fn write(
        &mut self,
        id: usize,
        request: &Request,
        blocking: Blocking,
        connections: &Connections,
    ) -> Outcome {
        let port = self.port;
        let Some(entry) = self.entries.get_mut(&id) else {
            return Err(EPIPE);
        };
        if request.head.length() as usize > WRITE_MAX {
            return Err(EFBIG);
        }
        let payload = request.payload(connections, WRITE_MAX)?;
        // Who came first writes first.
        let queued = !entry.pipe.waiting_writers.is_empty() && blocking == Blocking::Yes;
        let now = if queued {
            Progress::Wait
        } else {
            entry.pipe.writable(payload.len(), blocking)?
        };
        let fits = if let Progress::Done(fits) = now {
            fits
        } else {
            0
        };
        entry.pipe.write(&payload[..fits]);
        let outcome = if fits == payload.len() || blocking == Blocking::No {
            Some(Reply::value(fits as u64))
        } else {
            entry.pipe.waiting_writers.push_back(Waiter {
                request: *request,
                payload: payload[fits..].to_vec(),
                done: fits,
            });
            None
        };
        // The reply to this writer has no bytes in the UTCB, so waking readers may use it.
        entry.progress(connections);
        entry.signal(port);
        Ok(outcome)
    }
}

impl Entry {
    /// Takes bytes out for a reader.
    fn take(
        &mut self,
        request: &Request,
        length: usize,
        connections: &Connections,
    ) -> Result<Reply> {
        let mut result = Ok(());
        let mut inline = [0; ferrix_abi::ipc::LONG_MAX];
        let is_inline = request.head.place() == Place::INLINE;
        let length = if is_inline {
            length.min(inline.len())
        } else {
            length
        };
        self.pipe.read(length, |first, second| {
            if is_inline {
                inline[..first.len()].copy_from_slice(first);
                inline[first.len()..][..second.len()].copy_from_slice(second);
                return true;
            }
            result = connections.window(request.caller.pid).and_then(|window| {
                window.write(request.words[2], first)?;
                window.write(request.words[2] + first.len() as u64, second)
            });
            result.is_ok()
        });
        result?;
        Ok(if is_inline {
            Reply::inline(&inline[..length])
        } else {
            Reply::value(length as u64)
        })
    }

    /// Lets waiting readers and writers go on as far as they can.
    fn progress(&mut self, connections: &Connections) {
        while self.serve_writer() | self.serve_reader(connections) {}
    }

    fn serve_reader(&mut self, connections: &Connections) -> bool {
        let Some(waiter) = self.pipe.waiting_readers.front() else {
            return false;
        };
        let request = waiter.request;
        let wanted = request.head.length() as usize;
        let Ok(Progress::Done(length)) = self.pipe.readable(wanted, Blocking::Yes) else {
            return false;
        };
        self.pipe.waiting_readers.pop_front();
        let kept = self.keep(length);
        let reply = self
            .take(&request, length, connections)
            .unwrap_or_else(Reply::error);
        let delivered = reply.status.max(0) as usize;
        if request.caller.reply(&reply).is_err() {
            self.pipe.unread(&kept[..delivered.min(kept.len())]);
        }
        true
    }

    /// A copy of the next bytes, to put back if their reader turns out to be gone.
    fn keep(&mut self, length: usize) -> Vec<u8> {
        let mut kept = Vec::new();
        self.pipe.read(length, |first, second| {
            kept = [first, second].concat();
            false
        });
        kept
    }

    fn serve_writer(&mut self) -> bool {
        let Some(waiter) = self.pipe.waiting_writers.front_mut() else {
            return false;
        };
        let left = waiter.payload.len();
        let total = waiter.done + left;
        // A small write goes in whole, a large one in any pieces.
        let ask = if total <= PIPE_BUF {
            left
        } else {
            left.max(PIPE_BUF + 1)
        };
        let reply = match self.pipe_writable(ask) {
            Ok(Progress::Wait) => return false,
            Ok(Progress::Done(fits)) => match self.put_front(fits.min(left)) {
                Some(done) => Reply::value(done as u64),
                None => return true,
            },
            Err(errno) => Reply::error(errno),
        };
        if let Some(waiter) = self.pipe.waiting_writers.pop_front() {
            let _ = waiter.request.caller.reply(&reply);
        }
        true
    }

    fn pipe_writable(&self, length: usize) -> Result<Progress> {
        self.pipe.writable(length, Blocking::Yes)
    }

    /// Puts bytes of the first writer in; how many it has written in all if that were the last.
    fn put_front(&mut self, fits: usize) -> Option<usize> {
        let mut waiter = self.pipe.waiting_writers.pop_front()?;
        self.pipe.write(&waiter.payload[..fits]);
        waiter.payload.drain(..fits);
        waiter.done += fits;
        let (done, finished) = (waiter.done, waiter.payload.is_empty());
        self.pipe.waiting_writers.push_front(waiter);
        finished.then_some(done)
    }

    /// Tells the kernel what `poll` should see, where it changed.
    fn signal(&mut self, port: Handle) {
        let pipe = &self.pipe;
        let mut read = if pipe.is_empty() { 0 } else { ready::READABLE };
        let mut write = if pipe.room() >= PIPE_BUF {
            ready::WRITABLE
        } else {
            0
        };
        if pipe.writers == 0 {
            read |= ready::HANG_UP;
        }
        if pipe.readers == 0 {
            write |= ready::ERROR;
        }
        for (badge, end, last) in &mut self.ends {
            let now = match end {
                End::Read => read,
                End::Write => write,
                End::Both => read | write,
            };
            if now != *last {
                let _ = ipc::session_signal(port, *badge, now & !*last, *last & !now);
                *last = now;
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        for waiter in self.pipe.drain_waiting() {
            let _ = waiter.request.caller.reply(&Reply::error(EPIPE));
        }
    }
}
