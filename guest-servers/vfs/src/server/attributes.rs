//! What is known of files by name: `stat`, `chmod`, `chown`, `utimensat`, `truncate`, `access`, `statfs`.

use super::{Vfs, last};
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo, Plain};
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_rt::sys::process;
use ferrix_vfs::errno::{EINVAL, EISDIR, EROFS, Result};
use ferrix_vfs::filesystem::{Kind, Node};
use ferrix_vfs::permissions::{self, Credentials, WRITE};
use ferrix_vfs::walk::{Last, Start};

/// `AT_EACCESS`: check with the effective ids.
const EFFECTIVE: u64 = 0x200;
/// `ST_RDONLY`.
const READ_ONLY: u64 = 1;

impl Vfs {
    /// The node that a path names; the empty path names the directory itself.
    pub(super) fn node_at(
        &mut self,
        start: &Start,
        path: &[u8],
        last: Last,
    ) -> Result<(Node, Kind)> {
        if path.is_empty() {
            return Ok((start.base, Kind::Directory));
        }
        self.walk(start, path, last)?.existing()
    }

    /// Fresh attributes of a node.
    pub(super) fn node_attributes(&mut self, node: Node) -> Result<Attributes> {
        let mut attributes = self
            .tree
            .mounts
            .get(node.mount)?
            .filesystem
            .attributes(node.inode)?;
        if attributes.device == 0 {
            attributes.device = node.mount as u64 + 1;
        }
        Ok(attributes)
    }

    /// `stat(2)`, `lstat(2)`.
    pub(super) fn get_attributes_of(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        let (node, _) = self.node_at(&start, &path, last(request.words[0]))?;
        Ok(Some(Reply::inline(self.node_attributes(node)?.to_bytes())))
    }

    /// `chmod(2)`, `chown(2)`, `truncate(2)`, `utimensat(2)`.
    pub(super) fn set_attributes_of(&mut self, request: &Request) -> Outcome {
        let payload = request.payload(
            &self.connections,
            size_of::<Attributes>() + ferrix_proto::path::PATH_MAX,
        )?;
        let to = Attributes::from_bytes(&payload).ok_or(EINVAL)?;
        let path = &payload[size_of::<Attributes>()..];
        let start = self.start(request)?;
        let (node, kind) = self.node_at(&start, path, last(request.words[0] >> 32))?;
        let change = Change::from_bits_truncate(request.words[0] as u32);
        if change.contains(Change::SIZE) && kind != Kind::Regular {
            return Err(if kind == Kind::Directory {
                EISDIR
            } else {
                EINVAL
            });
        }
        self.change(start.who, node, change, to)?;
        Ok(Some(Reply::value(0)))
    }

    /// Changes attributes of a node after checking that `who` may.
    pub(super) fn change(
        &mut self,
        who: Credentials,
        node: Node,
        mut change: Change,
        mut to: Attributes,
    ) -> Result<()> {
        if self.tree.mounts.get(node.mount)?.read_only {
            return Err(EROFS);
        }
        let old = self.node_attributes(node)?;
        permissions::check_change(who, &old, &mut change, &mut to)?;
        self.tree
            .mounts
            .get(node.mount)?
            .filesystem
            .set_attributes(node.inode, change, &to)?;
        self.tree.cache.forget_attributes(node);
        Ok(())
    }

    /// `access(2)`, `faccessat(2)`.
    pub(super) fn access(&mut self, request: &Request) -> Outcome {
        let (asked, flags) = (request.words[0] as u32, request.words[0] >> 32);
        if asked & !7 != 0 {
            return Err(EINVAL);
        }
        let identity = process::identity(request.caller.pid)?;
        let effective = flags & EFFECTIVE != 0;
        let who = if effective {
            Credentials::effective(&identity)
        } else {
            Credentials::real(&identity)
        };
        let (path, start) = (
            self.path(request)?,
            Start {
                who,
                ..self.start(request)?
            },
        );
        let (node, _) = self.node_at(&start, &path, last(flags))?;
        let attributes = self.node_attributes(node)?;
        let special = matches!(
            Kind::of(attributes.mode),
            Kind::Character | Kind::Block | Kind::Fifo | Kind::Other
        );
        if asked & WRITE != 0 && self.tree.mounts.get(node.mount)?.read_only && !special {
            return Err(EROFS);
        }
        permissions::check(who, &attributes, asked)?;
        Ok(Some(Reply::value(0)))
    }

    /// `statfs(2)`.
    pub(super) fn filesystem_info_of(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        let (node, _) = self.node_at(&start, &path, Last::Follow)?;
        Ok(Some(Reply::inline(self.info(node.mount)?.to_bytes())))
    }

    /// Sizes of a mounted file system.
    pub(super) fn info(&mut self, mount: usize) -> Result<FilesystemInfo> {
        let mounted = self.tree.mounts.get(mount)?;
        let mut info = mounted.filesystem.info()?;
        if mounted.read_only {
            info.flags |= READ_ONLY;
        }
        Ok(info)
    }
}
