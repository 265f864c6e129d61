//! Mounting and unmounting.

use super::facts::Facts;
use super::memory::tmpfs;
use super::remote::{Device, Remote};
use super::{Object, Vfs, global_root};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use ferrix_proto::startup::Startup;
use ferrix_proto::{block, filesystem};
use ferrix_rt::client;
use ferrix_rt::log;
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_rt::sys::utcb;
use ferrix_vfs::errno::{EBUSY, EINVAL, ENODEV, ENOTBLK, ENOTDIR, EPERM, Result};
use ferrix_vfs::filesystem::{Filesystem, Force, Kind, Node, Opened};
use ferrix_vfs::mounts::Mount;
use ferrix_vfs::permissions::Credentials;
use ferrix_vfs::pseudo::{Local, dev::Devices, proc::Proc};
use ferrix_vfs::walk::{Last, Start};
use linux_raw_sys::general as linux;

/// Word 1 of an unmount that takes everything: the machine is about to end.
const EVERYTHING: u64 = u64::MAX;
/// `MNT_FORCE`.
const FORCE: u64 = 1;

/// What is to be mounted where.
pub(super) struct Plan {
    pub(super) filesystem: Box<dyn Filesystem>,
    pub(super) covers: Option<Node>,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) read_only: bool,
}

impl Vfs {
    /// Mounts the root disk and `/dev` and `/proc` on it.
    ///
    /// Without a root disk there is nothing to name: every request then fails with `ENODEV`, and init
    /// ends the machine.
    pub fn mount_boot(&mut self, startup: &Startup) {
        let line = startup.strings().last().unwrap_or_default();
        let line = core::str::from_utf8(line).unwrap_or_default();
        let word = |key: &str| {
            line.split(' ')
                .filter_map(|word| word.strip_prefix(key))
                .next_back()
        };
        let disk = word("root=").unwrap_or("vda");
        let read_only = line.split(' ').any(|word| word == "ro");
        if let Err(errno) = self.mount_disk(disk, None, "/", read_only) {
            log!(
                "vfs",
                "{disk} is not the root file system (errno {errno}): give an ext2 disk with --disk FILE"
            );
            return;
        }
        let disks = self.disks();
        self.mount_generated("dev", Box::new(Devices::new(&disks)));
        let facts = Facts::new(Rc::clone(&self.shared));
        self.mount_generated("proc", Box::new(Proc::new(Box::new(facts))));
        let is_read_only = self.tree.mounts.get(0).is_ok_and(|root| root.read_only);
        self.mount_memory(is_read_only);
    }

    /// A directory by its path, before anybody else walks.
    pub(super) fn node_at_boot(&mut self, path: &str) -> Result<Node> {
        let root = global_root(&mut self.tree)?;
        let start = Start {
            base: root,
            root,
            who: Credentials { uid: 0, gid: 0 },
        };
        let found = self.walk(&start, path.as_bytes(), Last::Follow)?;
        found.existing().map(|(node, _)| node)
    }

    /// A generated file system, on the directory of its name if the root has one.
    fn mount_generated(&mut self, name: &str, filesystem: Box<dyn Filesystem>) {
        let result = global_root(&mut self.tree).and_then(|root| {
            let entry = self.tree.lookup(root, name.as_bytes())?;
            let covers = Some(Node {
                mount: root.mount,
                inode: entry.inode,
            });
            let (source, target) = (name.to_string(), ["/", name].concat());
            self.add_mount(Plan {
                filesystem,
                covers,
                source,
                target,
                read_only: false,
            })
            .map(drop)
        });
        if let Err(errno) = result {
            log!(
                "vfs",
                "/{name} stays empty: errno {errno}; the root file system needs a directory /{name}"
            );
        }
    }

    /// Names of the block devices.
    fn disks(&self) -> Vec<String> {
        let name = |index: u64| {
            let answer = client::Request::new(block::LIST, [index, 0, 0])
                .send(self.ports.blk)
                .ok()?;
            let (bytes, length) = utcb::received_bytes(answer.bytes);
            core::str::from_utf8(&bytes[..length])
                .ok()
                .map(ToString::to_string)
        };
        (0..).map_while(name).collect()
    }

    fn mount_disk(
        &mut self,
        disk: &str,
        covers: Option<Node>,
        target: &str,
        read_only: bool,
    ) -> Result<()> {
        let flags = if read_only {
            filesystem::mount::READ_ONLY
        } else {
            0
        };
        let device = Device {
            blk: self.ports.blk,
            disk: disk.to_string(),
            flags,
        };
        let remote = Remote::mount(Rc::clone(&self.remote), device)?;
        let is_read_only = remote.is_read_only();
        let (source, target) = (["/dev/", disk].concat(), target.to_string());
        self.add_mount(Plan {
            filesystem: Box::new(remote),
            covers,
            source,
            target,
            read_only: is_read_only,
        })
        .map(drop)
    }

    pub(super) fn add_mount(&mut self, plan: Plan) -> Result<usize> {
        let Plan {
            filesystem,
            covers,
            source,
            target,
            read_only,
        } = plan;
        let index = self.tree.mounts.add(Mount {
            filesystem,
            covers,
            source,
            target,
            read_only,
        })?;
        self.publish_mounts();
        Ok(index)
    }

    /// Writes the text of `/proc/mounts` anew.
    fn publish_mounts(&self) {
        let mut text = String::new();
        for (_, mount) in self.tree.mounts.iter() {
            let mode = if mount.read_only { "ro" } else { "rw" };
            let (kind, options) = (mount.filesystem.type_name(), mount.filesystem.options());
            if !mount.target.is_empty() {
                let (source, target) = (&mount.source, &mount.target);
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{source} {target} {kind} {mode}{options} 0 0");
            }
        }
        *self.shared.mounts.borrow_mut() = text;
    }

    /// `mount(2)`.
    pub(super) fn mount(&mut self, request: &Request) -> Outcome {
        let (source, rest) = self.two_paths(request)?;
        let type_length = (request.words[1] >> 32) as usize;
        let options_length = (request.words[0] >> 32) as usize;
        let split = rest.len().checked_sub(options_length).ok_or(EINVAL)?;
        let (rest, options) = rest.split_at(split);
        let split = rest.len().checked_sub(type_length).ok_or(EINVAL)?;
        let (target, kind) = rest.split_at(split);
        let start = self.start(request)?;
        if !start.who.is_root() {
            return Err(EPERM);
        }
        let (covers, entry) = self.walk(&start, target, Last::Follow)?.existing()?;
        if entry != Kind::Directory {
            return Err(ENOTDIR);
        }
        let target = String::from_utf8_lossy(target).into_owned();
        let read_only = request.words[0] as u32 & linux::MS_RDONLY != 0;
        if kind == b"ext2" {
            let disk = self.disk_at(&start, &source)?;
            self.mount_disk(&disk, Some(covers), &target, read_only)?;
            return Ok(Some(Reply::value(0)));
        }
        let filesystem = self.make_filesystem(kind, options)?;
        self.add_mount(Plan {
            filesystem,
            covers: Some(covers),
            source: String::from_utf8_lossy(&source).into_owned(),
            target,
            read_only,
        })?;
        Ok(Some(Reply::value(0)))
    }

    /// A file system without a device.
    fn make_filesystem(&mut self, kind: &[u8], options: &[u8]) -> Result<Box<dyn Filesystem>> {
        match kind {
            b"proc" => {
                let facts = Facts::new(Rc::clone(&self.shared));
                Ok(Box::new(Proc::new(Box::new(facts))))
            }
            b"devtmpfs" => Ok(Box::new(Devices::new(&self.disks()))),
            b"tmpfs" => tmpfs(core::str::from_utf8(options).map_err(|_| EINVAL)?),
            _ => Err(ENODEV),
        }
    }

    /// The block device that a path names.
    fn disk_at(&mut self, start: &Start, path: &[u8]) -> Result<String> {
        let (node, _) = self.walk(start, path, Last::Follow)?.existing()?;
        match self
            .tree
            .mounts
            .get(node.mount)?
            .filesystem
            .open(node.inode, linux::O_RDONLY)?
        {
            Opened::Local(Local::Disk(name)) => Ok(name),
            Opened::Session(handle) => {
                let _ = ferrix_rt::sys::ipc::close(handle);
                Err(ENOTBLK)
            }
            Opened::Held => {
                self.tree
                    .mounts
                    .get(node.mount)?
                    .filesystem
                    .close(node.inode);
                Err(ENOTBLK)
            }
            Opened::Local(_) => Err(ENOTBLK),
        }
    }

    /// `umount2(2)`; or everything.
    pub(super) fn unmount(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        if !start.who.is_root() {
            return Err(EPERM);
        }
        if request.words[0] == EVERYTHING {
            return self.unmount_everything().map(Some);
        }
        let (node, _) = self.walk(&start, &path, Last::Follow)?.existing()?;
        let mount = self.tree.mounts.get(node.mount)?;
        if mount.filesystem.root() != node.inode {
            return Err(EINVAL);
        }
        if node.mount == 0 || self.is_in_use(node.mount) {
            return Err(EBUSY);
        }
        let force = if request.words[0] & FORCE != 0 {
            Force::Forced
        } else {
            Force::Polite
        };
        if self.tree.mounts.iter().any(|(_, other)| {
            other
                .covers
                .is_some_and(|covered| covered.mount == node.mount)
        }) {
            return Err(EBUSY);
        }
        self.tree
            .mounts
            .get(node.mount)?
            .filesystem
            .unmount(force)?;
        self.tree.mounts.remove(node.mount)?;
        self.tree.cache.clear();
        self.publish_mounts();
        Ok(Some(Reply::value(0)))
    }

    /// Whether a directory or generated file of the mount is open here.
    fn is_in_use(&self, mount: usize) -> bool {
        self.sessions
            .iter()
            .flatten()
            .any(|session| match session.object {
                Object::Directory { node, root, .. } => node.mount == mount || root.mount == mount,
                Object::Local { node, .. } | Object::File { node, .. } => node.mount == mount,
                Object::Pipe { id, .. } => self.pipes.is_in(id, mount),
                Object::Attachment { .. } | Object::Detached => false,
            })
    }

    fn unmount_everything(&mut self) -> Result<Reply> {
        let mut result = Ok(Reply::value(0));
        for index in self.tree.mounts.innermost_first() {
            if let Err(errno) = self
                .tree
                .mounts
                .get(index)?
                .filesystem
                .unmount(Force::Forced)
            {
                result = Err(errno);
            }
        }
        result
    }

    /// `sync(2)`.
    pub(super) fn sync_all(&mut self) -> Outcome {
        for index in self.tree.mounts.innermost_first() {
            self.tree.mounts.get(index)?.filesystem.sync()?;
        }
        Ok(Some(Reply::value(0)))
    }

    /// `msync(2)`.
    pub(super) fn sync_object(&mut self, request: &Request) -> Outcome {
        for index in self.tree.mounts.innermost_first() {
            let filesystem = &mut self.tree.mounts.get(index)?.filesystem;
            filesystem.sync_object(request.words[0])?;
        }
        Ok(Some(Reply::value(0)))
    }

    /// The credentials of user 0, for what the VFS does itself.
    pub(super) fn asker(request: &Request) -> Result<Credentials> {
        Ok(Credentials::effective(&ferrix_rt::sys::process::identity(
            request.caller.pid,
        )?))
    }
}
