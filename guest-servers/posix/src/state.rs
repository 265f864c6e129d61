//! What the personality remembers of a process. Zero at the start, copied by `fork`, kept by `exec`.
//!
//! Lock order: as the fields of [`All`].

use crate::call::limits;
use crate::server;
use crate::stacks::{STACKS, Stacks};
use crate::sync::{Guard, Mutex};
use crate::window::{WINDOWS, Windows};
use ferrix_abi::handle::Handle;
use ferrix_abi::process::Identity;
use ferrix_posix::actions::Actions;
use ferrix_posix::attachments::{self, Attachments};
use ferrix_posix::descriptors::{Descriptor, Table};
use ferrix_posix::heap_break::Break;
use ferrix_posix::limits::Limits;
use ferrix_posix::pollers::Pollers;
use ferrix_posix::{Errno, Result};
use ferrix_proto::file::{self, kind};
use ferrix_proto::queue::{SETTLE, mq};
use ferrix_rt::sys::ipc;

/// Open files and directories. The long table comes last, so that what is used lies on one page.
#[derive(Debug)]
#[repr(C)]
pub struct Files {
    /// Root directory.
    pub root: Handle,
    /// Working directory.
    pub cwd: Handle,
    /// `umask`.
    pub umask: u32,
    /// Record locks.
    pub record_locks: RecordLocks,
    /// The `queue` server.
    pub queue: Queue,
    /// Descriptors.
    pub table: Table,
    /// Lists of descriptors to wait for.
    pub pollers: Pollers,
}

/// Open files.
pub static FILES: Mutex<Files> = Mutex::new(Files {
    table: Table::new(),
    root: Handle::NONE,
    cwd: Handle::NONE,
    umask: 0,
    record_locks: RecordLocks::None,
    queue: Queue {
        port: Handle::NONE,
        presence: Handle::NONE,
    },
    pollers: Pollers::new(),
});
/// Signal actions.
pub static ACTIONS: Mutex<Actions> = Mutex::new(Actions::new());
/// The break.
pub static BREAK: Mutex<Break> = Mutex::new(Break::new());
/// System V segments.
pub static ATTACHMENTS: Mutex<Attachments> = Mutex::new(Attachments::new());
/// Their entries, which belong to who holds the lock.
pub static SEGMENT_TABLE: attachments::Table = attachments::Table::new();
/// Whether what is mapped later is locked in memory (`mlockall`).
pub static LOCKING: Mutex<LockFuture> = Mutex::new(LockFuture::No);
/// Resource limits.
pub static LIMITS: Mutex<Limits> = Mutex::new(Limits::new());
/// User and group ids, as the kernel has them.
pub static IDENTITY: Mutex<Identity> = Mutex::new(Identity {
    ruid: 0,
    euid: 0,
    suid: 0,
    rgid: 0,
    egid: 0,
    sgid: 0,
});
/// `init`'s port, for `reboot`.
pub static INIT: Mutex<Handle> = Mutex::new(Handle::NONE);

/// What the process has of the `queue` server.
#[derive(Debug)]
pub struct Queue {
    /// Its port.
    pub port: Handle,
    /// The session that tells it of the process's end, if it wants to know.
    pub presence: Handle,
}

/// What `mlockall` said of mappings to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockFuture {
    /// They are as they are.
    #[default]
    No,
    /// They are locked (`MCL_FUTURE`).
    Yes,
}

/// Whether the process may have record locks, which go when it closes a descriptor of their file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordLocks {
    /// It never asked for one.
    #[default]
    None,
    /// It may.
    Some,
}

/// Every lock: what `fork` and `exec` hold, so that no other thread is inside when it is left behind or ended.
#[derive(Debug)]
pub struct All {
    /// Open files.
    pub files: Guard<'static, Files>,
    /// Signal actions.
    pub actions: Guard<'static, Actions>,
    /// The break.
    pub heap: Guard<'static, Break>,
    /// System V segments.
    pub attachments: Guard<'static, Attachments>,
    /// `mlockall`.
    pub locking: Guard<'static, LockFuture>,
    _limits: Guard<'static, Limits>,
    _identity: Guard<'static, Identity>,
    /// Windows.
    pub windows: Guard<'static, Windows>,
    /// Threads' stacks.
    pub stacks: Guard<'static, Stacks>,
}

impl All {
    /// Takes them all.
    pub fn lock() -> All {
        All {
            files: FILES.lock(),
            actions: ACTIONS.lock(),
            heap: BREAK.lock(),
            attachments: ATTACHMENTS.lock(),
            locking: LOCKING.lock(),
            _limits: LIMITS.lock(),
            _identity: IDENTITY.lock(),
            windows: WINDOWS.lock(),
            stacks: STACKS.lock(),
        }
    }
}

impl Files {
    /// Closes a handle that left the table, unless something else here still has it.
    pub fn release(&mut self, handle: Handle) {
        let held = handle == self.root || handle == self.cwd || self.table.holds(handle.0);
        if !held && handle != Handle::NONE {
            self.pollers.closed(handle.0);
            // A handle from the table is valid: nothing to report.
            let _ = ipc::close(handle);
        }
    }

    /// Frees a descriptor.
    pub fn close(&mut self, fd: u64) -> Result<()> {
        let old = self.table.remove(fd)?;
        self.closed(&old);
        Ok(())
    }

    /// A descriptor left the table: the process's record locks on its file go, and the handle if nobody needs it.
    pub fn closed(&mut self, old: &Descriptor) {
        let may_be_locked = matches!(
            u64::from(old.kind),
            kind::REGULAR | kind::DIRECTORY | kind::CHARACTER
        );
        if self.record_locks == RecordLocks::Some && may_be_locked {
            // A server that is gone has no locks left.
            let _ = server::ask(Handle(old.handle), file::UNLOCK_ALL, [0; 3]);
        }
        if u64::from(old.kind) == kind::QUEUE {
            // The same: who is gone notifies nobody.
            let _ = server::ask(Handle(old.handle), mq::DISOWN, [0; 3]);
        }
        self.release(Handle(old.handle));
        if u64::from(old.kind) == kind::SOCKET {
            // The other side sees the end at once, as on Linux; a server that is gone has told it.
            let _ = server::ask(self.queue.port, SETTLE, [0; 3]);
        }
    }

    /// Changes the working directory.
    pub fn set_cwd(&mut self, handle: Handle) {
        let old = core::mem::replace(&mut self.cwd, handle);
        self.release(old);
    }

    /// Changes the root directory.
    pub fn set_root(&mut self, handle: Handle) {
        let old = core::mem::replace(&mut self.root, handle);
        self.release(old);
    }
}

/// The descriptor with this number.
pub fn descriptor(fd: u64) -> Result<Descriptor> {
    FILES.lock().table.get(fd)
}

/// Gives a new session a number, at least `least`; on failure the session is closed.
pub fn install(descriptor: Descriptor, least: u64) -> Result<u64> {
    let limit = limits::current().descriptors();
    let mut files = FILES.lock();
    let inserted = files.table.insert(descriptor, least, limit);
    if inserted.is_err() {
        files.release(Handle(descriptor.handle));
    }
    limits::noting_descriptors(inserted)
}

/// Handle of a directory to start a path at: the working directory, or a descriptor's.
pub fn directory(fd: u64) -> Result<Handle> {
    let files = FILES.lock();
    if fd as i32 == linux_raw_sys::general::AT_FDCWD {
        return Ok(files.cwd);
    }
    let descriptor = files.table.get(fd)?;
    if descriptor.is_directory() {
        Ok(Handle(descriptor.handle))
    } else {
        Err(Errno::ENOTDIR)
    }
}
