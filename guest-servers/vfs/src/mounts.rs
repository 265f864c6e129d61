//! The mount table: which file system is where.

use crate::errno::{EBUSY, EINVAL, Result};
use crate::filesystem::{Filesystem, Node};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// One mounted file system.
pub struct Mount {
    /// What answers.
    pub filesystem: Box<dyn Filesystem>,
    /// The directory that it covers; `None` for the root of everything.
    pub covers: Option<Node>,
    /// What was mounted, for `/proc/mounts`.
    pub source: String,
    /// Where, as an absolute path.
    pub target: String,
    /// Changes are refused.
    pub read_only: bool,
}

/// All mounts. A slot is used again after an unmount.
#[derive(Default)]
pub struct Mounts {
    slots: Vec<Option<Mount>>,
}

impl Mounts {
    /// Adds a mount; its index.
    ///
    /// # Errors
    /// `EBUSY` if the directory is covered already.
    pub fn add(&mut self, mount: Mount) -> Result<usize> {
        if mount
            .covers
            .is_some_and(|node| self.covering(node).is_some())
        {
            return Err(EBUSY);
        }
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(mount);
        Ok(index)
    }

    /// Takes a mount away, if nothing is mounted on it.
    ///
    /// # Errors
    /// `EINVAL` if there is none, `EBUSY` if another mount covers one of its directories.
    pub fn remove(&mut self, index: usize) -> Result<Mount> {
        let carries = |mount: &Mount| mount.covers.is_some_and(|node| node.mount == index);
        if self.iter().any(|(_, mount)| carries(mount)) {
            return Err(EBUSY);
        }
        self.slots
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(EINVAL)
    }

    /// The mount that covers a directory.
    pub fn covering(&self, node: Node) -> Option<usize> {
        self.iter()
            .find(|(_, mount)| mount.covers == Some(node))
            .map(|(index, _)| index)
    }

    /// A mount.
    ///
    /// # Errors
    /// `EINVAL` if it is gone.
    pub fn get(&mut self, index: usize) -> Result<&mut Mount> {
        self.slots
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(EINVAL)
    }

    /// All mounts with their indexes, oldest slot first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Mount)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    /// Indexes of all mounts, innermost last mounted first, so that they can be unmounted in order.
    pub fn innermost_first(&self) -> Vec<usize> {
        let mut indexes: Vec<usize> = self.iter().map(|(index, _)| index).collect();
        indexes.sort_by_key(|&index| core::cmp::Reverse(self.depth(index)));
        indexes
    }

    fn depth(&self, mut index: usize) -> usize {
        let mut depth = 0;
        while let Some(Some(Mount {
            covers: Some(node), ..
        })) = self.slots.get(index)
        {
            depth += 1;
            index = node.mount;
        }
        depth
    }

    /// Steps from a directory onto what is mounted there, if anything.
    pub fn enter(&self, mut node: Node) -> Node {
        while let Some(index) = self.covering(node) {
            let Some(mount) = &self.slots[index] else {
                break;
            };
            node = Node {
                mount: index,
                inode: mount.filesystem.root(),
            };
        }
        node
    }

    /// Steps from the root of a mount down to the directory that it covers, if it is one.
    pub fn leave(&self, mut node: Node) -> Node {
        while let Some(Some(mount)) = self.slots.get(node.mount) {
            match mount.covers {
                Some(covered) if mount.filesystem.root() == node.inode => node = covered,
                _ => break,
            }
        }
        node
    }
}
