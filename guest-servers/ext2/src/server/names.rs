//! What `vfs` asks: names, attributes, directories.

use super::convert::{attributes, device_from_linux, errno, info, new_node, now, set_attr};
use super::service::{OpenFile, Server, Session};
use alloc::vec::Vec;
use ferrix_ext2::{Emit, FileType, Ino, NewNode, Place};
use ferrix_proto::attributes::{Attributes, Change, Plain};
use ferrix_proto::filesystem;
use ferrix_proto::path::{NAME_MAX, PATH_MAX};
use ferrix_rt::service::{Errno, Outcome, Reply, Request};
use linux_raw_sys::errno::{EINVAL, EPERM};
use linux_raw_sys::general as linux;

/// Longest payload: a new node, two names or a name and a link's text.
const PAYLOAD_MAX: usize = filesystem::NewNode::SIZE + NAME_MAX + PATH_MAX;
/// Bytes of a `linux_dirent64` before the name.
const DIRENT_HEADER: usize = 19;

fn ino(word: u64) -> Result<Ino, Errno> {
    u32::try_from(word).map(Ino).map_err(|_| EINVAL as Errno)
}

impl Server {
    fn payload(&self, request: &Request) -> Result<Vec<u8>, Errno> {
        request.payload(&self.windows, PAYLOAD_MAX)
    }

    /// The attributes of an inode as the reply.
    fn describe(&mut self, request: &Request, ino: Ino) -> Outcome {
        let (index, mounted) = self.mount_of(request)?;
        let stat = mounted.getattr(ino).map_err(errno)?;
        Ok(Some(Reply::inline(attributes(index, &stat).to_bytes())))
    }

    pub(super) fn lookup(&mut self, request: &Request) -> Outcome {
        let name = self.payload(request)?;
        let (_, mounted) = self.mount_of(request)?;
        let found = mounted
            .lookup(ino(request.words[0])?, &name)
            .map_err(errno)?;
        self.describe(request, found)
    }

    pub(super) fn get_attributes(&mut self, request: &Request) -> Outcome {
        self.describe(request, ino(request.words[0])?)
    }

    pub(super) fn set_attributes(&mut self, request: &Request) -> Outcome {
        let to = Attributes::from_bytes(&self.payload(request)?).ok_or(EINVAL as Errno)?;
        let change = Change::from_bits_truncate(request.words[1] as u32);
        let ino = ino(request.words[0])?;
        let (index, mounted) = self.mount_of(request)?;
        mounted
            .setattr(ino, &set_attr(change, &to), now())
            .map_err(errno)?;
        if change.contains(Change::SIZE) {
            self.live.resized((index, ino), to.size)?;
            self.objects.forget(index, ino);
        }
        self.changed();
        self.describe(request, ino)
    }

    pub(super) fn open(&mut self, request: &Request) -> Outcome {
        let (ino, flags) = (ino(request.words[0])?, request.words[1] as u32);
        let (mount, mounted) = self.mount_of(request)?;
        mounted.open(ino).map_err(errno)?;
        self.give(Session::File(OpenFile {
            mount,
            ino,
            offset: 0,
            flags,
        }))
        .map(Some)
    }

    pub(super) fn create(&mut self, request: &Request) -> Outcome {
        let payload = self.payload(request)?;
        let node = filesystem::NewNode::from_bytes(&payload).ok_or(EINVAL as Errno)?;
        let (name, new) = (&payload[filesystem::NewNode::SIZE..], new_node(&node));
        let directory = ino(request.words[0])?;
        let kind = FileType::from_mode(node.mode as u16).ok_or(EINVAL as Errno)?;
        let (_, mounted) = self.mount_of(request)?;
        let made = match kind {
            FileType::Regular => mounted.create(directory, name, &new),
            FileType::Directory => mounted.mkdir(directory, name, &new),
            FileType::Symlink => return Err(EINVAL as Errno),
            other => mounted.mknod(directory, name, &new, (other, device_from_linux(node.rdev))),
        };
        let made = made.map_err(errno)?;
        self.changed();
        self.describe(request, made)
    }

    pub(super) fn symlink(&mut self, request: &Request) -> Outcome {
        let payload = self.payload(request)?;
        let node = filesystem::NewNode::from_bytes(&payload).ok_or(EINVAL as Errno)?;
        let rest = &payload[filesystem::NewNode::SIZE..];
        let (name, text) = rest
            .split_at_checked(request.words[1] as usize)
            .ok_or(EINVAL as Errno)?;
        let new: NewNode = new_node(&node);
        let (_, mounted) = self.mount_of(request)?;
        let made = mounted
            .symlink(ino(request.words[0])?, name, text, &new)
            .map_err(errno)?;
        self.changed();
        self.describe(request, made)
    }

    pub(super) fn link(&mut self, request: &Request) -> Outcome {
        let name = self.payload(request)?;
        let (directory, target) = (ino(request.words[0])?, ino(request.words[1])?);
        let (_, mounted) = self.mount_of(request)?;
        mounted
            .link(target, directory, &name, now())
            .map_err(|error| match error {
                // link(2): a directory is not permitted.
                ferrix_ext2::Error::IsDirectory => EPERM as Errno,
                other => errno(other),
            })?;
        self.changed();
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn unlink(&mut self, request: &Request) -> Outcome {
        let name = self.payload(request)?;
        let directory = ino(request.words[0])?;
        let (index, mounted) = self.mount_of(request)?;
        let target = mounted.lookup(directory, &name).map_err(errno)?;
        if request.words[1] != 0 {
            mounted.rmdir(directory, &name, now()).map_err(errno)?;
        } else {
            mounted.unlink(directory, &name, now()).map_err(errno)?;
        }
        self.objects.forget(index, target);
        self.drop_dead(index);
        self.changed();
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn rename(&mut self, request: &Request) -> Outcome {
        let payload = self.payload(request)?;
        let length = (request.words[2] >> 32) as usize;
        let (old, new) = payload.split_at_checked(length).ok_or(EINVAL as Errno)?;
        let from = Place {
            dir: ino(request.words[0])?,
            name: old,
        };
        let to = Place {
            dir: ino(request.words[1])?,
            name: new,
        };
        let (index, mounted) = self.mount_of(request)?;
        let replaced = mounted.lookup(to.dir, to.name).ok();
        mounted.rename(from, to, now()).map_err(errno)?;
        if let Some(replaced) = replaced {
            self.objects.forget(index, replaced);
            self.drop_dead(index);
        }
        self.changed();
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn read_link(&mut self, request: &Request) -> Outcome {
        let mut text = alloc::vec![0; request.head.length().min(PATH_MAX as u32) as usize];
        let (_, mounted) = self.mount_of(request)?;
        let length = mounted
            .readlink(ino(request.words[0])?, &mut text)
            .map_err(errno)?;
        request
            .answer_bytes(&self.windows, &text[..length])
            .map(Some)
    }

    pub(super) fn read_directory(&mut self, request: &Request) -> Outcome {
        let room = request.head.length() as usize;
        let (directory, cookie) = (ino(request.words[0])?, request.words[1]);
        let (_, mounted) = self.mount_of(request)?;
        let mut records: Vec<u8> = Vec::new();
        let mut is_full = false;
        mounted
            .readdir(directory, cookie, |entry| {
                let length = (DIRENT_HEADER + entry.name.len() + 1).next_multiple_of(8);
                if records.len() + length > room {
                    is_full = true;
                    return Emit::Full;
                }
                let end = records.len() + length;
                let kind = entry
                    .file_type
                    .map_or(0, |kind| (kind.mode_bits() >> 12) as u8);
                records.extend_from_slice(&u64::from(entry.ino.0).to_le_bytes());
                records.extend_from_slice(&entry.next.to_le_bytes());
                records.extend_from_slice(&(length as u16).to_le_bytes());
                records.push(kind);
                records.extend_from_slice(entry.name);
                records.resize(end, 0);
                Emit::Taken
            })
            .map_err(errno)?;
        if is_full && records.is_empty() {
            return Err(EINVAL as Errno);
        }
        request.answer_bytes(&self.windows, &records).map(Some)
    }

    pub(super) fn info(&mut self, request: &Request) -> Outcome {
        let (_, mounted) = self.mount_of(request)?;
        Ok(Some(Reply::inline(info(&mounted.statfs()).to_bytes())))
    }

    /// `msync(2)`: the object is perhaps a file of this mount.
    pub(super) fn sync_object(&mut self, request: &Request) -> Outcome {
        let (index, _) = self.mount_of(request)?;
        let found = self.live.by_id(request.words[0]);
        if let Some((mount, ino)) = found.filter(|(mount, _)| *mount == index) {
            self.flush(mount, ino)?;
            self.mounted(mount)?.fsync(ino).map_err(errno)?;
        }
        Ok(Some(Reply::value(0)))
    }

    pub(super) fn sync(&mut self, request: &Request) -> Outcome {
        let (index, _) = self.mount_of(request)?;
        self.flush_mount(index)?;
        let (_, mounted) = self.mount_of(request)?;
        mounted.sync().map_err(errno)?;
        Ok(Some(Reply::value(0)))
    }

    /// Whether a description may be written.
    pub(super) fn writable(file: &OpenFile) -> bool {
        file.flags & linux::O_ACCMODE != linux::O_RDONLY
    }

    /// Whether a description may be read.
    pub(super) fn readable(file: &OpenFile) -> bool {
        file.flags & linux::O_ACCMODE != linux::O_WRONLY
    }
}
