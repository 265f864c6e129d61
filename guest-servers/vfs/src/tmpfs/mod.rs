//! tmpfs: a file system in memory (Linux's tmpfs(5)).
//!
//! The bytes of a regular file are a memory object, made when first needed. `read` and `write` go
//! through a mapping of that object, and a program's shared mapping maps the same object, so all agree
//! by construction. Pages that were never touched are holes: they take no room and read as zero.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | what a file system does |
//! | `tree` | names: what making, moving and removing them have in common |
//! | `inode` | what a file of each kind keeps |
//! | `directory` | names of one directory |
//! | `data` | bytes of regular files: read, write, truncate, holes, sharing, seals |
//! | `allocate` | room ahead of writing, and holes (`fallocate`) |
//! | `room` | the object that holds one file's bytes, and the pages that take room |
//! | `pages` | which pages hold something |
//! | `store` | what the bytes are kept in |
//! | `options` | mount options |
//!
//! Room is counted in pages present. A page that a program makes present through a mapping is counted
//! when the file is next looked at; it is the machine's memory that limits mappings.

mod allocate;
mod data;
mod directory;
mod inode;
pub mod options;
mod pages;
mod room;
pub mod store;
mod tree;

use crate::dirent::Records;
use crate::errno::{EBUSY, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, Result};
use crate::filesystem::{
    Allocation, Exported, Filesystem, Force, Kind, Opened, Removal, Seek, Share,
};
use crate::pseudo::directory_type;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use directory::Directory;
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo};
use ferrix_proto::file::seal;
use ferrix_proto::filesystem::NewNode;
use inode::{Content, File, Inode};
use linux_raw_sys::general as linux;
use options::Options;
use store::{PAGE, Store};

const ROOT: u64 = 1;
/// `TMPFS_MAGIC`.
const MAGIC: u64 = 0x0102_1994;

/// A tmpfs.
#[derive(Debug)]
pub struct Tmpfs<S: Store> {
    store: S,
    options: Options,
    inodes: BTreeMap<u64, Inode<S::Object>>,
    /// Inode numbers are never used again.
    next: u64,
    /// Pages charged.
    used: u64,
}

impl<S: Store> Tmpfs<S> {
    /// With an empty root directory.
    pub fn new(store: S, options: Options) -> Tmpfs<S> {
        let node = NewNode {
            mode: linux::S_IFDIR | options.mode,
            uid: options.uid,
            gid: options.gid,
            rdev: 0,
        };
        let attributes = Attributes {
            links: 2,
            ..Inode::<S::Object>::attributes(ROOT, node, store.now())
        };
        let root = Inode {
            attributes,
            opens: 0,
            content: Content::Directory(Directory::new(ROOT)),
        };
        Tmpfs {
            store,
            options,
            inodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            used: 0,
        }
    }
}

impl<S: Store> Filesystem for Tmpfs<S> {
    fn root(&self) -> u64 {
        ROOT
    }

    fn type_name(&self) -> &'static str {
        "tmpfs"
    }

    fn options(&self) -> String {
        self.options.text()
    }

    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes> {
        let inode = match name {
            b"." => directory,
            b".." => self.directory(directory)?.parent,
            _ => self.child(directory, name)?,
        };
        self.attributes(inode)
    }

    fn attributes(&mut self, inode: u64) -> Result<Attributes> {
        self.recount(inode);
        self.inode(inode).map(Inode::stat)
    }

    fn open(&mut self, inode: u64, _flags: u32) -> Result<Opened> {
        let opened = self.inode_mut(inode)?;
        match opened.content {
            Content::Regular(_) | Content::Directory(_) => {
                opened.opens += 1;
                Ok(Opened::Held)
            }
            Content::Symlink(_) => Err(EINVAL),
            Content::Special => Err(crate::errno::ENXIO),
        }
    }

    fn close(&mut self, inode: u64) {
        if let Some(closed) = self.inodes.get_mut(&inode) {
            closed.opens = closed.opens.saturating_sub(1);
        }
        self.collect(inode);
    }

    fn read_directory(&mut self, inode: u64, cookie: u64, room: usize) -> Result<Vec<u8>> {
        let directory = self.directory(inode)?;
        let mut records = Records::new(room);
        let dots = [(1, &b"."[..], inode), (2, b"..", directory.parent)];
        let dots = dots.into_iter().filter(|(next, ..)| *next > cookie);
        for (next, name, number) in dots.chain(directory.from(cookie)) {
            let kind = directory_type(self.inode(number)?.attributes.mode);
            if !records.push(number, next, kind, name) {
                break;
            }
        }
        self.stamp(inode, Inode::touch_read);
        records.into_bytes()
    }

    fn read_link(&mut self, inode: u64) -> Result<Vec<u8>> {
        match &self.inode(inode)?.content {
            Content::Symlink(text) => Ok(text.clone()),
            _ => Err(EINVAL),
        }
    }

    fn info(&mut self) -> Result<FilesystemInfo> {
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        for inode in numbers {
            self.recount(inode);
        }
        let machine = self.used.saturating_add(self.store.free_pages());
        // Without a limit it is the machine's that shows.
        let blocks = match self.options.pages {
            u64::MAX => machine,
            limit => limit,
        };
        let available = blocks.min(machine).saturating_sub(self.used);
        let files = self.inodes.len() as u64;
        Ok(FilesystemInfo {
            magic: MAGIC,
            block_size: PAGE,
            blocks,
            blocks_free: blocks.saturating_sub(self.used),
            blocks_available: available,
            files: self.options.inodes,
            files_free: self.options.inodes.saturating_sub(files),
            name_max: 255,
            ..FilesystemInfo::default()
        })
    }

    fn set_attributes(&mut self, inode: u64, change: Change, to: &Attributes) -> Result<()> {
        if change.contains(Change::SIZE) {
            self.truncate(inode, to.size)?;
        }
        if change.intersects(!Change::SIZE) {
            self.apply(inode, change, to)?;
        }
        Ok(())
    }

    fn create(&mut self, directory: u64, name: &[u8], node: NewNode) -> Result<Attributes> {
        self.check_new(directory, name)?;
        let content = match Kind::of(node.mode) {
            Kind::Regular => Content::Regular(File::new()),
            Kind::Directory => Content::Directory(Directory::new(directory)),
            Kind::Symlink => return Err(EINVAL),
            _ => Content::Special,
        };
        let inode = self.add_inode(node, content)?;
        self.name(directory, name, inode)?;
        if self.is_directory(inode) {
            self.add_links(inode, 2);
            self.add_links(directory, 1);
        } else {
            self.add_links(inode, 1);
        }
        self.attributes(inode)
    }

    fn create_unnamed(&mut self, node: NewNode, seals: u32) -> Result<u64> {
        let file = File {
            seals: seals & seal::ALL,
            ..File::new()
        };
        let inode = self.add_inode(node, Content::Regular(file))?;
        self.inode_mut(inode)?.opens = 1;
        Ok(inode)
    }

    fn symlink(&mut self, directory: u64, name: &[u8], text: &[u8], node: NewNode) -> Result<()> {
        self.check_new(directory, name)?;
        let inode = self.add_inode(node, Content::Symlink(text.to_vec()))?;
        self.add_links(inode, 1);
        self.name(directory, name, inode)
    }

    fn link(&mut self, directory: u64, name: &[u8], inode: u64) -> Result<()> {
        self.check_new(directory, name)?;
        if self.is_directory(inode) {
            return Err(EPERM);
        }
        if self.inode(inode)?.attributes.links == 0 {
            return Err(ENOENT);
        }
        self.add_links(inode, 1);
        self.stamp_changed(inode);
        self.name(directory, name, inode)
    }

    fn unlink(&mut self, directory: u64, name: &[u8], what: Removal) -> Result<()> {
        let inode = self.child(directory, name)?;
        match (what, self.directory(inode)) {
            (Removal::File, Ok(_)) => return Err(EISDIR),
            (Removal::Directory, Err(_)) => return Err(ENOTDIR),
            (Removal::Directory, Ok(removed)) if !removed.is_empty() => return Err(ENOTEMPTY),
            _ => {}
        }
        self.directory_mut(directory)?.remove(name);
        self.stamp(directory, Inode::touch);
        self.drop_name(inode, directory);
        Ok(())
    }

    fn rename(&mut self, from: (u64, &[u8]), to: (u64, &[u8])) -> Result<()> {
        let inode = self.child(from.0, from.1)?;
        let target = self.directory(to.0)?.get(to.1);
        if target == Some(inode) {
            return Ok(());
        }
        if self.inode(to.0)?.attributes.links == 0 {
            return Err(ENOENT);
        }
        let moves_directory = self.is_directory(inode);
        if moves_directory && self.is_inside(to.0, inode)? {
            return Err(EINVAL);
        }
        if let Some(target) = target {
            self.check_replacement(inode, target)?;
        }
        self.directory_mut(from.0)?.remove(from.1);
        self.stamp(from.0, Inode::touch);
        self.name(to.0, to.1, inode)?;
        if moves_directory {
            self.directory_mut(inode)?.parent = to.0;
            self.add_links(from.0, -1);
            self.add_links(to.0, 1);
        }
        self.stamp_changed(inode);
        if let Some(target) = target {
            self.drop_name(target, to.0);
        }
        Ok(())
    }

    fn read(&mut self, inode: u64, at: u64, into: &mut [u8]) -> Result<usize> {
        self.read_data(inode, at, into)
    }

    fn write(&mut self, inode: u64, at: u64, from: &[u8]) -> Result<usize> {
        self.write_data(inode, at, from)
    }

    fn seek(&mut self, inode: u64, at: u64, what: Seek) -> Result<u64> {
        self.seek_data(inode, at, what)
    }

    fn allocate(&mut self, inode: u64, at: u64, length: u64, how: Allocation) -> Result<()> {
        self.allocate_data(inode, at, length, how)
    }

    fn object(&mut self, inode: u64, share: Share) -> Result<Exported> {
        self.export(inode, share)
    }

    fn seals(&mut self, inode: u64) -> Result<u32> {
        self.file_seals(inode)
    }

    fn add_seals(&mut self, inode: u64, seals: u32) -> Result<()> {
        self.seal(inode, seals)
    }

    /// What is in the file system is gone with it.
    fn unmount(&mut self, force: Force) -> Result<()> {
        if force == Force::Polite && self.inodes.values().any(|inode| inode.opens > 0) {
            return Err(EBUSY);
        }
        Ok(())
    }
}

impl<S: Store> Drop for Tmpfs<S> {
    fn drop(&mut self) {
        for (_, inode) in core::mem::take(&mut self.inodes) {
            if let Content::Regular(File {
                object: Some(object),
                ..
            }) = inode.content
            {
                self.store.delete(object);
            }
        }
    }
}

#[cfg(test)]
mod tests;
