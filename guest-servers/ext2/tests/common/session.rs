//! A mounted file system and its model, and random operations on both.

use ferrix_ext2::{DeviceNumber, Ext2, FileType, Ino, NewNode, Place, Result, SetAttr, Timestamp};

use super::model::{Content, MNode, Model};
use super::rng::Rng;
use super::{Disk, NOW, mount};

pub struct Session {
    pub fs: Ext2<Disk>,
    pub model: Model,
    pub(super) rng: Rng,
    pub(super) names: Vec<Vec<u8>>,
    pub(super) step: u64,
}

impl Session {
    pub fn new(bytes: Vec<u8>, seed: u64) -> Self {
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

    pub fn step(&mut self) {
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
}
