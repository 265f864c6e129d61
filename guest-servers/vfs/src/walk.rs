//! A path becomes a node (POSIX XBD 4.16, pathname resolution).

use crate::cache::{Cache, Entry};
use crate::errno::{ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, Result};
use crate::filesystem::{Kind, Node};
use crate::mounts::Mounts;
use crate::permissions::{self, Credentials, EXECUTE};
use alloc::vec::Vec;
use ferrix_proto::attributes::Attributes;
use ferrix_proto::path::{NAME_MAX, PATH_MAX, SYMLINKS_MAX};

/// Every file system, as one tree.
#[derive(Default)]
pub struct Tree {
    /// Which file system is where.
    pub mounts: Mounts,
    /// Names already looked up.
    pub cache: Cache,
}

/// Where a walk starts, and who walks.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Directory of a relative path.
    pub base: Node,
    /// The walker's `/`, above which `..` does not lead.
    pub root: Node,
    /// Who needs search permission on every directory.
    pub who: Credentials,
}

/// What happens to a symbolic link in the last place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is what is asked for.
    NoFollow,
}

/// The end of a path.
#[derive(Clone, Debug)]
pub struct Found {
    /// Directory of the last component.
    pub parent: Node,
    /// The last component; `.` or `..` if the path ends so (or is `/`).
    pub name: Vec<u8>,
    /// What it names, if it is there.
    pub entry: Option<(Node, Kind)>,
    /// The path ends with a slash: only a directory will do.
    pub must_be_directory: bool,
}

impl Found {
    /// The node.
    ///
    /// # Errors
    /// `ENOENT` if there is none, `ENOTDIR` if it is no directory but the path ends with a slash.
    pub fn existing(&self) -> Result<(Node, Kind)> {
        let (node, kind) = self.entry.ok_or(ENOENT)?;
        if self.must_be_directory && kind != Kind::Directory {
            return Err(ENOTDIR);
        }
        Ok((node, kind))
    }

    /// Whether the last component is `.` or `..`.
    pub fn is_dot(&self) -> bool {
        self.name == b"." || self.name == b".."
    }
}

impl Tree {
    /// Walks a path.
    ///
    /// # Errors
    /// `ENOENT` (also for the empty path), `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, what the file systems say.
    pub fn walk(&mut self, start: &Start, path: &[u8], last: Last) -> Result<Found> {
        if path.is_empty() {
            return Err(ENOENT);
        }
        let mut walker = Walker {
            tree: self,
            start,
            at: start.base,
            rest: Vec::new(),
            links: 0,
        };
        walker.push(path)?;
        walker.run(last)
    }

    /// Attributes of a directory, from the cache if it has them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn directory_attributes(&mut self, node: Node) -> Result<Attributes> {
        if let Some(known) = self.cache.directory(node) {
            return Ok(*known);
        }
        let filesystem = &mut self.mounts.get(node.mount)?.filesystem;
        let attributes = filesystem.attributes(node.inode)?;
        if !filesystem.is_volatile() {
            self.cache.learn_directory(node, &attributes);
        }
        Ok(attributes)
    }

    /// Looks one name up, in the cache first.
    ///
    /// # Errors
    /// `ENOENT`, what the file system says.
    pub fn lookup(&mut self, directory: Node, name: &[u8]) -> Result<Entry> {
        if let Some(known) = self.cache.name(directory, name) {
            return known;
        }
        let filesystem = &mut self.mounts.get(directory.mount)?.filesystem;
        let found = filesystem.lookup(directory.inode, name);
        if !filesystem.is_volatile() {
            self.cache.learn(directory, name, &found);
        }
        found.map(|attributes| Entry {
            inode: attributes.inode,
            kind: Kind::of(attributes.mode),
        })
    }

    /// The directory above, across mounts; a root of everything is its own parent.
    ///
    /// # Errors
    /// What the file system says.
    pub fn parent(&mut self, node: Node) -> Result<Node> {
        let inner = self.mounts.leave(node);
        let entry = self.lookup(inner, b"..")?;
        Ok(Node {
            mount: inner.mount,
            inode: entry.inode,
        })
    }
}

/// The state of one walk.
struct Walker<'a> {
    tree: &'a mut Tree,
    start: &'a Start,
    at: Node,
    /// What is still to be walked.
    rest: Vec<u8>,
    links: usize,
}

enum Step {
    /// The walk went on into a directory (or a link's text).
    Onward,
    /// The last component was reached.
    Done(Found),
}

impl Walker<'_> {
    /// Puts text in front of the rest; an absolute one starts at the root.
    fn push(&mut self, text: &[u8]) -> Result<()> {
        if text.len() + self.rest.len() > PATH_MAX {
            return Err(ENAMETOOLONG);
        }
        if text.first() == Some(&b'/') {
            self.at = self.start.root;
        }
        self.rest.splice(..0, text.iter().copied());
        Ok(())
    }

    fn run(&mut self, last: Last) -> Result<Found> {
        loop {
            let Some(name) = self.next_component() else {
                // Only slashes (or nothing) were left: the directory itself.
                let entry = Some((self.at, Kind::Directory));
                return Ok(Found {
                    parent: self.at,
                    name: b".".to_vec(),
                    entry,
                    must_be_directory: true,
                });
            };
            if let Step::Done(found) = self.step(name, last)? {
                return Ok(found);
            }
        }
    }

    /// Takes the next component off; the slashes before it go, those after it stay.
    fn next_component(&mut self) -> Option<Vec<u8>> {
        let begin = self.rest.iter().position(|&byte| byte != b'/')?;
        let length = self.rest[begin..].iter().position(|&byte| byte == b'/');
        let end = length.map_or(self.rest.len(), |length| begin + length);
        let name = self.rest[begin..end].to_vec();
        self.rest.drain(..end);
        Some(name)
    }

    fn step(&mut self, name: Vec<u8>, last: Last) -> Result<Step> {
        if name.len() > NAME_MAX {
            return Err(ENAMETOOLONG);
        }
        let attributes = self.tree.directory_attributes(self.at)?;
        if Kind::of(attributes.mode) != Kind::Directory {
            return Err(ENOTDIR);
        }
        permissions::check(self.start.who, &attributes, EXECUTE)?;
        let is_last = self.rest.iter().all(|&byte| byte == b'/');
        let must_be_directory = is_last && !self.rest.is_empty();
        let parent = self.at;
        let entry = match self.child(&name) {
            Err(ENOENT) if is_last => None,
            other => Some(other?),
        };
        match entry {
            Some((node, Kind::Symlink))
                if !is_last || must_be_directory || last == Last::Follow =>
            {
                self.follow(node)?;
                Ok(Step::Onward)
            }
            entry if is_last => Ok(Step::Done(Found {
                parent,
                name,
                entry,
                must_be_directory,
            })),
            Some((node, Kind::Directory)) => {
                self.at = node;
                Ok(Step::Onward)
            }
            _ => Err(ENOTDIR),
        }
    }

    fn child(&mut self, name: &[u8]) -> Result<(Node, Kind)> {
        match name {
            b"." => Ok((self.at, Kind::Directory)),
            b".." if self.at == self.start.root => Ok((self.at, Kind::Directory)),
            b".." => Ok((self.tree.parent(self.at)?, Kind::Directory)),
            _ => {
                let entry = self.tree.lookup(self.at, name)?;
                let node = Node {
                    mount: self.at.mount,
                    inode: entry.inode,
                };
                Ok((self.tree.mounts.enter(node), entry.kind))
            }
        }
    }

    fn follow(&mut self, link: Node) -> Result<()> {
        self.links += 1;
        if self.links > SYMLINKS_MAX {
            return Err(ELOOP);
        }
        let text = self
            .tree
            .mounts
            .get(link.mount)?
            .filesystem
            .read_link(link.inode)?;
        if text.is_empty() {
            return Err(ENOENT);
        }
        self.push(&text)
    }
}

#[cfg(test)]
mod tests;
