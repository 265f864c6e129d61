//! File contents as memory objects, for `exec`.
//!
//! An object is filled once and handed out to everyone who asks while the file does not change, so the
//! programs that run from one file share its pages. A change of the file forgets the object: who has it
//! keeps the old contents, who asks again gets the new.

use super::convert::errno;
use super::live::Purpose;
use super::service::{OpenFile, Server};
use alloc::vec::Vec;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::MapFlags;
use ferrix_ext2::Ino;
use ferrix_proto::file::object;
use ferrix_rt::service::{Errno, Outcome, Reply, Request};
use ferrix_rt::sys::{ipc, memory};
use ferrix_rt::window::Window;
use linux_raw_sys::errno::{EACCES, EINVAL};

/// Most bytes of file contents kept for those who may ask again.
const KEPT_BYTES: u64 = 32 << 20;
/// Bytes read from the file at once.
const PIECE: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Object {
    mount: usize,
    ino: Ino,
    handle: Handle,
    size: u64,
}

/// The objects handed out, oldest use first.
pub struct Objects {
    kept: Vec<Object>,
}

impl Objects {
    /// None yet.
    pub const fn new() -> Objects {
        Objects { kept: Vec::new() }
    }

    /// Forgets a file that changed.
    pub fn forget(&mut self, mount: usize, ino: Ino) {
        self.drop_where(|object| object.mount == mount && object.ino == ino);
    }

    /// Forgets all of a mount.
    pub fn forget_mount(&mut self, mount: usize) {
        self.drop_where(|object| object.mount == mount);
    }

    fn drop_where(&mut self, gone: impl Fn(&Object) -> bool) {
        self.kept.retain(|object| {
            let keep = !gone(object);
            if !keep {
                let _ = ipc::close(object.handle);
            }
            keep
        });
    }

    /// Lets go of what only this server holds, until `wanted` pages are given back; how many are.
    pub fn reclaim(&mut self, wanted: u64) -> u64 {
        let mut given = 0;
        self.kept.retain(|object| {
            let unused = memory::object_usage(object.handle).ok();
            let pages = unused.filter(|usage| usage.users == 1 && given < wanted);
            given += pages.map_or(0, |usage| usage.pages);
            if pages.is_some() {
                let _ = ipc::close(object.handle);
            }
            pages.is_none()
        });
        given
    }

    fn find(&mut self, mount: usize, ino: Ino) -> Option<Object> {
        let at = self
            .kept
            .iter()
            .position(|object| object.mount == mount && object.ino == ino)?;
        let object = self.kept.remove(at);
        self.kept.push(object);
        Some(object)
    }

    fn keep(&mut self, object: Object) {
        self.kept.push(object);
        let mut total: u64 = self.kept.iter().map(|object| object.size).sum();
        while total > KEPT_BYTES && self.kept.len() > 1 {
            let oldest = self.kept.remove(0);
            total -= oldest.size;
            let _ = ipc::close(oldest.handle);
        }
    }
}

impl Server {
    pub(super) fn get_object(&mut self, request: &Request) -> Outcome {
        let file = *self.file_of(request)?;
        if !Server::readable(&file) {
            return Err(EACCES as Errno);
        }
        match request.words[0] {
            object::SNAPSHOT => {}
            purpose => return self.get_live(file, purpose),
        }
        self.flush(file.mount, file.ino)?;
        let object = match self.objects.find(file.mount, file.ino) {
            Some(object) => object,
            None => {
                let object = self.fill(file.mount, file.ino)?;
                self.objects.keep(object);
                object
            }
        };
        let rights = Rights::READ | Rights::DUP | Rights::TRANSFER;
        Ok(Some(
            Reply::value(0)
                .with_words([object.size, 0, 0])
                .with_copied_handle(object.handle, rights),
        ))
    }

    /// The object through which a program sees the file itself.
    fn get_live(&mut self, file: OpenFile, purpose: u64) -> Outcome {
        let writable = Server::writable(&file);
        let purpose = match purpose {
            object::READ => Purpose::Read,
            object::SHARE if !writable => Purpose::Read,
            object::SHARE | object::WRITE if writable => Purpose::Write,
            object::WRITE => return Err(EACCES as Errno),
            _ => return Err(EINVAL as Errno),
        };
        let (mounted, live) = self.with_live(file.mount)?;
        let (handle, size) = live.object((file.mount, file.ino), mounted, purpose)?;
        let mut rights = Rights::READ | Rights::DUP | Rights::TRANSFER;
        if purpose == Purpose::Write {
            rights |= Rights::WRITE;
            self.changed();
        }
        let reply = Reply::value(0).with_words([size, object::LIVE, 0]);
        Ok(Some(reply.with_copied_handle(handle, rights)))
    }

    fn fill(&mut self, mount: usize, ino: Ino) -> Result<Object, Errno> {
        let mounted = self.mounted(mount)?;
        let size = mounted.getattr(ino).map_err(errno)?.size;
        // An empty file has an object of one page, which holds nothing.
        let handle = memory::object_create(size.next_multiple_of(PAGE_SIZE).max(PAGE_SIZE))?;
        let window = Window::map(handle, MapFlags::INHERIT_NONE | MapFlags::POPULATE)?;
        let mut at = 0;
        while at < size {
            let length = PIECE.min((size - at) as usize);
            let read = window
                .with(at, length, |piece| mounted.read(ino, at, piece))?
                .map_err(errno)?;
            if read == 0 {
                break;
            }
            at += read as u64;
        }
        Ok(Object {
            mount,
            ino,
            handle,
            size,
        })
    }
}
