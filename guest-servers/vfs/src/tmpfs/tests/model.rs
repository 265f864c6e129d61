//! Random operations against a model that knows files by their paths alone.

use super::super::*;
use super::memory::Memory;
use crate::errno::{EEXIST, ENOSPC};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const LIMIT: u64 = 12;

#[derive(Clone, Debug)]
enum Operation {
    Create(String),
    MakeDirectory(String),
    Symlink(String),
    Link(String, String),
    Unlink(String),
    RemoveDirectory(String),
    Rename(String, String),
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Map(String),
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "b/a/b"])
        .prop_map(str::to_string)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        3 => path().prop_map(Create),
        3 => path().prop_map(MakeDirectory),
        1 => path().prop_map(Symlink),
        1 => (path(), path()).prop_map(|(from, to)| Link(from, to)),
        2 => path().prop_map(Unlink),
        2 => path().prop_map(RemoveDirectory),
        3 => (path(), path()).prop_map(|(from, to)| Rename(from, to)),
        5 => (path(), 0u64..40_000, prop::collection::vec(1u8.., 0..9_000))
            .prop_map(|(path, at, bytes)| Write(path, at, bytes)),
        2 => (path(), 0u64..60_000).prop_map(|(path, size)| Truncate(path, size)),
        1 => path().prop_map(Map),
    ]
}

/// A file's bytes, and the pages that take room.
#[derive(Clone, Debug, Default)]
struct Bytes {
    bytes: Vec<u8>,
    pages: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
enum Entry {
    Directory,
    Link,
    File(usize),
}

#[derive(Default)]
struct Model {
    paths: BTreeMap<String, Entry>,
    files: Vec<Bytes>,
}

impl Model {
    /// The directory above must be one.
    fn parent(&self, path: &str) -> Result<()> {
        let Some((parent, _)) = path.rsplit_once('/') else {
            return Ok(());
        };
        match self.paths.get(parent) {
            None => self.parent(parent).and(Err(ENOENT)),
            Some(Entry::Directory) => Ok(()),
            Some(_) => Err(ENOTDIR),
        }
    }

    fn get(&self, path: &str) -> Result<&Entry> {
        self.parent(path)?;
        self.paths.get(path).ok_or(ENOENT)
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<()> {
        self.parent(path)?;
        if self.paths.contains_key(path) {
            return Err(EEXIST);
        }
        self.paths.insert(path.to_string(), entry);
        Ok(())
    }

    fn has_names(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.paths.keys().any(|other| other.starts_with(&below))
    }

    fn file(&mut self, path: &str) -> Result<&mut Bytes> {
        match self.get(path)?.clone() {
            Entry::File(index) => Ok(&mut self.files[index]),
            Entry::Directory => Err(EISDIR),
            Entry::Link => Err(EINVAL),
        }
    }

    fn used(&self) -> u64 {
        let named: BTreeSet<usize> = self
            .paths
            .values()
            .filter_map(|entry| match entry {
                Entry::File(index) => Some(*index),
                _ => None,
            })
            .collect();
        named
            .iter()
            .map(|&index| self.files[index].pages.len() as u64)
            .sum()
    }

    fn links(&self, index: usize) -> usize {
        let same = |entry: &&Entry| matches!(entry, Entry::File(other) if *other == index);
        self.paths.values().filter(same).count()
    }

    fn write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<usize> {
        let used = self.used();
        let file = self.file(path)?;
        let mut room = LIMIT.saturating_sub(used);
        let mut taken = 0;
        for (place, byte) in (at..).zip(bytes) {
            if !file.pages.contains(&(place / PAGE)) {
                if room == 0 {
                    break;
                }
                room -= 1;
                file.pages.insert(place / PAGE);
            }
            let place = place as usize;
            file.bytes.resize(file.bytes.len().max(place + 1), 0);
            file.bytes[place] = *byte;
            taken += 1;
        }
        if taken == 0 && !bytes.is_empty() {
            Err(ENOSPC)
        } else {
            Ok(taken)
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let entry = self.get(from)?.clone();
        self.parent(to)?;
        let target = self.paths.get(to).cloned();
        let same_file = match (&entry, &target) {
            (Entry::File(a), Some(Entry::File(b))) => a == b,
            _ => from == to,
        };
        if same_file {
            return Ok(());
        }
        let is_directory = matches!(entry, Entry::Directory);
        if is_directory && to.starts_with(&format!("{from}/")) {
            return Err(EINVAL);
        }
        match target {
            Some(Entry::Directory) if !is_directory => return Err(EISDIR),
            Some(Entry::Directory) if self.has_names(to) => return Err(ENOTEMPTY),
            Some(Entry::File(_) | Entry::Link) if is_directory => return Err(ENOTDIR),
            _ => {}
        }
        let moved: Vec<String> = self
            .paths
            .keys()
            .filter(|path| *path == from || path.starts_with(&format!("{from}/")))
            .cloned()
            .collect();
        for path in moved {
            let entry = self.paths.remove(&path).unwrap();
            self.paths
                .insert(format!("{to}{}", &path[from.len()..]), entry);
        }
        Ok(())
    }

    fn apply(&mut self, operation: &Operation) -> Result<usize> {
        match operation {
            Operation::Create(path) => {
                self.add(path, Entry::File(self.files.len()))?;
                self.files.push(Bytes::default());
            }
            Operation::MakeDirectory(path) => self.add(path, Entry::Directory)?,
            Operation::Symlink(path) => self.add(path, Entry::Link)?,
            Operation::Link(from, to) => {
                let entry = self.get(from)?.clone();
                match (self.parent(to), self.paths.get(to), &entry) {
                    (Err(errno), ..) => return Err(errno),
                    (_, Some(_), _) => return Err(EEXIST),
                    (_, _, Entry::Directory) => return Err(EPERM),
                    // The model gives each link a life of its own.
                    _ => self.paths.insert(to.clone(), entry),
                };
            }
            Operation::Unlink(path) => {
                if matches!(self.get(path)?, Entry::Directory) {
                    return Err(EISDIR);
                }
                self.paths.remove(path);
            }
            Operation::RemoveDirectory(path) => match self.get(path)? {
                Entry::Directory if self.has_names(path) => return Err(ENOTEMPTY),
                Entry::Directory => drop(self.paths.remove(path)),
                _ => return Err(ENOTDIR),
            },
            Operation::Rename(from, to) => self.rename(from, to)?,
            Operation::Write(path, at, bytes) => return self.write(path, *at, bytes),
            Operation::Truncate(path, size) => {
                let file = self.file(path)?;
                file.bytes.resize(*size as usize, 0);
                file.pages.retain(|page| *page < size.div_ceil(PAGE));
            }
            Operation::Map(path) => drop(self.file(path)?),
        }
        Ok(0)
    }
}

type Real = Tmpfs<Memory>;

fn walk(tmpfs: &mut Real, path: &str) -> Result<u64> {
    path.split('/').try_fold(ROOT, |at, name| {
        tmpfs.lookup(at, name.as_bytes()).map(|found| found.inode)
    })
}

fn split<'a>(tmpfs: &mut Real, path: &'a str) -> Result<(u64, &'a [u8])> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = if parent.is_empty() {
        ROOT
    } else {
        walk(tmpfs, parent)?
    };
    tmpfs.directory(parent)?;
    Ok((parent, name.as_bytes()))
}

fn apply(tmpfs: &mut Real, operation: &Operation) -> Result<usize> {
    let node = |kind| NewNode {
        mode: kind | 0o755,
        ..NewNode::default()
    };
    let make = |tmpfs: &mut Real, path: &str, kind| {
        let (parent, name) = split(tmpfs, path)?;
        tmpfs.create(parent, name, node(kind)).map(|_| 0)
    };
    match operation {
        Operation::Create(path) => make(tmpfs, path, linux::S_IFREG),
        Operation::MakeDirectory(path) => make(tmpfs, path, linux::S_IFDIR),
        Operation::Symlink(path) => {
            let (parent, name) = split(tmpfs, path)?;
            tmpfs
                .symlink(parent, name, b"text", node(linux::S_IFLNK))
                .map(|()| 0)
        }
        Operation::Link(from, to) => {
            let inode = walk(tmpfs, from)?;
            let (parent, name) = split(tmpfs, to)?;
            tmpfs.link(parent, name, inode).map(|()| 0)
        }
        Operation::Unlink(path) | Operation::RemoveDirectory(path) => {
            let what = match operation {
                Operation::Unlink(_) => Removal::File,
                _ => Removal::Directory,
            };
            let (parent, name) = split(tmpfs, path)?;
            tmpfs.unlink(parent, name, what).map(|()| 0)
        }
        Operation::Rename(from, to) => {
            walk(tmpfs, from)?;
            let (from, to) = (split(tmpfs, from)?, split(tmpfs, to)?);
            tmpfs.rename(from, to).map(|()| 0)
        }
        Operation::Write(path, at, bytes) => {
            let inode = walk(tmpfs, path)?;
            tmpfs.parts_of_regular(inode)?;
            tmpfs.write(inode, *at, bytes)
        }
        Operation::Truncate(path, size) => {
            let inode = walk(tmpfs, path)?;
            super::size(tmpfs, inode, *size).map(|()| 0)
        }
        Operation::Map(path) => {
            let inode = walk(tmpfs, path)?;
            tmpfs.object(inode, Share::Write).map(|_| 0)
        }
    }
}

impl Real {
    fn parts_of_regular(&self, inode: u64) -> Result<()> {
        match &self.inode(inode)?.content {
            Content::Regular(_) => Ok(()),
            Content::Directory(_) => Err(EISDIR),
            _ => Err(EINVAL),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn agrees_with_the_model(operations in prop::collection::vec(operation(), 1..60)) {
        let memory = Memory::new();
        let options = Options { pages: LIMIT, inodes: 1000, ..Options::of_machine(0) };
        let mut tmpfs = Tmpfs::new(memory.clone(), options);
        let mut model = Model::default();
        for operation in &operations {
            let before = model.paths.len();
            let (real, expected) = (apply(&mut tmpfs, operation), model.apply(operation));
            prop_assert_eq!(real, expected, "{:?} with {} names", operation, before);
        }
        prop_assert_eq!(super::used(&mut tmpfs), model.used());
        let mut inodes = BTreeSet::new();
        for (path, entry) in &model.paths {
            let inode = walk(&mut tmpfs, path).unwrap();
            inodes.insert(inode);
            if let Entry::File(index) = entry {
                prop_assert_eq!(super::content(&mut tmpfs, inode), model.files[*index].bytes.clone());
                let links = tmpfs.attributes(inode).unwrap().links;
                prop_assert_eq!(links as usize, model.links(*index));
            }
        }
        prop_assert_eq!(tmpfs.inodes.len(), inodes.len() + 1);
        drop(tmpfs);
        prop_assert_eq!(memory.live(), 0);
    }
}
