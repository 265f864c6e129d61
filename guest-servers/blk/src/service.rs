//! Sessions, dispatch, completions.

use crate::disks::{FIRST_IRQ, Running};
use crate::windows::Window;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::ready;
use ferrix_proto::attributes::{Attributes, Plain};
use ferrix_proto::{block, file};
use ferrix_rt::connections::Connections;
use ferrix_rt::log;
use ferrix_rt::service::{Caller, Errno, Outcome, Reply, Request, SESSION_RIGHTS, Service};
use ferrix_rt::sys::{ipc, system};
use ferrix_virtio::blk::{self, SubmitError};
use linux_raw_sys::errno::{EBADF, EINVAL, EIO, ENODEV, ENOENT, ENOSYS, EOPNOTSUPP, EROFS};
use linux_raw_sys::general::S_IFBLK;

/// Largest window.
const WINDOW_MAX: u64 = 4 << 20;
const SECTOR: u64 = 512;
/// Device number of `vda`, and the step to the next (Linux's virtblk).
const MAJOR: u64 = 254;

/// Whom to answer when a request completes.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    caller: Caller,
    badge: u32,
    bytes: u64,
}

/// A request that the device had no room for yet.
#[derive(Clone, Copy)]
struct Pending {
    work: Work,
    token: Token,
}

/// What is asked of a device.
#[derive(Clone, Copy)]
enum Work {
    Read { sector: u64, offset: u64 },
    Write { sector: u64, offset: u64 },
    Flush,
    Discard { sector: u64, sectors: u32 },
}

/// A client's open device.
struct Session {
    disk: usize,
    window: Option<Window>,
    in_flight: usize,
    /// The client is gone; the window stays until the device has let go of it.
    closed: bool,
}

/// The server.
pub struct Server {
    port: Handle,
    resource: Handle,
    disks: Vec<Option<Running>>,
    /// By badge - 1.
    sessions: Vec<Option<Session>>,
    pending: Vec<VecDeque<Pending>>,
    connections: Connections,
}

impl Server {
    /// For the devices found.
    pub fn new(port: Handle, resource: Handle, disks: Vec<Option<Running>>) -> Server {
        let pending = disks.iter().map(|_| VecDeque::new()).collect();
        let connections = Connections::new(port);
        Server {
            port,
            resource,
            disks,
            sessions: Vec::new(),
            pending,
            connections,
        }
    }

    fn session(&mut self, badge: u32) -> Result<&mut Session, Errno> {
        let index = (badge as usize).checked_sub(1);
        let slot = index.and_then(|index| self.sessions.get_mut(index));
        slot.and_then(Option::as_mut)
            .filter(|session| !session.closed)
            .ok_or(EBADF as Errno)
    }

    fn disk(&self, index: usize) -> Result<&Running, Errno> {
        self.disks
            .get(index)
            .and_then(Option::as_ref)
            .ok_or(ENODEV as Errno)
    }

    /// Sectors and flags, as replies carry them.
    fn describe(&self, index: usize) -> Result<[u64; 3], Errno> {
        let geometry = self.disk(index)?.disk.geometry();
        let mut flags = 0;
        if geometry.read_only {
            flags |= block::flags::READ_ONLY;
        }
        if geometry.discard.is_some() {
            flags |= block::flags::DISCARD;
        }
        Ok([geometry.sectors, flags, 0])
    }

    fn open(&mut self, request: &Request) -> Outcome {
        let (name, length) = request.inline()?;
        let is_wanted = |disk: &Option<Running>| {
            disk.as_ref()
                .is_some_and(|disk| disk.name.as_bytes() == &name[..length])
        };
        let disk = self
            .disks
            .iter()
            .position(is_wanted)
            .ok_or(ENOENT as Errno)?;
        let free = self
            .sessions
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.sessions.len());
        if free == self.sessions.len() {
            self.sessions.push(None);
        }
        let handle = ipc::session_create(
            self.port,
            free as u32 + 1,
            ready::READABLE | ready::WRITABLE,
        )?;
        self.sessions[free] = Some(Session {
            disk,
            window: None,
            in_flight: 0,
            closed: false,
        });
        let words = self.describe(disk)?;
        Ok(Some(
            Reply::value(0)
                .with_words(words)
                .with_handle(handle, SESSION_RIGHTS),
        ))
    }

    fn list(&self, request: &Request) -> Outcome {
        let index = request.words[0] as usize;
        let slot = self.disks.get(index).ok_or(ENOENT as Errno)?;
        let name = slot.as_ref().map_or("", |disk| disk.name.as_str());
        let words = self.describe(index).unwrap_or_default();
        Ok(Some(Reply::inline(name.as_bytes()).with_words(words)))
    }

    fn info(&mut self, request: &Request) -> Outcome {
        let disk = self.session(request.badge)?.disk;
        Ok(Some(Reply::value(0).with_words(self.describe(disk)?)))
    }

    fn make_window(&mut self, request: &Request) -> Outcome {
        let (bytes, resource) = (request.words[0], self.resource);
        if bytes == 0 || bytes > WINDOW_MAX {
            return Err(EINVAL as Errno);
        }
        let session = self.session(request.badge)?;
        if session.in_flight > 0 {
            return Err(linux_raw_sys::errno::EBUSY as Errno);
        }
        let window = session.window.insert(Window::create(bytes, resource)?);
        let rights = Rights::READ | Rights::WRITE;
        Ok(Some(
            Reply::value(0)
                .with_words([window.len(), 0, 0])
                .with_copied_handle(window.object, rights),
        ))
    }

    /// Takes a request for the device; the answer comes with its completion.
    fn start(&mut self, request: &Request, work: Work, bytes: u64) -> Outcome {
        let session = self.session(request.badge)?;
        session.in_flight += 1;
        let disk = session.disk;
        let token = Token {
            caller: request.caller,
            badge: request.badge,
            bytes,
        };
        self.pending
            .get_mut(disk)
            .ok_or(ENODEV as Errno)?
            .push_back(Pending { work, token });
        self.submit(disk);
        Ok(None)
    }

    /// Gives the device what it has room for.
    fn submit(&mut self, disk: usize) {
        while let Some(&pending) = self.pending[disk].front() {
            match self.submit_one(disk, &pending) {
                Err(Some(SubmitError::Full)) => break,
                Ok(()) => {}
                Err(why) => self.answer(&pending.token, refused(why)),
            }
            self.pending[disk].pop_front();
        }
        if let Some(Some(running)) = self.disks.get_mut(disk) {
            running.disk.kick();
        }
    }

    /// `Err(None)`: the range is outside the window, or the device is gone.
    fn submit_one(&mut self, disk: usize, pending: &Pending) -> Result<(), Option<SubmitError>> {
        let Pending { work, token } = *pending;
        let window = self
            .sessions
            .get(token.badge as usize - 1)
            .and_then(Option::as_ref);
        let window = window.and_then(|session| session.window.as_ref());
        let segment = |offset| {
            window
                .and_then(|window| window.segment(offset, token.bytes))
                .ok_or(None)
        };
        let running = self
            .disks
            .get_mut(disk)
            .and_then(Option::as_mut)
            .ok_or(None)?;
        let result = match work {
            Work::Read { sector, offset } => {
                let into = &[segment(offset)?];
                running
                    .disk
                    .submit(blk::Request::Read { sector, into }, token)
            }
            Work::Write { sector, offset } => {
                let from = &[segment(offset)?];
                running
                    .disk
                    .submit(blk::Request::Write { sector, from }, token)
            }
            Work::Flush => running.disk.submit(blk::Request::Flush, token),
            Work::Discard { sector, sectors } => running
                .disk
                .submit(blk::Request::Discard { sector, sectors }, token),
        };
        result.map_err(Some)
    }

    /// Answers a request that ended.
    fn answer(&mut self, token: &Token, status: Result<(), Errno>) {
        let reply = match status {
            Ok(()) => Reply::value(token.bytes),
            Err(errno) => Reply::error(errno),
        };
        // A caller that is gone needs no answer.
        let _ = token.caller.reply(&reply);
        let slot = &mut self.sessions[token.badge as usize - 1];
        if let Some(session) = slot {
            session.in_flight -= 1;
            if session.closed && session.in_flight == 0 {
                *slot = None;
            }
        }
    }

    fn interrupt(&mut self, disk: usize) {
        let Some(Some(running)) = self.disks.get_mut(disk) else {
            return;
        };
        running.disk.acknowledge();
        let mut done = Vec::new();
        loop {
            match running.disk.complete() {
                Ok(Some((token, result))) => {
                    done.push((token, result.map(drop).map_err(|_| EIO as Errno)))
                }
                Ok(None) => break,
                Err(fault) => {
                    log!("blk", "{}: {fault}: resetting the device", running.name);
                    let recovery = running.disk.reset_and_recover();
                    if let Err(error) = &recovery.device {
                        log!(
                            "blk",
                            "{}: {error}: the device stays out of order",
                            running.name
                        );
                    }
                    let lost = recovery.lost.into_iter();
                    done.extend(lost.map(|token| (token, Err(EIO as Errno))));
                    break;
                }
            }
        }
        if let Err(error) = system::irq_ack(running.irq) {
            log!("blk", "interrupt: {error:?}");
        }
        for (token, status) in done {
            self.answer(&token, status);
        }
        self.submit(disk);
    }

    fn attributes(&mut self, request: &Request) -> Outcome {
        let disk = self.session(request.badge)?.disk;
        let (rdev, size) = (
            MAJOR << 8 | (disk as u64) << 4,
            self.describe(disk)?[0] * SECTOR,
        );
        let mode = S_IFBLK | 0o660;
        let attributes = Attributes {
            inode: disk as u64 + 1,
            mode,
            links: 1,
            rdev,
            size,
            block_size: 4096,
            ..Attributes::default()
        };
        Ok(Some(Reply::inline(attributes.to_bytes())))
    }
}

/// Why a request was not even given to the device.
fn refused(why: Option<SubmitError>) -> Result<(), Errno> {
    Err(match why {
        Some(SubmitError::ReadOnly) => EROFS,
        Some(SubmitError::Unsupported) => EOPNOTSUPP,
        _ => EINVAL,
    } as Errno)
}

impl Service for Server {
    fn request(&mut self, request: &Request) -> Outcome {
        let [first, second, third] = request.words;
        match request.head.operation() {
            block::OPEN => self.open(request),
            block::LIST => self.list(request),
            block::INFO => self.info(request),
            block::MAKE_WINDOW => self.make_window(request),
            block::READ => self.start(
                request,
                Work::Read {
                    sector: first,
                    offset: third,
                },
                second,
            ),
            block::WRITE => self.start(
                request,
                Work::Write {
                    sector: first,
                    offset: third,
                },
                second,
            ),
            block::FLUSH => self.flush(request),
            block::DISCARD => {
                let sectors = u32::try_from(second).map_err(|_| EINVAL as Errno)?;
                self.start(
                    request,
                    Work::Discard {
                        sector: first,
                        sectors,
                    },
                    0,
                )
            }
            file::GET_ATTRIBUTES => self.attributes(request),
            _ => Err(ENOSYS as Errno),
        }
    }

    fn closed(&mut self, badge: u32) {
        let slot = (badge as usize)
            .checked_sub(1)
            .and_then(|index| self.sessions.get_mut(index));
        if let Some(slot) = slot {
            match slot {
                Some(session) if session.in_flight > 0 => session.closed = true,
                _ => *slot = None,
            }
        }
    }

    fn notified(&mut self, badge: u32, _count: u64) {
        if badge >= FIRST_IRQ {
            self.interrupt((badge - FIRST_IRQ) as usize);
        }
    }

    fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }
}

impl Server {
    /// A device without a volatile cache has nothing to flush.
    fn flush(&mut self, request: &Request) -> Outcome {
        let disk = self.session(request.badge)?.disk;
        if self
            .disk(disk)?
            .disk
            .features()
            .contains(ferrix_virtio::spec::blk::feature::FLUSH)
        {
            return self.start(request, Work::Flush, 0);
        }
        Ok(Some(Reply::value(0)))
    }
}
