//! File systems in memory: mounting tmpfs, and the one without a place that holds files without names.

use super::mount::Plan;
use super::objects::Objects;
use super::{Object, Vfs, give, open::READY};
use alloc::boxed::Box;
use alloc::string::String;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_proto::file::{kind, seal};
use ferrix_proto::filesystem::NewNode;
use ferrix_rt::log;
use ferrix_rt::service::{Outcome, Request};
use ferrix_rt::sys::system;
use ferrix_vfs::Node;
use ferrix_vfs::errno::{EINVAL, Result};
use ferrix_vfs::filesystem::Filesystem;
use ferrix_vfs::mounts::Mount;
use ferrix_vfs::permissions::Credentials;
use ferrix_vfs::tmpfs::Tmpfs;
use ferrix_vfs::tmpfs::options::Options;
use linux_raw_sys::general as linux;

/// Name of the file system that holds files without names.
const UNNAMED: &str = "shm";

/// Pages of RAM.
fn ram_pages() -> u64 {
    system::kernel_info().memory_bytes / PAGE_SIZE
}

/// A tmpfs with these mount options.
pub(super) fn tmpfs(options: &str) -> Result<Box<dyn Filesystem>> {
    let options = Options::parse(ram_pages(), options)?;
    Ok(Box::new(Tmpfs::new(Objects::new(options.pages)?, options)))
}

impl Vfs {
    /// What every system has in memory: `/dev/shm`, the files without names, and `/tmp` where the disk takes none.
    pub(super) fn mount_memory(&mut self, root_is_read_only: bool) {
        let mut places = alloc::vec!["/dev/shm"];
        if root_is_read_only {
            places.push("/tmp");
        }
        for place in places {
            if let Err(errno) = self.mount_tmpfs_at(place) {
                log!("vfs", "{place} is not there: errno {errno}");
            }
        }
        let unnamed = tmpfs("size=0,nr_inodes=0").and_then(|filesystem| {
            self.add_mount(Plan {
                filesystem,
                covers: None,
                source: String::from(UNNAMED),
                target: String::new(),
                read_only: false,
            })
        });
        match unnamed {
            Ok(index) => self.unnamed = Some(index),
            Err(errno) => log!("vfs", "no memory files: errno {errno}"),
        }
    }

    fn mount_tmpfs_at(&mut self, place: &str) -> Result<()> {
        let covers = self.node_at_boot(place)?;
        let plan = Plan {
            filesystem: tmpfs("")?,
            covers: Some(covers),
            source: String::from("tmpfs"),
            target: String::from(place),
            read_only: false,
        };
        self.add_mount(plan).map(drop)
    }

    /// Counts what files in memory use, if a file of `/proc` is about to tell it.
    pub(super) fn count_memory(&mut self, opened: Node) {
        let kind = |mount: &mut Mount| mount.filesystem.type_name();
        if !self
            .tree
            .mounts
            .get(opened.mount)
            .is_ok_and(|mount| kind(mount) == "proc")
        {
            return;
        }
        let mut pages = 0;
        for index in self.tree.mounts.innermost_first() {
            if let Ok(mount) = self.tree.mounts.get(index)
                && kind(mount) == "tmpfs"
                && let Ok(info) = mount.filesystem.info()
            {
                pages += info.blocks.saturating_sub(info.blocks_free);
            }
        }
        self.shared.memory_pages.set(pages);
    }

    /// A regular file without a name, open once.
    pub(super) fn make_unnamed(&mut self, who: Credentials, mode: u32, seals: u32) -> Result<Node> {
        let mount = self.unnamed.ok_or(EINVAL)?;
        let node = NewNode {
            mode: linux::S_IFREG | mode,
            uid: who.uid,
            gid: who.gid,
            rdev: 0,
        };
        let filesystem = &mut self.tree.mounts.get(mount)?.filesystem;
        let inode = filesystem.create_unnamed(node, seals)?;
        Ok(Node { mount, inode })
    }

    /// `memfd_create(2)`.
    pub(super) fn memory_file(&mut self, request: &Request) -> Outcome {
        let seals = request.words[0] as u32;
        if seals & !seal::ALL != 0 {
            return Err(EINVAL);
        }
        let who = Self::asker(request)?;
        let node = self.make_unnamed(who, 0o777, seals)?;
        let object = Object::File { node, offset: 0 };
        let (handle, _) = self.add_session(object, linux::O_RDWR, READY)?;
        Ok(Some(give(handle, kind::REGULAR)))
    }
}
