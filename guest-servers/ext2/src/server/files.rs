//! What programs ask on an open file.

use super::convert::{attributes, errno, info, now, set_attr};
use super::service::{OpenFile, Server};
use super::transfer::write;
use ferrix_abi::ipc::LONG_MAX;
use ferrix_proto::attributes::{Attributes, Change, Plain};
use ferrix_proto::file::{allocate, io, position};
use ferrix_proto::request::Place;
use ferrix_rt::service::{Errno, Outcome, Reply, Request};
use linux_raw_sys::errno::{EBADF, EFBIG, EINVAL, ENXIO, EOPNOTSUPP, EPERM, EROFS};
use linux_raw_sys::general as linux;

impl Server {
    pub(super) fn read(&mut self, request: &Request) -> Outcome {
        let file = *self.file_of(request)?;
        if !Server::readable(&file) {
            return Err(EBADF as Errno);
        }
        let at = if request.words[0] == position::CURRENT {
            file.offset
        } else {
            request.words[0]
        };
        let length = request.head.length() as usize;
        let reply = if request.head.place() == Place::INLINE {
            let mut bytes = [0; LONG_MAX];
            let wanted = length.min(LONG_MAX);
            let (mounted, live) = self.with_live(file.mount)?;
            let read = mounted
                .read(file.ino, at, &mut bytes[..wanted])
                .map_err(errno)?;
            live.overlay((file.mount, file.ino), at, &mut bytes[..read])?;
            Reply::inline(&bytes[..read])
        } else {
            // The window's pages are the destination: one copy, from the cache.
            let read = self.read_into_window(request, &file, at, length)?;
            Reply::value(read as u64)
        };
        if request.words[0] == position::CURRENT {
            self.file_of(request)?.offset = at + reply.status as u64;
        }
        Ok(Some(reply))
    }

    pub(super) fn write(&mut self, request: &Request) -> Outcome {
        let file = *self.file_of(request)?;
        if !Server::writable(&file) {
            return Err(EBADF as Errno);
        }
        let append = file.flags & linux::O_APPEND != 0;
        let at = match request.words[0] {
            _ if append => {
                self.mounted(file.mount)?
                    .getattr(file.ino)
                    .map_err(errno)?
                    .size
            }
            position::CURRENT => file.offset,
            given => given,
        };
        let wanted = request.head.length() as usize;
        let wanted = io::allowed(request.words[1], at, wanted).ok_or(EFBIG as Errno)?;
        let written = if request.head.place() == Place::INLINE {
            let (bytes, length) = request.inline()?;
            let length = length.min(wanted);
            let (mounted, live) = self.with_live(file.mount)?;
            write(mounted, live, &file, at, &bytes[..length])?
        } else {
            self.write_from_window(request, &file, at, wanted)?
        };
        if request.words[0] == position::CURRENT {
            self.file_of(request)?.offset = at + written as u64;
        }
        self.objects.forget(file.mount, file.ino);
        self.changed();
        Ok(Some(Reply::value(written as u64)))
    }

    pub(super) fn seek(&mut self, request: &Request) -> Outcome {
        let file = *self.file_of(request)?;
        let distance = request.words[0] as i64;
        let size = self
            .mounted(file.mount)?
            .getattr(file.ino)
            .map_err(errno)?
            .size;
        let inside = || {
            u64::try_from(distance)
                .ok()
                .filter(|&at| at < size)
                .ok_or(ENXIO as Errno)
        };
        let to = match request.words[1] as u32 {
            linux::SEEK_SET => u64::try_from(distance).ok(),
            linux::SEEK_CUR => file.offset.checked_add_signed(distance),
            linux::SEEK_END => size.checked_add_signed(distance),
            // Holes are not told apart: everything is data, and the hole is at the end (lseek(2)).
            linux::SEEK_DATA => Some(inside()?),
            linux::SEEK_HOLE => inside().map(|_| Some(size))?,
            _ => None,
        };
        let to = to
            .filter(|&to| i64::try_from(to).is_ok())
            .ok_or(EINVAL as Errno)?;
        self.file_of(request)?.offset = to;
        Ok(Some(Reply::value(0).with_words([to, 0, 0])))
    }

    pub(super) fn file_attributes(&mut self, request: &Request) -> Outcome {
        let OpenFile { mount, ino, .. } = *self.file_of(request)?;
        let stat = self.mounted(mount)?.getattr(ino).map_err(errno)?;
        Ok(Some(Reply::inline(attributes(mount, &stat).to_bytes())))
    }

    pub(super) fn change_file(&mut self, request: &Request) -> Outcome {
        let (bytes, length) = request.inline()?;
        let to = Attributes::from_bytes(&bytes[..length]).ok_or(EINVAL as Errno)?;
        let change = Change::from_bits_truncate(request.words[0] as u32);
        let file = *self.file_of(request)?;
        let mounted = self.mounted(file.mount)?;
        if mounted.is_read_only() {
            return Err(EROFS as Errno);
        }
        if change.contains(Change::SIZE) && !Server::writable(&file) {
            return Err(EINVAL as Errno);
        }
        if change.intersects(!Change::SIZE) {
            let stat = mounted.getattr(file.ino).map_err(errno)?;
            let identity = ferrix_rt::sys::process::identity(request.caller.pid)?;
            if identity.euid != 0 && identity.euid != stat.uid {
                return Err(EPERM as Errno);
            }
        }
        self.mounted(file.mount)?
            .setattr(file.ino, &set_attr(change, &to), now())
            .map_err(errno)?;
        if change.contains(Change::SIZE) {
            self.live.resized((file.mount, file.ino), to.size)?;
        }
        self.objects.forget(file.mount, file.ino);
        self.changed();
        Ok(Some(Reply::value(0)))
    }

    /// `fallocate(2)`. As on Linux, holes cannot be made; nor can room behind the end of the file, which
    /// `e2fsck` would complain of.
    pub(super) fn allocate(&mut self, request: &Request) -> Outcome {
        let file = *self.file_of(request)?;
        if !Server::writable(&file) {
            return Err(EBADF as Errno);
        }
        let [at, length, how] = request.words;
        let mounted = self.mounted(file.mount)?;
        if mounted.is_read_only() {
            return Err(EROFS as Errno);
        }
        let size = mounted.getattr(file.ino).map_err(errno)?.size;
        let length = match how {
            allocate::GROW => length,
            allocate::KEEP_SIZE if at.saturating_add(length) <= size => length,
            _ => return Err(EOPNOTSUPP as Errno),
        };
        let done = mounted.allocate(file.ino, at, length, now());
        let size = mounted.getattr(file.ino).map_err(errno)?.size;
        self.live.resized((file.mount, file.ino), size)?;
        self.objects.forget(file.mount, file.ino);
        self.changed();
        done.map_err(errno)?;
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn sync_file(&mut self, request: &Request) -> Outcome {
        let OpenFile { mount, ino, .. } = *self.file_of(request)?;
        self.flush(mount, ino)?;
        self.mounted(mount)?.fsync(ino).map_err(errno)?;
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn get_flags(&mut self, request: &Request) -> Outcome {
        let kept = linux::O_ACCMODE | linux::O_APPEND | linux::O_NONBLOCK | linux::O_DIRECTORY;
        let flags = self.file_of(request)?.flags & kept;
        Ok(Some(Reply::value(0).with_words([flags.into(), 0, 0])))
    }

    pub(super) fn set_flags(&mut self, request: &Request) -> Outcome {
        let changeable = linux::O_APPEND | linux::O_NONBLOCK;
        let file = self.file_of(request)?;
        file.flags = file.flags & !changeable | request.words[0] as u32 & changeable;
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn file_info(&mut self, request: &Request) -> Outcome {
        let mount = self.file_of(request)?.mount;
        let statistics = self.mounted(mount)?.statfs();
        Ok(Some(Reply::inline(info(&statistics).to_bytes())))
    }
}
