//! Inodes: attributes, and what the kind of file keeps.

use super::directory::Directory;
use super::pages::Pages;
use super::store::PAGE;
use alloc::vec::Vec;
use ferrix_proto::attributes::Attributes;
use ferrix_proto::file::seal;
use ferrix_proto::filesystem::NewNode;

/// What Linux's tmpfs counts for a name in a directory's size.
const NAME_BYTES: u64 = 20;

/// A file of any kind.
#[derive(Debug)]
pub struct Inode<O> {
    /// All but `size` and `blocks` of directories and links, which follow from the content.
    pub attributes: Attributes,
    /// Open descriptions; the inode lives while there are any, even without a name.
    pub opens: u32,
    /// By kind.
    pub content: Content<O>,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content<O> {
    /// Bytes.
    Regular(File<O>),
    /// Names.
    Directory(Directory),
    /// A path.
    Symlink(Vec<u8>),
    /// Nothing: FIFOs, devices, sockets.
    Special,
}

/// The bytes of a regular file.
#[derive(Debug)]
pub struct File<O> {
    /// Where they are; none while nothing was written.
    pub object: Option<O>,
    /// Pages of the object.
    pub capacity: u64,
    /// Pages known to hold something.
    pub present: Pages,
    /// Pages counted against the file system's limit.
    pub charged: u64,
    /// Whether others could map it.
    pub sharing: Sharing,
    /// [`seal`] bits.
    pub seals: u32,
}

/// How far a file's object has gone out of this file system's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// Never mapped: the pages present are the pages written.
    Own,
    /// Handed out for reading; a page that is looked at appears.
    Read,
    /// Handed out for writing.
    Write,
}

impl<O> File<O> {
    /// Without bytes.
    pub fn new() -> File<O> {
        File {
            object: None,
            capacity: 0,
            present: Pages::default(),
            charged: 0,
            sharing: Sharing::Own,
            seals: seal::SEAL,
        }
    }
}

impl<O> Default for File<O> {
    fn default() -> File<O> {
        File::new()
    }
}

impl<O> Inode<O> {
    /// Attributes of a new node, without names.
    pub fn attributes(inode: u64, node: NewNode, now: i64) -> Attributes {
        Attributes {
            inode,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            rdev: u64::from(node.rdev),
            block_size: PAGE as u32,
            accessed: now,
            modified: now,
            changed: now,
            ..Attributes::default()
        }
    }

    /// What `stat` tells.
    pub fn stat(&self) -> Attributes {
        let (size, pages) = match &self.content {
            Content::Regular(file) => (self.attributes.size, file.charged),
            Content::Directory(directory) => ((directory.len() as u64 + 2) * NAME_BYTES, 0),
            Content::Symlink(text) => (text.len() as u64, 0),
            Content::Special => (0, 0),
        };
        Attributes {
            size,
            blocks: pages * (PAGE / 512),
            ..self.attributes
        }
    }

    /// The data or names changed.
    pub fn touch(&mut self, now: i64) {
        self.attributes.modified = now;
        self.attributes.changed = now;
    }

    /// The data was read: the time moves if it would otherwise lie before the last change, or is a
    /// day old (Linux's `relatime`).
    pub fn touch_read(&mut self, now: i64) {
        const DAY: i64 = 86_400_000_000_000;
        let Attributes {
            accessed,
            modified,
            changed,
            ..
        } = self.attributes;
        if accessed <= modified || accessed <= changed || now - accessed >= DAY {
            self.attributes.accessed = now;
        }
    }
}
