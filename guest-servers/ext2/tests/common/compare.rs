//! Comparing the mounted file system, and what `debugfs` sees, with the model.

use std::collections::BTreeMap;

use ferrix_ext2::{Error, Ino};

use super::model::Content;
use super::session::Session;
use super::{content, debugfs, list, mount, unmount};

impl Session {
    pub(super) fn stat_all(&mut self) {
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
    pub fn compare_all(&mut self) {
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

    fn compare_dir(&mut self, ino: Ino, entries: &BTreeMap<Vec<u8>, Ino>, parent: Ino) {
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

    pub fn remount(self, context: &str) -> Self {
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
    pub fn compare_with_debugfs(&mut self, bytes: &[u8]) {
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
