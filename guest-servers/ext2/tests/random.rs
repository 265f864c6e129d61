//! Random operations against the model, on every block size and feature set; after each
//! session `e2fsck` must find nothing and `debugfs` must see the same tree.

mod common;

use common::model::{Content, MNode, Model};
use common::rng::{Rng, seed};
use common::{Disk, NOW, assert_clean_but_mounted, content, debugfs, list, mke2fs, mount, unmount};
use ferrix_ext2::{
    DeviceNumber, Error, Ext2, FileType, Ino, NewNode, Place, Result, SetAttr, Timestamp,
};

const STEPS: u64 = 5000;

struct Session {
    fs: Ext2<Disk>,
    model: Model,
    rng: Rng,
    names: Vec<Vec<u8>>,
    step: u64,
}

impl Session {
    fn new(bytes: Vec<u8>, seed: u64) -> Self {
        let mut fs = mount(bytes);
        let root = fs.getattr(Ino::ROOT).unwrap();
        let lost_found = fs.lookup(Ino::ROOT, b"lost+found").ok();
        let model = Model::new((root.mode & 0o7777, root.uid, root.gid), lost_found);
        let mut names: Vec<Vec<u8>> = (0..40).map(|i| format!("f{i}").into_bytes()).collect();
        names.extend((0..12u8).map(|i| vec![b'a' + i; 20 + usize::from(i) * 21]));
        names.push(vec![b'x'; 256]);
        Session {
            fs,
            model,
            rng: Rng::new(seed),
            names,
            step: 0,
        }
    }

    fn any(&mut self) -> Ino {
        let all: Vec<Ino> = self.model.nodes.keys().copied().collect();
        *self.rng.pick(&all)
    }

    /// Mostly a directory.
    fn dir(&mut self) -> Ino {
        if self.rng.one_in(30) {
            return self.any();
        }
        let model = &self.model;
        let dirs: Vec<Ino> = model
            .nodes
            .keys()
            .copied()
            .filter(|&i| model.is_dir(i))
            .collect();
        *self.rng.pick(&dirs)
    }

    fn file(&mut self) -> Ino {
        let nodes = self.model.nodes.iter();
        let files: Vec<Ino> = nodes
            .filter(|(_, node)| matches!(node.content, Content::File(_)))
            .map(|(&ino, _)| ino)
            .collect();
        if files.is_empty() || self.rng.one_in(50) {
            self.any()
        } else {
            *self.rng.pick(&files)
        }
    }

    fn name(&mut self) -> Vec<u8> {
        self.rng.pick(&self.names).clone()
    }

    /// Mostly a name that exists in `dir`.
    fn old_name(&mut self, dir: Ino) -> Vec<u8> {
        let names: Vec<Vec<u8>> = match self.model.entries(dir) {
            Ok(entries) => entries.keys().cloned().collect(),
            Err(_) => Vec::new(),
        };
        if names.is_empty() || self.rng.one_in(8) {
            let index = self.rng.below(self.names.len() as u64 - 1) as usize;
            return self.names[index].clone();
        }
        self.rng.pick(&names).clone()
    }

    fn step(&mut self) {
        self.step += 1;
        match self.rng.below(100) {
            0..=13 => self.make(),
            14..=18 => self.link(),
            19..=27 => self.remove(),
            28..=35 => self.rename(),
            36..=60 => self.write(),
            61..=72 => self.truncate(),
            73..=86 => self.read(),
            87..=89 => self.setattr(),
            90..=96 => self.open_or_close(),
            97 => self.fs.sync().unwrap(),
            98 => {
                let ino = self.any();
                self.fs.fsync(ino).unwrap();
            }
            _ => self.stat_all(),
        }
    }

    fn make(&mut self) {
        let (dir, name) = (self.dir(), self.name());
        let new = NewNode {
            permissions: self.rng.below(0o10000) as u16,
            uid: self.rng.below(1 << 32) as u32,
            gid: self.rng.below(70_000) as u32,
            now: NOW,
        };
        let device = DeviceNumber {
            major: 1 + self.rng.below(300) as u32,
            minor: 7,
        };
        let target = vec![b't'; 1 + self.rng.below(200) as usize];
        let (made, content) = match self.rng.below(10) {
            0..=4 => (self.fs.create(dir, &name, &new), Content::File(Vec::new())),
            5..=7 => (
                self.fs.mkdir(dir, &name, &new),
                Content::Dir {
                    entries: Default::default(),
                    parent: dir,
                },
            ),
            8 => (
                self.fs.symlink(dir, &name, &target, &new),
                Content::Symlink(target),
            ),
            _ => (
                self.fs
                    .mknod(dir, &name, &new, (FileType::CharDevice, device)),
                Content::Device(FileType::CharDevice, device),
            ),
        };
        let expected = self.model.may_make(dir, &name);
        self.same(&expected, &made.map(|_| ()), "make");
        if let Ok(ino) = made {
            let NewNode {
                permissions,
                uid,
                gid,
                ..
            } = new;
            let node = MNode {
                content,
                nlink: 1,
                permissions,
                uid,
                gid,
                opens: 0,
            };
            self.model.make(dir, &name, ino, node);
        }
    }

    fn link(&mut self) {
        let (ino, dir, name) = (self.any(), self.dir(), self.name());
        let real = self.fs.link(ino, dir, &name, NOW);
        let expected = self.model.link(ino, dir, &name);
        self.same(&expected, &real, "link");
    }

    fn remove(&mut self) {
        let dir = self.dir();
        let name = self.old_name(dir);
        let (real, expected) = if self.rng.one_in(2) {
            (
                self.fs.unlink(dir, &name, NOW),
                self.model.unlink(dir, &name),
            )
        } else {
            (self.fs.rmdir(dir, &name, NOW), self.model.rmdir(dir, &name))
        };
        self.same(&expected, &real, "remove");
    }

    fn rename(&mut self) {
        let (from, to) = (self.dir(), self.dir());
        let old = self.old_name(from);
        let new = if self.rng.one_in(2) {
            self.old_name(to)
        } else {
            self.name()
        };
        if new.len() > 255 {
            return;
        }
        let real = self.fs.rename(
            Place {
                dir: from,
                name: &old,
            },
            Place {
                dir: to,
                name: &new,
            },
            NOW,
        );
        let expected = self.model.rename((from, &old), (to, &new));
        self.same(&expected, &real, "rename");
    }

    fn write(&mut self) {
        let ino = self.file();
        let size = self.model.file(ino).map_or(0, |bytes| bytes.len() as u64);
        let offset = match self.rng.below(10) {
            0..=5 => size,
            6..=7 => self.rng.below(size + 1),
            8 => size + self.rng.below(20_000),
            _ => self.rng.below(700_000),
        };
        let len = if self.rng.one_in(8) {
            self.rng.below(60_000)
        } else {
            self.rng.below(5000)
        };
        let data = self.rng.bytes(len as usize);
        let real = self.fs.write(ino, offset, &data, NOW);
        let expected = self.model.file(ino).map(|bytes| {
            let end = offset as usize + data.len();
            if !data.is_empty() {
                bytes.resize(bytes.len().max(end), 0);
                bytes[offset as usize..end].copy_from_slice(&data);
            }
            data.len()
        });
        self.same(&expected, &real, "write");
    }

    fn truncate(&mut self) {
        let ino = self.file();
        let size = self.model.file(ino).map_or(0, |bytes| bytes.len() as u64);
        let size = match self.rng.below(4) {
            0 => 0,
            1..=2 => self.rng.below(size + 1),
            _ => size + self.rng.below(30_000),
        };
        let real = self.fs.truncate(ino, size, NOW);
        let expected = self
            .model
            .file(ino)
            .map(|bytes| bytes.resize(size as usize, 0));
        self.same(&expected, &real, "truncate");
    }

    fn read(&mut self) {
        let ino = self.file();
        let size = self.model.file(ino).map_or(0, |bytes| bytes.len() as u64);
        let offset = self.rng.below(size + 3000);
        let mut buf = vec![0xaa; self.rng.below(20_000) as usize];
        let real = self.fs.read(ino, offset, &mut buf);
        let expected = self.model.file(ino).map(|bytes| {
            let from = bytes.len().min(offset as usize);
            let to = bytes.len().min(from + buf.len());
            assert!(
                buf[..to - from] == bytes[from..to],
                "content of {ino:?} at {offset}"
            );
            to - from
        });
        self.same(&expected, &real, "read");
    }

    fn setattr(&mut self) {
        let ino = self.any();
        let permissions = self.rng.below(0o10000) as u16;
        let (uid, gid) = (
            self.rng.below(1 << 32) as u32,
            self.rng.below(1 << 20) as u32,
        );
        let time = Timestamp(self.rng.below(1 << 31) as i64);
        let attr = SetAttr {
            permissions: Some(permissions),
            uid: Some(uid),
            gid: Some(gid),
            size: None,
            atime: Some(time),
            mtime: Some(time),
        };
        self.fs.setattr(ino, &attr, NOW).unwrap();
        let stat = self.fs.getattr(ino).unwrap();
        assert_eq!((stat.atime, stat.mtime, stat.ctime), (time, time, NOW));
        let node = self.model.node(ino);
        (node.permissions, node.uid, node.gid) = (permissions, uid, gid);
    }

    fn open_or_close(&mut self) {
        let open: Vec<Ino> = self
            .model
            .nodes
            .iter()
            .filter(|(_, n)| n.opens > 0)
            .map(|(&i, _)| i)
            .collect();
        if open.len() > 10 || (!open.is_empty() && self.rng.one_in(2)) {
            let ino = *self.rng.pick(&open);
            self.fs.close(ino, NOW).unwrap();
            self.model.close(ino);
        } else {
            let ino = self.any();
            self.fs.open(ino).unwrap();
            self.model.node(ino).opens += 1;
        }
    }

    fn same<T: std::fmt::Debug + PartialEq>(
        &self,
        expected: &Result<T>,
        real: &Result<T>,
        what: &str,
    ) {
        assert_eq!(expected, real, "{what} in step {}", self.step);
    }

    fn stat_all(&mut self) {
        for (&ino, node) in &self.model.nodes {
            let stat = self.fs.getattr(ino).unwrap();
            assert_eq!(
                stat.nlink, node.nlink,
                "links of {ino:?} in step {}",
                self.step
            );
            assert_eq!(stat.mode & 0o7777, node.permissions, "mode of {ino:?}");
            assert_eq!(
                (stat.uid, stat.gid),
                (node.uid, node.gid),
                "owner of {ino:?}"
            );
        }
    }

    /// Every directory, every byte.
    fn compare_all(&mut self) {
        self.stat_all();
        let nodes = self.model.nodes.clone();
        for (ino, node) in nodes {
            match node.content {
                Content::File(bytes) => {
                    assert!(content(&mut self.fs, ino) == bytes, "content of {ino:?}");
                }
                Content::Dir { entries, parent } => self.compare_dir(ino, &entries, parent),
                Content::Symlink(target) => {
                    let mut buf = [0; 300];
                    let len = self.fs.readlink(ino, &mut buf).unwrap();
                    assert_eq!(buf[..len], target);
                }
                Content::Device(file_type, device) => {
                    let stat = self.fs.getattr(ino).unwrap();
                    assert_eq!((stat.file_type, stat.rdev), (file_type, device));
                }
            }
        }
    }

    fn compare_dir(
        &mut self,
        ino: Ino,
        entries: &std::collections::BTreeMap<Vec<u8>, Ino>,
        parent: Ino,
    ) {
        let listed = list(&mut self.fs, ino);
        assert_eq!(listed.len(), entries.len(), "entries of {ino:?}");
        for (name, child, file_type) in listed {
            assert_eq!(entries.get(&name), Some(&child));
            assert_eq!(self.fs.lookup(ino, &name), Ok(child));
            let real = self.fs.getattr(child).unwrap().file_type;
            assert!(file_type.is_none_or(|file_type| file_type == real));
        }
        if self.model.nodes[&ino].nlink > 0 {
            assert_eq!(self.fs.lookup(ino, b".."), Ok(parent));
            assert_eq!(self.fs.lookup(ino, b"."), Ok(ino));
        } else {
            assert_eq!(self.fs.lookup(ino, b"."), Err(Error::NotFound));
        }
    }

    fn remount(self, context: &str) -> Self {
        let Session {
            fs,
            mut model,
            rng,
            names,
            step,
        } = self;
        model.close_all();
        let bytes = unmount(fs, context);
        let mut session = Session {
            fs: mount(bytes),
            model,
            rng,
            names,
            step,
        };
        assert!(session.fs.was_clean());
        session.compare_all();
        session
    }

    /// Compares the tree that `debugfs` copies out of the image with the model.
    fn compare_with_debugfs(&mut self, bytes: &[u8]) {
        let Some((dir, _)) = debugfs(bytes, "rdump / .") else {
            return;
        };
        let mut open = vec![(Ino::ROOT, dir.path().to_path_buf())];
        while let Some((ino, path)) = open.pop() {
            for (name, child) in self.model.entries(ino).unwrap().clone() {
                let path = path.join(String::from_utf8(name).unwrap());
                match &self.model.nodes[&child].content {
                    Content::Dir { .. } => open.push((child, path)),
                    Content::File(bytes) => {
                        assert!(&std::fs::read(&path).unwrap() == bytes, "{path:?}");
                    }
                    Content::Symlink(target) => {
                        let real = std::fs::read_link(&path).unwrap();
                        assert_eq!(real.as_os_str().as_encoded_bytes(), target);
                    }
                    Content::Device(..) => {}
                }
            }
        }
    }
}

fn run(options: &str, kib: u64, default_seed: u64) {
    let Some(bytes) = mke2fs(options, kib) else {
        return;
    };
    let seed = seed(default_seed);
    let mut session = Session::new(bytes, seed);
    for round in 0..5 {
        for _ in 0..STEPS / 5 {
            session.step();
        }
        session.compare_all();
        let context = format!("mke2fs {options}, seed {seed}, round {round}");
        session = session.remount(&context);
    }
    session.model.close_all();
    let bytes = unmount(session.fs, "end");
    session.fs = mount(bytes.clone());
    session.compare_with_debugfs(&bytes);
}

#[test]
fn blocks_of_1k() {
    run("-b 1024", 24 << 10, 1);
}

#[test]
fn blocks_of_2k() {
    run("-b 2048", 24 << 10, 2);
}

#[test]
fn blocks_of_4k() {
    run("-b 4096 -N 4096", 24 << 10, 3);
}

#[test]
fn revision_0() {
    run("-b 1024 -r 0", 24 << 10, 4);
}

#[test]
fn no_features() {
    run("-b 1024 -O none -I 128", 24 << 10, 5);
}

#[test]
fn inodes_of_256_bytes_and_many_small_groups() {
    run("-b 1024 -I 256 -g 1024 -O ^resize_inode", 24 << 10, 6);
}

#[test]
fn no_sparse_superblocks_and_no_file_types() {
    run(
        "-b 4096 -g 512 -O ^sparse_super,^filetype,^resize_inode -N 4096",
        24 << 10,
        7,
    );
}

#[test]
fn what_is_synced_is_whole() {
    let Some(bytes) = mke2fs("-b 1024", 8 << 10) else {
        return;
    };
    let mut session = Session::new(bytes, seed(8));
    for _ in 0..600 {
        session.step();
    }
    let orphans: Vec<Ino> = session
        .model
        .nodes
        .iter()
        .filter(|(_, n)| n.nlink == 0)
        .map(|(&i, _)| i)
        .collect();
    for ino in orphans {
        while session.model.nodes.contains_key(&ino) {
            session.fs.close(ino, NOW).unwrap();
            session.model.close(ino);
        }
    }
    session.fs.sync().unwrap();
    let bytes = session.fs.into_device().bytes;
    assert_clean_but_mounted(bytes.clone(), "synced");
    session.fs = mount(bytes);
    assert!(!session.fs.was_clean());
    session.model.close_all();
    session.compare_all();
}
