//! The tree of names over the inodes: what making, moving and removing names have in common.

use super::directory::Directory;
use super::inode::{Content, Inode};
use super::store::Store;
use super::{ROOT, Tmpfs};
use crate::errno::{EEXIST, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, Result};
use ferrix_proto::attributes::{Attributes, Change};
use ferrix_proto::filesystem::NewNode;
use linux_raw_sys::general as linux;

impl<S: Store> Tmpfs<S> {
    pub(super) fn inode(&self, inode: u64) -> Result<&Inode<S::Object>> {
        self.inodes.get(&inode).ok_or(ENOENT)
    }

    pub(super) fn inode_mut(&mut self, inode: u64) -> Result<&mut Inode<S::Object>> {
        self.inodes.get_mut(&inode).ok_or(ENOENT)
    }

    pub(super) fn directory(&self, inode: u64) -> Result<&Directory> {
        match &self.inode(inode)?.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(ENOTDIR),
        }
    }

    pub(super) fn directory_mut(&mut self, inode: u64) -> Result<&mut Directory> {
        match &mut self.inode_mut(inode)?.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(ENOTDIR),
        }
    }

    pub(super) fn child(&self, directory: u64, name: &[u8]) -> Result<u64> {
        self.directory(directory)?.get(name).ok_or(ENOENT)
    }

    /// Sets times of an inode by one of its methods.
    pub(super) fn stamp(&mut self, inode: u64, touch: fn(&mut Inode<S::Object>, i64)) {
        let now = self.store.now();
        if let Some(inode) = self.inodes.get_mut(&inode) {
            touch(inode, now);
        }
    }

    pub(super) fn stamp_changed(&mut self, inode: u64) {
        self.stamp(inode, |inode, now| inode.attributes.changed = now);
    }

    pub(super) fn is_directory(&self, inode: u64) -> bool {
        self.directory(inode).is_ok()
    }

    pub(super) fn add_links(&mut self, inode: u64, more: i32) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.attributes.links = inode.attributes.links.saturating_add_signed(more);
        }
    }

    /// A new inode without a name.
    pub(super) fn add_inode(&mut self, node: NewNode, content: Content<S::Object>) -> Result<u64> {
        if self.inodes.len() as u64 >= self.options.inodes {
            return Err(ENOSPC);
        }
        let number = self.next;
        self.next += 1;
        let inode = Inode {
            attributes: Inode::<S::Object>::attributes(number, node, self.store.now()),
            opens: 0,
            content,
        };
        self.inodes.insert(number, inode);
        Ok(number)
    }

    /// A directory in which a name can be made: it has not been removed, and the name is free.
    pub(super) fn check_new(&self, directory: u64, name: &[u8]) -> Result<()> {
        let entries = self.directory(directory)?;
        if self.inode(directory)?.attributes.links == 0 {
            return Err(ENOENT);
        }
        if entries.get(name).is_some() {
            return Err(EEXIST);
        }
        Ok(())
    }

    pub(super) fn name(&mut self, directory: u64, name: &[u8], inode: u64) -> Result<()> {
        self.directory_mut(directory)?.insert(name, inode);
        self.stamp(directory, Inode::touch);
        Ok(())
    }

    /// Frees an inode that has neither name nor user.
    pub(super) fn collect(&mut self, number: u64) {
        let unused = |inode: &Inode<_>| inode.attributes.links == 0 && inode.opens == 0;
        if !self.inodes.get(&number).is_some_and(unused) {
            return;
        }
        if let Some(Inode {
            content: Content::Regular(file),
            ..
        }) = self.inodes.remove(&number)
        {
            self.used -= file.charged;
            if let Some(object) = file.object {
                self.store.delete(object);
            }
        }
    }

    /// An inode lost a name (a directory: its only one).
    pub(super) fn drop_name(&mut self, inode: u64, parent: u64) {
        if self.is_directory(inode) {
            self.add_links(inode, -2);
            self.add_links(parent, -1);
        } else {
            self.add_links(inode, -1);
        }
        self.stamp_changed(inode);
        self.collect(inode);
    }

    /// Whether a directory is `below` or `above` it.
    pub(super) fn is_inside(&self, below: u64, above: u64) -> Result<bool> {
        let mut at = below;
        while at != above && at != ROOT {
            at = self.directory(at)?.parent;
        }
        Ok(at == above)
    }

    /// What `rename` may put in the place of `target`.
    pub(super) fn check_replacement(&self, inode: u64, target: u64) -> Result<()> {
        match (self.is_directory(inode), self.directory(target)) {
            (true, Err(_)) => Err(ENOTDIR),
            (false, Ok(_)) => Err(EISDIR),
            (true, Ok(directory)) if !directory.is_empty() => Err(ENOTEMPTY),
            _ => Ok(()),
        }
    }

    pub(super) fn apply(&mut self, inode: u64, change: Change, to: &Attributes) -> Result<()> {
        let now = self.store.now();
        let attributes = &mut self.inode_mut(inode)?.attributes;
        if change.contains(Change::MODE) {
            attributes.mode = attributes.mode & linux::S_IFMT | to.mode & 0o7777;
        }
        if change.contains(Change::UID) {
            attributes.uid = to.uid;
        }
        if change.contains(Change::GID) {
            attributes.gid = to.gid;
        }
        if change.contains(Change::ACCESSED) {
            attributes.accessed = to.accessed;
        }
        if change.contains(Change::MODIFIED) {
            attributes.modified = to.modified;
        }
        if change.contains(Change::ACCESSED_NOW) {
            attributes.accessed = now;
        }
        if change.contains(Change::MODIFIED_NOW) {
            attributes.modified = now;
        }
        attributes.changed = now;
        Ok(())
    }
}
