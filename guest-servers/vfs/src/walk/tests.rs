use super::*;
use crate::errno::{EACCES, ENOTDIR};
use crate::filesystem::{Filesystem, Opened};
use crate::mounts::Mount;
use ferrix_proto::attributes::FilesystemInfo;
use linux_raw_sys::general::{S_IFDIR, S_IFLNK, S_IFREG};
use std::collections::BTreeMap;

/// A file system from a list of paths; links are `path -> text`.
struct Listed {
    nodes: BTreeMap<u64, (Attributes, Vec<u8>)>,
    names: BTreeMap<(u64, Vec<u8>), u64>,
}

impl Listed {
    fn new(paths: &[(&str, u32, &str)]) -> Box<Listed> {
        let mut listed = Listed {
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        listed.add(1, S_IFDIR | 0o755, "");
        listed.names.insert((1, b"..".to_vec()), 1);
        for (path, mode, text) in paths {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = parent.split('/').filter(|part| !part.is_empty());
            let directory =
                parent.fold(1, |at, part| listed.names[&(at, part.as_bytes().to_vec())]);
            let inode = listed.nodes.len() as u64 + 1;
            listed.add(inode, *mode, text);
            listed
                .names
                .insert((directory, name.as_bytes().to_vec()), inode);
            listed.names.insert((inode, b"..".to_vec()), directory);
        }
        Box::new(listed)
    }

    fn add(&mut self, inode: u64, mode: u32, text: &str) {
        let attributes = Attributes {
            inode,
            mode,
            uid: 1,
            gid: 1,
            ..Attributes::default()
        };
        self.nodes
            .insert(inode, (attributes, text.as_bytes().to_vec()));
    }
}

impl Filesystem for Listed {
    fn root(&self) -> u64 {
        1
    }
    fn type_name(&self) -> &'static str {
        "listed"
    }
    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes> {
        let inode = self.names.get(&(directory, name.to_vec())).ok_or(ENOENT)?;
        self.attributes(*inode)
    }
    fn attributes(&mut self, inode: u64) -> Result<Attributes> {
        self.nodes.get(&inode).map(|node| node.0).ok_or(ENOENT)
    }
    fn open(&mut self, _inode: u64, _flags: u32) -> Result<Opened> {
        Err(ENOENT)
    }
    fn read_directory(&mut self, _inode: u64, _cookie: u64, _room: usize) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn read_link(&mut self, inode: u64) -> Result<Vec<u8>> {
        Ok(self.nodes[&inode].1.clone())
    }
    fn info(&mut self) -> Result<FilesystemInfo> {
        Ok(FilesystemInfo::default())
    }
}

fn mount(tree: &mut Tree, covers: Option<Node>, paths: &[(&str, u32, &str)]) -> usize {
    let (source, target) = (String::new(), String::new());
    let filesystem = Listed::new(paths);
    tree.mounts
        .add(Mount {
            filesystem,
            covers,
            source,
            target,
            read_only: false,
        })
        .unwrap()
}

/// A tree with a second file system on `/mnt`.
fn sample() -> Tree {
    let mut tree = Tree::default();
    mount(
        &mut tree,
        None,
        &[
            ("/etc", S_IFDIR | 0o755, ""),
            ("/etc/motd", S_IFREG | 0o644, ""),
            ("/mnt", S_IFDIR | 0o755, ""),
            ("/mnt/hidden", S_IFREG | 0o644, ""),
            ("/link", S_IFLNK | 0o777, "etc/motd"),
            ("/abs", S_IFLNK | 0o777, "/etc"),
            ("/loop", S_IFLNK | 0o777, "loop"),
            ("/dangling", S_IFLNK | 0o777, "nowhere"),
            ("/private", S_IFDIR | 0o700, ""),
            ("/private/x", S_IFREG | 0o644, ""),
        ],
    );
    let point = Node {
        mount: 0,
        inode: find(&mut tree, "/mnt").unwrap().0.inode,
    };
    mount(
        &mut tree,
        Some(point),
        &[
            ("/a", S_IFDIR | 0o755, ""),
            ("/a/up", S_IFLNK | 0o777, "../../etc/motd"),
        ],
    );
    tree
}

const ROOT: Node = Node { mount: 0, inode: 1 };

fn start(uid: u32) -> Start {
    Start {
        base: ROOT,
        root: ROOT,
        who: Credentials { uid, gid: uid },
    }
}

fn find(tree: &mut Tree, path: &str) -> Result<(Node, Kind)> {
    tree.walk(&start(0), path.as_bytes(), Last::Follow)?
        .existing()
}

#[test]
fn follows_names_links_and_mounts() {
    let mut tree = sample();
    let motd = find(&mut tree, "/etc/motd").unwrap();
    for path in [
        "etc//motd",
        "/./etc/../etc/motd",
        "link",
        "abs/motd",
        "/mnt/a/up",
        "mnt/../link",
        "/../../etc/motd",
    ] {
        assert_eq!(find(&mut tree, path), Ok(motd), "{path}");
    }
    assert_eq!(
        find(&mut tree, "/mnt").unwrap().0,
        Node { mount: 1, inode: 1 }
    );
    assert_eq!(find(&mut tree, "/mnt/hidden"), Err(ENOENT));
    assert_eq!(find(&mut tree, "/mnt/a/../..").unwrap().0, ROOT);
}

#[test]
fn says_why_not() {
    let mut tree = sample();
    let cases = [
        ("", ENOENT),
        ("/none", ENOENT),
        ("/none/x", ENOENT),
        ("/etc/motd/x", ENOTDIR),
        ("/etc/motd/", ENOTDIR),
        ("/loop", ELOOP),
        ("/dangling", ENOENT),
        ("link/", ENOTDIR),
    ];
    for (path, errno) in cases {
        assert_eq!(find(&mut tree, path), Err(errno), "{path}");
    }
    let long = "x".repeat(256);
    assert_eq!(find(&mut tree, &long), Err(ENAMETOOLONG));
    assert_eq!(find(&mut tree, &"./".repeat(2100)), Err(ENAMETOOLONG));
    let denied = tree
        .walk(&start(9), b"/private/x", Last::Follow)
        .unwrap_err();
    assert_eq!(denied, EACCES);
}

#[test]
fn the_last_component_may_be_missing_or_a_link() {
    let mut tree = sample();
    let missing = tree.walk(&start(0), b"/etc/new", Last::Follow).unwrap();
    assert!(missing.entry.is_none());
    assert_eq!(missing.name, b"new");
    let link = tree.walk(&start(0), b"/link", Last::NoFollow).unwrap();
    assert_eq!(link.entry.unwrap().1, Kind::Symlink);
    let through = tree.walk(&start(0), b"/dangling", Last::Follow).unwrap();
    assert_eq!(
        (through.entry.is_none(), &through.name[..]),
        (true, &b"nowhere"[..])
    );
    let dot = tree.walk(&start(0), b"/etc/..", Last::Follow).unwrap();
    assert!(dot.is_dot());
    assert_eq!(dot.entry.unwrap().0, ROOT);
}

#[test]
fn a_changed_root_holds() {
    let mut tree = sample();
    let etc = find(&mut tree, "/etc").unwrap().0;
    let jail = Start {
        base: etc,
        root: etc,
        ..start(0)
    };
    let out = tree.walk(&jail, b"../../motd", Last::Follow).unwrap();
    assert_eq!(out.existing().unwrap().1, Kind::Regular);
    assert_eq!(
        tree.walk(&jail, b"/..", Last::Follow)
            .unwrap()
            .entry
            .unwrap()
            .0,
        etc
    );
}
