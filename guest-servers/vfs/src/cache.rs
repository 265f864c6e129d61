//! Names already looked up, so that walking a path asks a file system only for what is new.
//!
//! Every change of names passes through the VFS, so entries (also "there is no such name") stay true
//! until the VFS itself changes them. What is kept of a file is what cannot change behind the VFS:
//! its inode and type; of a directory, whose attributes only change through the VFS, all.

use crate::errno::{ENOENT, Result};
use crate::filesystem::{Kind, Node};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ferrix_proto::attributes::Attributes;

/// Most entries; at the limit the cache starts over.
const LIMIT: usize = 8192;

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Inode number on the same mount.
    pub inode: u64,
    /// Type.
    pub kind: Kind,
}

/// The cache.
#[derive(Default)]
pub struct Cache {
    names: BTreeMap<(Node, Vec<u8>), Option<Entry>>,
    directories: BTreeMap<Node, Attributes>,
}

impl Cache {
    /// What is known of a name: `None` nothing, `Some(Err(ENOENT))` that it is not there.
    pub fn name(&self, directory: Node, name: &[u8]) -> Option<Result<Entry>> {
        let known = self.names.get(&(directory, name.to_vec()))?;
        Some(known.ok_or(ENOENT))
    }

    /// Attributes of a directory, if known.
    pub fn directory(&self, node: Node) -> Option<&Attributes> {
        self.directories.get(&node)
    }

    /// Notes what a look-up found.
    pub fn learn(&mut self, directory: Node, name: &[u8], found: &Result<Attributes>) {
        let entry = match found {
            Ok(attributes) => {
                let inode = attributes.inode;
                self.learn_directory(
                    Node {
                        mount: directory.mount,
                        inode,
                    },
                    attributes,
                );
                Some(Entry {
                    inode,
                    kind: Kind::of(attributes.mode),
                })
            }
            Err(ENOENT) => None,
            Err(_) => return,
        };
        if self.names.len() >= LIMIT {
            self.clear();
        }
        self.names.insert((directory, name.to_vec()), entry);
    }

    /// Notes attributes, if they are a directory's.
    pub fn learn_directory(&mut self, node: Node, attributes: &Attributes) {
        if Kind::of(attributes.mode) == Kind::Directory {
            self.directories.insert(node, *attributes);
        }
    }

    /// Forgets a name.
    pub fn forget_name(&mut self, directory: Node, name: &[u8]) {
        self.names.remove(&(directory, name.to_vec()));
        self.directories.remove(&directory);
    }

    /// Forgets a directory's attributes and every name in it (it was removed or moved).
    pub fn forget_directory(&mut self, node: Node) {
        self.directories.remove(&node);
        self.names.retain(|(directory, _), _| *directory != node);
    }

    /// Forgets the attributes of a directory that changed.
    pub fn forget_attributes(&mut self, node: Node) {
        self.directories.remove(&node);
    }

    /// Forgets everything (an unmount, a file server's restart).
    pub fn clear(&mut self) {
        self.names.clear();
        self.directories.clear();
    }
}
