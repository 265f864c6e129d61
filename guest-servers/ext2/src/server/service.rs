//! Mounts, open files, dispatch.

use super::convert::{errno, now};
use super::disk::Disk;
use super::live::Live;
use super::objects::Objects;
use alloc::vec::Vec;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, ready};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_ext2::{Access, Ext2, Ino, MountOptions};
use ferrix_locks::service::Locks;
use ferrix_proto::{file, filesystem};
use ferrix_rt::connections::Connections;
use ferrix_rt::service::{Caller, Errno, Outcome, Reply, Request, SESSION_RIGHTS, Service};
use ferrix_rt::sys::{ipc, system};
use ferrix_rt::{clock, log};
use linux_raw_sys::errno::{EBADF, EINVAL, ENOSYS};

/// How long a change may stay in memory only.
const WRITE_BACK_NS: u64 = 5_000_000_000;
/// Badge of the write-back timer: sessions number from 1.
const TIMER: u32 = 0x7fff_ffff;
/// One part in so many of RAM is for each mount's block cache, up to a limit in blocks.
const CACHE_SHARE: u64 = 16;
const CACHE_BLOCKS_MAX: u64 = 8192;

/// What a session stands for.
pub enum Session {
    /// A mounted file system (index).
    Mount(usize),
    /// An open file.
    File(OpenFile),
}

/// An open file description.
#[derive(Clone, Copy)]
pub struct OpenFile {
    /// Which mount.
    pub mount: usize,
    /// Which inode.
    pub ino: Ino,
    /// Where the next read or write is.
    pub offset: u64,
    /// Access mode and status flags, `O_*`.
    pub flags: u32,
}

/// The server.
pub struct Server {
    /// Where requests arrive.
    pub port: Handle,
    pub mounts: Vec<Option<Ext2<Disk>>>,
    sessions: Vec<Option<Session>>,
    /// Windows of clients.
    pub windows: Connections,
    /// File contents handed out as objects.
    pub objects: Objects,
    /// Files that programs map.
    pub live: Live,
    /// Locks on files, by mount and inode.
    pub locks: Locks<(usize, Ino)>,
    timer_armed: bool,
}

/// As [`Server::mounted`], beside other borrows of the server.
pub fn mounted(mounts: &mut [Option<Ext2<Disk>>], mount: usize) -> Result<&mut Ext2<Disk>, Errno> {
    let mounted = mounts.get_mut(mount).and_then(Option::as_mut);
    mounted.ok_or(EINVAL as Errno)
}

impl Server {
    /// Nothing mounted.
    pub fn new(port: Handle) -> Server {
        let (windows, objects) = (Connections::new(port), Objects::new());
        Server {
            port,
            mounts: Vec::new(),
            sessions: Vec::new(),
            windows,
            objects,
            live: Live::new(port),
            locks: Locks::new(port),
            timer_armed: false,
        }
    }

    /// A mounted file system.
    pub fn mounted(&mut self, mount: usize) -> Result<&mut Ext2<Disk>, Errno> {
        mounted(&mut self.mounts, mount)
    }

    /// The mount whose session the request came on.
    pub fn mount_of(&mut self, request: &Request) -> Result<(usize, &mut Ext2<Disk>), Errno> {
        let Some(Session::Mount(index)) = self.session(request.badge) else {
            return Err(EBADF as Errno);
        };
        let index = *index;
        Ok((index, self.mounted(index)?))
    }

    /// The open file whose session the request came on.
    pub fn file_of(&mut self, request: &Request) -> Result<&mut OpenFile, Errno> {
        match self.session(request.badge) {
            Some(Session::File(file)) => Ok(file),
            _ => Err(EBADF as Errno),
        }
    }

    /// The mount and the mapped files, for work on both.
    pub fn with_live(&mut self, mount: usize) -> Result<(&mut Ext2<Disk>, &mut Live), Errno> {
        Ok((mounted(&mut self.mounts, mount)?, &mut self.live))
    }

    /// Writes back what programs wrote through mappings of a file.
    pub fn flush(&mut self, mount: usize, ino: Ino) -> Result<(), Errno> {
        let (mounted, live) = self.with_live(mount)?;
        if live.flush((mount, ino), mounted)? {
            self.objects.forget(mount, ino);
        }
        Ok(())
    }

    /// Lets go of files of a mount that could not be written back and that nobody can open any more.
    pub fn drop_dead(&mut self, mount: usize) {
        if let Ok((mounted, live)) = self.with_live(mount) {
            live.drop_dead(mount, mounted);
        }
    }

    /// Writes back what programs wrote through mappings of all files of a mount.
    pub fn flush_mount(&mut self, mount: usize) -> Result<(), Errno> {
        let (mounted, live) = self.with_live(mount)?;
        let (changed, result) = live.flush_mount(mount, mounted);
        for ino in changed {
            self.objects.forget(mount, ino);
        }
        result
    }

    fn session(&mut self, badge: u32) -> Option<&mut Session> {
        self.sessions
            .get_mut((badge as usize).checked_sub(1)?)?
            .as_mut()
    }

    /// Whether a file is open.
    pub fn is_open(&self, mount: usize, ino: Ino) -> bool {
        let is_it = |session: &Session| matches!(session, Session::File(file) if (file.mount, file.ino) == (mount, ino));
        self.sessions.iter().flatten().any(is_it)
    }

    /// Makes a session; the reply that gives it away.
    pub fn give(&mut self, session: Session) -> Result<Reply, Errno> {
        let free = self.sessions.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        let handle = ipc::session_create(
            self.port,
            index as u32 + 1,
            ready::READABLE | ready::WRITABLE,
        )?;
        self.sessions[index] = Some(session);
        Ok(Reply::value(0).with_handle(handle, SESSION_RIGHTS))
    }

    /// Notes that something changed: it is written back after a while.
    pub fn changed(&mut self) {
        if !self.timer_armed {
            let deadline = clock::monotonic_ns() + WRITE_BACK_NS;
            self.timer_armed = ipc::port_timer(self.port, TIMER, deadline).is_ok();
        }
    }

    fn mount(&mut self, request: &Request) -> Outcome {
        let device = request.handle(0)?;
        let read_only_asked = request.words[0] & filesystem::mount::READ_ONLY != 0;
        let disk = Disk::open(device)?;
        let read_only = read_only_asked || ferrix_ext2::BlockDevice::is_read_only(&disk);
        let access = if read_only {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        };
        let cache_bytes = system::kernel_info().memory_bytes / CACHE_SHARE;
        let cache_blocks = (cache_bytes / 4096).min(CACHE_BLOCKS_MAX) as usize;
        let mounted = Ext2::mount(
            disk,
            MountOptions {
                access,
                cache_blocks,
                now: now(),
            },
        )
        .map_err(|error| {
            log!("ext2", "cannot mount: {error}");
            errno(error)
        })?;
        if !mounted.was_clean() {
            log!(
                "ext2",
                "the file system was not unmounted cleanly: run e2fsck on its image"
            );
        }
        let read_only = mounted.is_read_only();
        let index = self
            .mounts
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.mounts.len());
        if index == self.mounts.len() {
            self.mounts.push(None);
        }
        self.mounts[index] = Some(mounted);
        let reply = self.give(Session::Mount(index))?;
        Ok(Some(reply.with_words([
            Ino::ROOT.0.into(),
            read_only.into(),
            0,
        ])))
    }

    fn unmount(&mut self, request: &Request) -> Outcome {
        let forced = request.words[1] != 0;
        let (index, _) = self.mount_of(request)?;
        let is_open =
            |session: &Session| matches!(session, Session::File(file) if file.mount == index);
        let busy = self.sessions.iter().flatten().any(is_open) || self.live.is_used(index);
        if !forced && busy {
            return Err(linux_raw_sys::errno::EBUSY as Errno);
        }
        // What fails was logged, and is lost with the mount.
        let _ = self.flush_mount(index);
        self.objects.forget_mount(index);
        self.locks.forget(|&(mount, _)| mount == index);
        let (mounted, live) = self.with_live(index)?;
        live.forget_mount(index, mounted);
        for slot in &mut self.sessions {
            if let Some(file) = slot
                .take_if(|session| is_open(session))
                .and_then(Session::into_file)
                && let Some(Some(mounted)) = self.mounts.get_mut(index)
            {
                // What fails here fails again, and is reported, in the unmount below.
                let _ = mounted.close(file.ino, now());
            }
        }
        self.mounted(index)?.unmount(now()).map_err(errno)?;
        self.mounts[index] = None;
        Ok(Some(Reply::value(0)))
    }

    fn write_back(&mut self) {
        self.timer_armed = false;
        for mount in 0..self.mounts.len() {
            // What fails was logged, and is tried again.
            let _ = self.flush_mount(mount);
        }
        if self.live.may_change() {
            self.changed();
        }
        for mounted in self.mounts.iter_mut().flatten() {
            if let Err(error) = mounted.sync() {
                log!("ext2", "writing back: {error}");
            }
        }
    }
}

impl Session {
    fn into_file(self) -> Option<OpenFile> {
        match self {
            Session::File(file) => Some(file),
            Session::Mount(_) => None,
        }
    }
}

impl Service for Server {
    fn request(&mut self, request: &Request) -> Outcome {
        match request.head.operation() {
            filesystem::MOUNT => self.mount(request),
            filesystem::UNMOUNT => self.unmount(request),
            filesystem::LOOKUP => self.lookup(request),
            filesystem::GET_ATTRIBUTES => self.get_attributes(request),
            filesystem::SET_ATTRIBUTES => self.set_attributes(request),
            filesystem::OPEN => self.open(request),
            filesystem::CREATE => self.create(request),
            filesystem::SYMLINK => self.symlink(request),
            filesystem::LINK => self.link(request),
            filesystem::UNLINK => self.unlink(request),
            filesystem::RENAME => self.rename(request),
            filesystem::READ_LINK => self.read_link(request),
            filesystem::READ_DIRECTORY => self.read_directory(request),
            filesystem::INFO => self.info(request),
            filesystem::SYNC => self.sync(request),
            filesystem::SYNC_OBJECT => self.sync_object(request),
            file::READ => self.read(request),
            file::WRITE => self.write(request),
            file::SEEK => self.seek(request),
            file::GET_ATTRIBUTES => self.file_attributes(request),
            file::SET_ATTRIBUTES => self.change_file(request),
            file::SYNC => self.sync_file(request),
            file::GET_FLAGS => self.get_flags(request),
            file::SET_FLAGS => self.set_flags(request),
            file::GET_OBJECT => self.get_object(request),
            file::FILESYSTEM_INFO => self.file_info(request),
            file::ALLOCATE => self.allocate(request),
            file::LOCK => self.lock(request),
            file::UNLOCK_ALL => self.unlock_all(request),
            file::LOCK_WHOLE => self.lock_whole(request),
            file::IOCTL => Err(linux_raw_sys::errno::ENOTTY as Errno),
            file::READ_DIRECTORY => Err(linux_raw_sys::errno::ENOTDIR as Errno),
            _ => Err(ENOSYS as Errno),
        }
    }

    fn closed(&mut self, badge: u32) {
        if self.locks.owner_closed(badge) {
            return;
        }
        let slot = (badge as usize)
            .checked_sub(1)
            .and_then(|index| self.sessions.get_mut(index));
        let closed = slot.and_then(Option::take);
        if let Some(Session::File(file)) = &closed {
            self.unlock_closed(badge, file);
        }
        if let Some(Session::File(file)) = closed
            && let Ok(mounted) = self.mounted(file.mount)
        {
            if let Err(error) = mounted.close(file.ino, now()) {
                log!("ext2", "closing inode {}: {error}", file.ino.0);
            }
            if !mounted.is_read_only() {
                self.changed();
            }
            self.drop_dead(file.mount);
        }
    }

    fn cancelled(&mut self, caller: Caller) {
        self.locks.cancelled(caller);
    }

    fn notified(&mut self, badge: u32, _count: u64) {
        if badge == TIMER {
            let _ = ipc::port_timer(self.port, TIMER, FOREVER);
            self.write_back();
        }
    }

    fn page_wanted(&mut self, badge: u32, page: u64, count: u64) {
        self.live.supply(badge, page, count, &mut self.mounts);
    }

    fn memory_low(&mut self, wanted: u64) -> u64 {
        let mut given = self.objects.reclaim(wanted);
        if given < wanted {
            given += self.live.reclaim_urgently(wanted - given, &mut self.mounts);
        }
        if given < wanted {
            for mounted in self.mounts.iter_mut().flatten() {
                match mounted.shrink_cache() {
                    Ok(bytes) => given += bytes as u64 / PAGE_SIZE,
                    Err(error) => log!("ext2", "writing back: {error}"),
                }
            }
        }
        given
    }

    fn object_unused(&mut self, badge: u32) {
        let Some(mount) = self.live.mount_of(badge) else {
            return;
        };
        if let Ok((mounted, live)) = self.with_live(mount)
            && let Some(ino) = live.unused(badge, mounted)
        {
            self.objects.forget(mount, ino);
            self.changed();
        }
    }

    fn connections(&mut self) -> &mut Connections {
        &mut self.windows
    }
}
