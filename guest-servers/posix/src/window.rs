//! Windows: memory shared with servers for what does not fit into a message. One per server, made when first needed,
//! divided into slots so that several threads can use it.

use crate::sync::{ANY, Mutex};
use crate::user;
use core::sync::atomic::{AtomicU32, Ordering};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{FOREVER, Tag, WaitItem, ready};
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::slots::{self, SLOT_SIZE, Slots, WINDOW_SIZE};
use ferrix_posix::{Errno, Result};
use ferrix_proto::request::{CONNECT, Head, Place};
use ferrix_rt::client::exchange;
use ferrix_rt::sys::{ipc, memory, thread, utcb};

/// Most servers that a process has windows with.
const WINDOWS_MAX: usize = 12;

/// A server, and the window with it if there is one.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Id of the server's port; 0: entry not in use.
    port: u64,
    /// Where the window is mapped; 0: not connected.
    address: u64,
    /// The connection.
    session: u32,
    slots: Slots,
}

/// All windows.
#[derive(Debug)]
pub struct Windows([Window; WINDOWS_MAX]);

/// The windows of this process.
pub static WINDOWS: Mutex<Windows> = Mutex::new(Windows(
    [Window {
        port: 0,
        address: 0,
        session: 0,
        slots: Slots::new(),
    }; WINDOWS_MAX],
));

/// How often a slot was given back, and how many threads wait for that.
static RETURNED: AtomicU32 = AtomicU32::new(0);
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Which server: index of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server(pub u8);

impl Server {
    /// `vfs`: the first one, known since the start.
    pub const VFS: Server = Server(0);
}

impl Windows {
    /// The server behind a handle.
    fn find(&mut self, port: u64) -> Result<Server> {
        let known = self.0.iter().position(|window| window.port == port);
        let index = known.or_else(|| self.0.iter().position(|window| window.port == 0));
        let index = index.ok_or(Errno::ENOMEM)?;
        self.0[index].port = port;
        Ok(Server(index as u8))
    }

    /// In a forked child: windows and connections stayed with the parent.
    pub fn forget(&mut self) {
        WAITING.store(0, Ordering::SeqCst);
        for window in &mut self.0 {
            *window = Window {
                port: window.port,
                address: 0,
                session: 0,
                slots: Slots::new(),
            };
        }
    }
}

/// The server behind a session.
pub fn server_of(session: Handle) -> Result<Server> {
    let port = ipc::port_id(session)?;
    WINDOWS.lock().find(port)
}

/// Whether there is a window with the server already: then even small data is cheaper to move through it.
pub fn is_connected(server: Server) -> bool {
    WINDOWS.lock().0[usize::from(server.0)].address != 0
}

/// A slot of a window, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    server: Server,
    index: u8,
    address: u64,
}

/// What a slot is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A request that may wait for long: it leaves the last slot to the others.
    Transfer,
    /// A request that is answered at once.
    Request,
}

/// Takes a slot of the window with `server`, which is asked on `session` to connect if it has none with us yet.
/// `None` when all slots are in use.
pub fn take(server: Server, session: Handle, purpose: Use) -> Result<Option<Slot>> {
    let mut windows = WINDOWS.lock();
    let window = &mut windows.0[usize::from(server.0)];
    if window.address == 0 {
        connect(window, session)?;
    }
    let base = window.address;
    let slot = match purpose {
        Use::Transfer => window.slots.take_but_last(),
        Use::Request => window.slots.take(),
    };
    Ok(slot.map(|index| Slot {
        server,
        index,
        address: base + slots::offset(index),
    }))
}

/// The same for a request that is answered at once, which waits until a slot is free.
pub fn wait_for_slot(server: Server, session: Handle) -> Result<Slot> {
    // The slots that are in use come back: a transfer never holds the last one.
    loop {
        let before = RETURNED.load(Ordering::SeqCst);
        if let Some(slot) = take(server, session, Use::Request)? {
            return Ok(slot);
        }
        WAITING.fetch_add(1, Ordering::SeqCst);
        // Interrupted by a signal that can only be taken on the way out: let the holder run instead.
        if thread::futex_wait_with(RETURNED.as_ptr() as u64, before, FOREVER, ANY).is_err() {
            thread::yield_now();
        }
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Who waits for a slot looks again.
fn slot_returned() {
    RETURNED.fetch_add(1, Ordering::SeqCst);
    if WAITING.load(Ordering::SeqCst) > 0 {
        let _ = thread::futex_wake_with(RETURNED.as_ptr() as u64, u64::MAX, ANY);
    }
}

/// Ends a connection, so that the next use makes a new one: the server has been restarted. The old window stays
/// mapped, since other threads may be in its slots.
pub fn disconnect(server: Server) {
    let mut windows = WINDOWS.lock();
    let window = &mut windows.0[usize::from(server.0)];
    let session = window.session;
    *window = Window {
        port: window.port,
        address: 0,
        session: 0,
        slots: Slots::new(),
    };
    if session != 0 {
        let _ = ipc::close(Handle(session));
    }
}

fn connect(window: &mut Window, session: Handle) -> Result<()> {
    let object = memory::object_create(WINDOW_SIZE)?;
    let mut mapping = memory::Mapping::shared(object, WINDOW_SIZE, Prot::READ | Prot::WRITE);
    mapping.flags = MapFlags::SYSTEM | MapFlags::INHERIT_NONE;
    let address = memory::map_anywhere(&mapping)?;
    utcb::move_handle(0, object, Rights::READ | Rights::WRITE);
    let head = Head::new(CONNECT, Place::INLINE, 0);
    let answer = exchange(session, Tag::new(0, 1, 0), head, [WINDOW_SIZE, 0, 0]);
    match answer {
        Ok(answer) if answer.handles == 1 => {
            window.session = utcb::received_handle(0).0;
            window.address = address;
            Ok(())
        }
        other => {
            // SAFETY: mapped above, used by nobody.
            let _ = unsafe { memory::unmap(memory::SELF, address, WINDOW_SIZE) };
            Err(other.err().map_or(Errno::EIO, Errno::from))
        }
    }
}

impl Slot {
    /// The server that sees it.
    pub fn server(&self) -> Server {
        self.server
    }

    /// Offset in the window: word 3 of a request.
    pub fn offset(&self) -> u64 {
        slots::offset(self.index)
    }

    /// Copies from the program to `at` in the slot.
    pub fn fill_from_program(&self, at: u64, address: u64, length: u64) -> Result<()> {
        let outside = self.range(at, length)?;
        // SAFETY: the range lies in the slot, which is this thread's and covered by no Rust reference.
        unsafe { user::read_raw(address, outside, length) }
    }

    /// Copies from `at` in the slot to the program.
    pub fn copy_to_program(&self, at: u64, address: u64, length: u64) -> Result<()> {
        let outside = self.range(at, length)?;
        // SAFETY: as in `fill_from_program`.
        unsafe { user::write_raw(address, outside, length) }
    }

    /// Copies from another slot.
    pub fn fill_from_slot(&self, from: &Slot, length: u64) -> Result<()> {
        self.fill_from_slot_at(0, from, length)
    }

    /// Copies the beginning of another slot to `at` in this one.
    pub fn fill_from_slot_at(&self, at: u64, from: &Slot, length: u64) -> Result<()> {
        let (to, source) = (self.range(at, length)?, from.range(0, length)?);
        // SAFETY: both ranges lie in slots of this thread, which are distinct.
        unsafe {
            core::ptr::copy_nonoverlapping(source as *const u8, to as *mut u8, length as usize)
        };
        Ok(())
    }

    /// Copies bytes to `at` in the slot.
    pub fn fill(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let outside = self.range(at, bytes.len() as u64)?;
        // SAFETY: the range lies in the slot; the source is elsewhere.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), outside as *mut u8, bytes.len()) };
        Ok(())
    }

    fn range(&self, at: u64, length: u64) -> Result<u64> {
        match at.checked_add(length) {
            Some(end) if end <= SLOT_SIZE => Ok(self.address + at),
            _ => Err(Errno::EIO),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        WINDOWS.lock().0[usize::from(self.server.0)]
            .slots
            .give_back(self.index);
        slot_returned();
    }
}

/// Whether the server that made the connection has died.
pub fn is_stale(server: Server) -> bool {
    let session = WINDOWS.lock().0[usize::from(server.0)].session;
    let mut items = [WaitItem {
        handle: session,
        ..WaitItem::default()
    }];
    session != 0 && ipc::wait_many(&mut items, 0).is_ok() && items[0].ready & ready::ERROR != 0
}
