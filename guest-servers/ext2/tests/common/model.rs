//! A file system in a few maps: what POSIX says should happen, to compare with.

use std::collections::BTreeMap;

use ferrix_ext2::{DeviceNumber, Error, FileType, Ino, Result};

#[derive(Debug, Clone)]
pub enum Content {
    File(Vec<u8>),
    Dir {
        entries: BTreeMap<Vec<u8>, Ino>,
        parent: Ino,
    },
    Symlink(Vec<u8>),
    Device(FileType, DeviceNumber),
}

#[derive(Debug, Clone)]
pub struct MNode {
    pub content: Content,
    pub nlink: u16,
    pub permissions: u16,
    pub uid: u32,
    pub gid: u32,
    pub opens: u32,
}

/// Nodes under the numbers that the real file system gave them.
pub struct Model {
    pub nodes: BTreeMap<Ino, MNode>,
}

impl Model {
    /// The tree of a new image: the root and `lost+found`.
    pub fn new(root: (u16, u32, u32), lost_found: Option<Ino>) -> Self {
        let mut nodes = BTreeMap::new();
        let (permissions, uid, gid) = root;
        let empty = |parent| Content::Dir {
            entries: BTreeMap::new(),
            parent,
        };
        let node = |content| MNode {
            content,
            nlink: 2,
            permissions,
            uid,
            gid,
            opens: 0,
        };
        nodes.insert(Ino::ROOT, node(empty(Ino::ROOT)));
        let mut model = Model { nodes };
        if let Some(ino) = lost_found {
            let mut directory = node(empty(Ino::ROOT));
            directory.permissions = 0o700;
            model.nodes.insert(ino, directory);
            model
                .entries(Ino::ROOT)
                .unwrap()
                .insert(b"lost+found".to_vec(), ino);
            model.node(Ino::ROOT).nlink += 1;
        }
        model
    }

    pub fn node(&mut self, ino: Ino) -> &mut MNode {
        self.nodes.get_mut(&ino).expect("node in the model")
    }

    pub fn entries(&mut self, dir: Ino) -> Result<&mut BTreeMap<Vec<u8>, Ino>> {
        match &mut self.nodes.get_mut(&dir).ok_or(Error::Stale)?.content {
            Content::Dir { entries, .. } => Ok(entries),
            _ => Err(Error::NotDirectory),
        }
    }

    pub fn is_dir(&self, ino: Ino) -> bool {
        matches!(self.nodes[&ino].content, Content::Dir { .. })
    }

    pub fn file(&mut self, ino: Ino) -> Result<&mut Vec<u8>> {
        match &mut self.nodes.get_mut(&ino).ok_or(Error::Stale)?.content {
            Content::File(bytes) => Ok(bytes),
            Content::Dir { .. } => Err(Error::IsDirectory),
            _ => Err(Error::Invalid),
        }
    }

    pub fn lookup(&mut self, dir: Ino, name: &[u8]) -> Result<Ino> {
        self.entries(dir)?.get(name).copied().ok_or(Error::NotFound)
    }

    /// Whether a new name may be made here.
    pub fn may_make(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        let dead = self.nodes.get(&dir).is_some_and(|node| node.nlink == 0);
        let entries = self.entries(dir)?;
        if name.len() > 255 {
            return Err(Error::NameTooLong);
        }
        if dead {
            return Err(Error::NotFound);
        }
        if entries.contains_key(name) {
            Err(Error::Exists)
        } else {
            Ok(())
        }
    }

    /// Enters a new node; the group comes from a set-group-id parent.
    pub fn make(&mut self, dir: Ino, name: &[u8], ino: Ino, mut node: MNode) {
        let parent = self.node(dir);
        let directory = matches!(node.content, Content::Dir { .. });
        if parent.permissions & 0o2000 != 0 {
            node.gid = parent.gid;
            node.permissions |= if directory { 0o2000 } else { 0 };
        }
        if directory {
            node.nlink = 2;
            parent.nlink += 1;
        }
        self.entries(dir).unwrap().insert(name.to_vec(), ino);
        assert!(
            self.nodes.insert(ino, node).is_none(),
            "inode {ino:?} given out twice"
        );
    }

    pub fn link(&mut self, ino: Ino, dir: Ino, name: &[u8]) -> Result<()> {
        if self.is_dir(ino) {
            return Err(Error::IsDirectory);
        }
        if self.nodes[&ino].nlink == 0 {
            return Err(Error::NotFound);
        }
        self.may_make(dir, name)?;
        self.entries(dir)?.insert(name.to_vec(), ino);
        self.node(ino).nlink += 1;
        Ok(())
    }

    pub fn unlink(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        let ino = self.lookup(dir, name)?;
        if self.is_dir(ino) {
            return Err(Error::IsDirectory);
        }
        self.entries(dir)?.remove(name);
        self.drop_links(ino, 1);
        Ok(())
    }

    pub fn rmdir(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        let ino = self.lookup(dir, name)?;
        if !self.entries(ino)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.entries(dir)?.remove(name);
        self.node(dir).nlink -= 1;
        self.drop_links(ino, 2);
        Ok(())
    }

    pub fn rename(&mut self, from: (Ino, &[u8]), to: (Ino, &[u8])) -> Result<()> {
        let ino = self.lookup(from.0, from.1)?;
        self.entries(to.0)?;
        if self.nodes[&to.0].nlink == 0 {
            return Err(Error::NotFound);
        }
        let victim = self.lookup(to.0, to.1).ok();
        if victim == Some(ino) {
            return Ok(());
        }
        let directory = self.is_dir(ino);
        if directory && self.is_below(to.0, ino) {
            return Err(Error::Invalid);
        }
        if let Some(victim) = victim {
            match (directory, self.is_dir(victim)) {
                (true, false) => return Err(Error::NotDirectory),
                (false, true) => return Err(Error::IsDirectory),
                (true, true) if !self.entries(victim)?.is_empty() => return Err(Error::NotEmpty),
                _ => {}
            }
        }
        self.entries(from.0)?.remove(from.1);
        self.entries(to.0)?.insert(to.1.to_vec(), ino);
        if directory {
            self.node(from.0).nlink -= 1;
            self.node(to.0).nlink += u16::from(victim.is_none());
            if let Content::Dir { parent, .. } = &mut self.node(ino).content {
                *parent = to.0;
            }
        }
        if let Some(victim) = victim {
            self.drop_links(victim, if directory { 2 } else { 1 });
        }
        Ok(())
    }

    pub fn close(&mut self, ino: Ino) {
        self.node(ino).opens -= 1;
        self.forget_if_dead(ino);
    }

    /// All opens end (unmount).
    pub fn close_all(&mut self) {
        self.nodes.values_mut().for_each(|node| node.opens = 0);
        self.nodes.retain(|_, node| node.nlink > 0);
    }

    fn is_below(&self, mut dir: Ino, ancestor: Ino) -> bool {
        loop {
            if dir == ancestor {
                return true;
            }
            match &self.nodes[&dir].content {
                Content::Dir { parent, .. } if *parent != dir => dir = *parent,
                _ => return false,
            }
        }
    }

    fn drop_links(&mut self, ino: Ino, links: u16) {
        self.node(ino).nlink -= links;
        self.forget_if_dead(ino);
    }

    fn forget_if_dead(&mut self, ino: Ino) {
        let node = &self.nodes[&ino];
        if node.nlink == 0 && node.opens == 0 {
            self.nodes.remove(&ino);
        }
    }
}
