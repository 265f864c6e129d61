//! Making, removing and moving names.

use super::{Hold, Vfs, last};
use alloc::vec::Vec;
use ferrix_proto::filesystem::NewNode;
use ferrix_proto::request::Place;
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_vfs::dirent::records;
use ferrix_vfs::errno::{
    EBUSY, ECONNREFUSED, EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM,
    ERANGE, EXDEV, Result,
};
use ferrix_vfs::filesystem::{Kind, Node, Removal};
use ferrix_vfs::permissions::{self, WRITE};
use ferrix_vfs::walk::{Found, Last, Start};
use linux_raw_sys::general as linux;

/// Room for directory records while looking for a name.
const RECORDS: usize = 16384;
/// Most bytes of a link's text (a page less its end, as Linux has it).
const LINK_MAX: usize = 4095;

impl Vfs {
    /// `mkdir(2)`.
    pub(super) fn make_directory(&mut self, request: &Request) -> Outcome {
        let mode = linux::S_IFDIR | request.words[0] as u32 & 0o1777;
        self.make(request, mode, 0)
    }

    /// `mknod(2)`.
    pub(super) fn make_node(&mut self, request: &Request) -> Outcome {
        let mut mode = request.words[0] as u32 & (linux::S_IFMT | 0o7777);
        if mode & linux::S_IFMT == 0 {
            mode |= linux::S_IFREG;
        }
        match Kind::of(mode) {
            Kind::Regular | Kind::Fifo | Kind::Character | Kind::Block | Kind::Other => {}
            Kind::Directory => return Err(EPERM),
            Kind::Symlink => return Err(EINVAL),
        }
        let device = matches!(Kind::of(mode), Kind::Character | Kind::Block);
        if device && !self.start(request)?.who.is_root() {
            return Err(EPERM);
        }
        self.make(request, mode, request.words[1] as u32)
    }

    fn make(&mut self, request: &Request, mode: u32, rdev: u32) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        let found = self.walk(&start, &path, Last::NoFollow)?;
        if found.entry.is_some() {
            return Err(EEXIST);
        }
        if found.must_be_directory && Kind::of(mode) != Kind::Directory {
            return Err(ENOENT);
        }
        self.create(&start, &found, mode, rdev)?;
        if Kind::of(mode) == Kind::Directory {
            self.tree.cache.forget_attributes(found.parent);
        }
        Ok(Some(Reply::value(0)))
    }

    /// `bind(2)`, `connect(2)`: a socket's file, and the key by which its socket is found.
    pub(super) fn socket_key(&mut self, request: &Request) -> Outcome {
        let word = request.words[0];
        let (path, start) = (self.path(request)?, self.start(request)?);
        let makes = word & 1 != 0;
        if makes {
            self.make(request, linux::S_IFSOCK | (word >> 32) as u32 & 0o777, 0)?;
        }
        let last = if makes { Last::NoFollow } else { Last::Follow };
        let (node, _) = self.node_at(&start, &path, last)?;
        let attributes = self.node_attributes(node)?;
        if attributes.mode & linux::S_IFMT != linux::S_IFSOCK {
            return Err(ECONNREFUSED);
        }
        if makes {
            // A file that is made anew in an old one's place is another.
            self.socket_keys.insert(node, random_key());
        } else {
            permissions::check(start.who, &attributes, WRITE)?;
        }
        let key = self.socket_keys.get(&node).ok_or(ECONNREFUSED)?;
        Ok(Some(Reply::value(0).with_words([key[0], key[1], 0])))
    }

    /// `symlink(2)`.
    pub(super) fn symlink(&mut self, request: &Request) -> Outcome {
        let (text, path) = self.two_paths(request)?;
        match text.len() {
            0 => return Err(ENOENT),
            length if length > LINK_MAX => return Err(ENAMETOOLONG),
            _ => {}
        }
        let start = self.start(request)?;
        let found = self.walk(&start, &path, Last::NoFollow)?;
        if found.entry.is_some() {
            return Err(EEXIST);
        }
        if found.must_be_directory {
            return Err(ENOENT);
        }
        self.check_directory_change(&start, found.parent)?;
        let node = NewNode {
            mode: linux::S_IFLNK | 0o777,
            uid: start.who.uid,
            gid: start.who.gid,
            rdev: 0,
        };
        let filesystem = &mut self.tree.mounts.get(found.parent.mount)?.filesystem;
        filesystem.symlink(found.parent.inode, &found.name, &text, node)?;
        self.tree.cache.forget_name(found.parent, &found.name);
        Ok(Some(Reply::value(0)))
    }

    /// `link(2)`.
    pub(super) fn link(&mut self, request: &Request) -> Outcome {
        let (old, new) = self.two_paths(request)?;
        let start = self.start(request)?;
        let second = self.second_start(request, &start)?;
        let (node, kind) = self
            .walk(&start, &old, last(request.words[0]))?
            .existing()?;
        let found = self.walk(&second, &new, Last::NoFollow)?;
        if found.entry.is_some() {
            return Err(EEXIST);
        }
        if kind == Kind::Directory {
            return Err(EPERM);
        }
        if found.must_be_directory {
            return Err(ENOENT);
        }
        if found.parent.mount != node.mount {
            return Err(EXDEV);
        }
        self.check_directory_change(&second, found.parent)?;
        let filesystem = &mut self.tree.mounts.get(node.mount)?.filesystem;
        filesystem.link(found.parent.inode, &found.name, node.inode)?;
        self.tree.cache.forget_name(found.parent, &found.name);
        Ok(Some(Reply::value(0)))
    }

    /// `unlink(2)` and `rmdir(2)`.
    pub(super) fn unlink(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        let what = if request.words[0] & 1 != 0 {
            Removal::Directory
        } else {
            Removal::File
        };
        let found = self.walk(&start, &path, Last::NoFollow)?;
        let (node, kind) = found.existing()?;
        match (what, kind) {
            (Removal::File, Kind::Directory) => return Err(EISDIR),
            (Removal::Directory, Kind::Directory) => self.check_rmdir(&start, &found, node)?,
            (Removal::Directory, _) => return Err(ENOTDIR),
            (Removal::File, _) => {}
        }
        self.check_removal(&start, &found, node)?;
        let filesystem = &mut self.tree.mounts.get(found.parent.mount)?.filesystem;
        filesystem.unlink(found.parent.inode, &found.name, what)?;
        self.forget(&found, node);
        Ok(Some(Reply::value(0)))
    }

    fn check_rmdir(&mut self, start: &Start, found: &Found, node: Node) -> Result<()> {
        match &found.name[..] {
            b"." if node == start.root => Err(EBUSY),
            b"." => Err(EINVAL),
            b".." => Err(ENOTEMPTY),
            // A mount's root or a directory with a mount on it.
            _ if node.mount != found.parent.mount => Err(EBUSY),
            _ => Ok(()),
        }
    }

    /// Permission to take a name out of its directory.
    fn check_removal(&mut self, start: &Start, found: &Found, node: Node) -> Result<()> {
        let directory = self.check_directory_change(start, found.parent)?;
        if directory.mode & 0o1000 == 0 || start.who.is_root() {
            return Ok(());
        }
        let entry = self
            .tree
            .mounts
            .get(node.mount)?
            .filesystem
            .attributes(node.inode)?;
        permissions::check_sticky(start.who, &directory, &entry)
    }

    fn forget(&mut self, found: &Found, node: Node) {
        self.tree.cache.forget_name(found.parent, &found.name);
        self.tree.cache.forget_directory(node);
    }

    /// `rename(2)`, and `renameat2(2)` with `RENAME_NOREPLACE`.
    pub(super) fn rename(&mut self, request: &Request) -> Outcome {
        let no_replace = match request.words[0] as u32 {
            0 => false,
            linux::RENAME_NOREPLACE => true,
            _ => return Err(EINVAL),
        };
        let (old, new) = self.two_paths(request)?;
        let start = self.start(request)?;
        let second = self.second_start(request, &start)?;
        let from = self.walk(&start, &old, Last::NoFollow)?;
        let to = self.walk(&second, &new, Last::NoFollow)?;
        let (node, kind) = from.existing()?;
        if from.is_dot() || to.is_dot() {
            return Err(EBUSY);
        }
        if from.parent.mount != to.parent.mount {
            return Err(EXDEV);
        }
        if to.must_be_directory && kind != Kind::Directory {
            return Err(ENOTDIR);
        }
        self.check_removal(&start, &from, node)?;
        match to.entry {
            Some(_) if no_replace => return Err(EEXIST),
            Some((target, _)) => self.check_replacement(&second, &from, &to, node, target)?,
            None => drop(self.check_directory_change(&second, to.parent)?),
        }
        let filesystem = &mut self.tree.mounts.get(node.mount)?.filesystem;
        filesystem.rename((from.parent.inode, &from.name), (to.parent.inode, &to.name))?;
        self.forget(&from, node);
        self.tree.cache.forget_name(to.parent, &to.name);
        if let Some((target, _)) = to.entry {
            self.tree.cache.forget_directory(target);
        }
        Ok(Some(Reply::value(0)))
    }

    fn check_replacement(
        &mut self,
        start: &Start,
        from: &Found,
        to: &Found,
        node: Node,
        target: Node,
    ) -> Result<()> {
        if node.mount != from.parent.mount || target.mount != to.parent.mount {
            return Err(EBUSY);
        }
        self.check_removal(start, to, target)
    }

    /// `readlink(2)`.
    pub(super) fn read_link(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        let (node, kind) = self.walk(&start, &path, Last::NoFollow)?.existing()?;
        if kind != Kind::Symlink {
            return Err(EINVAL);
        }
        let mut text = self
            .tree
            .mounts
            .get(node.mount)?
            .filesystem
            .read_link(node.inode)?;
        text.truncate(request.words[0] as usize);
        self.answer_text(request, &text).map(Some)
    }

    /// The absolute path of a directory (`getcwd(2)`).
    pub(super) fn path_of(&mut self, request: &Request) -> Outcome {
        let (mut node, root) = self.directory(request.badge)?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        while node != root {
            let inner = self.tree.mounts.leave(node);
            let parent = self.tree.parent(node)?;
            if parent == inner {
                // The top of everything without meeting the caller's root: it is outside.
                return Err(ENOENT);
            }
            names.push(self.name_in(parent, inner.inode)?);
            node = self.tree.mounts.enter(parent);
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        if path.len() > request.words[0] as usize {
            return Err(ERANGE);
        }
        self.answer_text(request, &path).map(Some)
    }

    /// The name of an inode in a directory.
    fn name_in(&mut self, directory: Node, inode: u64) -> Result<Vec<u8>> {
        let mut cookie = 0;
        loop {
            let filesystem = &mut self.tree.mounts.get(directory.mount)?.filesystem;
            let bytes = filesystem.read_directory(directory.inode, cookie, RECORDS)?;
            let mut all =
                records(&bytes).filter(|record| record.name != b"." && record.name != b"..");
            if let Some(record) = all.find(|record| record.inode == inode) {
                return Ok(record.name.to_vec());
            }
            cookie = records(&bytes).last().ok_or(ENOENT)?.next;
        }
    }

    /// Text at the window offset in word 3 if it does not fit inline.
    fn answer_text(&self, request: &Request, text: &[u8]) -> Result<Reply> {
        if text.len() <= ferrix_abi::ipc::LONG_MAX {
            return Ok(Reply::inline(text));
        }
        // The path may have come inline: it is the caller's room that counts.
        self.connections
            .window(request.caller.pid)
            .map_err(|_| ERANGE)?
            .write(request.words[2], text)?;
        debug_assert!(
            request.head.place() == Place::WINDOW || request.head.place() == Place::INLINE
        );
        Ok(Reply::value(text.len() as u64))
    }

    /// A root session for a directory (`chroot(2)`).
    pub(super) fn make_root(&mut self, request: &Request) -> Outcome {
        let (path, start) = (self.path(request)?, self.start(request)?);
        if !start.who.is_root() {
            return Err(EPERM);
        }
        let (node, kind) = self.walk(&start, &path, Last::Follow)?.existing()?;
        if kind != Kind::Directory {
            return Err(ENOTDIR);
        }
        let filesystem = &mut self.tree.mounts.get(node.mount)?.filesystem;
        let hold = Hold::of(filesystem.open(node.inode, linux::O_RDONLY));
        self.give_directory(node, node, hold).map(Some)
    }
}

/// Two words that nobody guesses; the first is not 0.
fn random_key() -> [u64; 2] {
    let mut key = [0; 2];
    for word in &mut key {
        let bytes = super::facts::random_bytes(8);
        *word = bytes
            .first_chunk()
            .map_or(1, |bytes| u64::from_le_bytes(*bytes))
            | 1;
    }
    key
}
