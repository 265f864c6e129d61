//! Renaming: the new name first, then the old one goes.

use crate::dir::{self, Found};
use crate::mount::Ext2;
use crate::ops::link::Place;
use crate::ops::{check_name, is_dot};
use crate::types::{FileType, Ino, Timestamp};
use crate::{BlockDevice, Error, LINK_MAX, Result};

/// What a rename is about, after all checks.
struct Move<'a> {
    from: Place<'a>,
    to: Place<'a>,
    ino: Ino,
    file_type: FileType,
    victim: Option<Found>,
}

impl<D: BlockDevice> Ext2<D> {
    /// Moves a name, as POSIX `rename`: an existing file or empty directory of the new name
    /// is replaced; two names of one file stay as they are; a directory cannot go into itself.
    pub fn rename(&mut self, from: Place<'_>, to: Place<'_>, now: Timestamp) -> Result<()> {
        self.update(|fs| match fs.plan_rename(from, to)? {
            Some(plan) => fs.carry_out(&plan, now),
            None => Ok(()),
        })
    }

    fn plan_rename<'a>(&mut self, from: Place<'a>, to: Place<'a>) -> Result<Option<Move<'a>>> {
        if is_dot(from.name) || is_dot(to.name) {
            return Err(Error::Invalid);
        }
        check_name(to.name)?;
        let ino = self.find_entry(from)?.ino;
        let file_type = self.target(ino)?.inode.file_type().ok_or(Error::Stale)?;
        let target_dir = self.nodes.directory(&mut self.volume, to.dir)?;
        if target_dir.inode.links_count == 0 {
            return Err(Error::NotFound);
        }
        let links = target_dir.inode.links_count;
        let victim = dir::find(&mut self.volume, target_dir, to.name)?;
        if victim.is_some_and(|victim| victim.ino == ino) {
            return Ok(None);
        }
        let moves_directory = file_type == FileType::Directory;
        if moves_directory && from.dir != to.dir {
            self.check_not_below(to.dir, ino)?;
        }
        match victim {
            Some(victim) if moves_directory => self.check_removable(victim.ino, to.dir)?,
            Some(victim) if self.target(victim.ino)?.inode.is_directory() => {
                return Err(Error::IsDirectory);
            }
            None if moves_directory && from.dir != to.dir && links >= LINK_MAX => {
                return Err(Error::TooManyLinks);
            }
            _ => {}
        }
        Ok(Some(Move {
            from,
            to,
            ino,
            file_type,
            victim,
        }))
    }

    fn carry_out(&mut self, plan: &Move<'_>, now: Timestamp) -> Result<()> {
        let Move {
            from,
            to,
            ino,
            file_type,
            victim,
        } = *plan;
        match victim {
            Some(victim) => {
                let node = self.nodes.get(&mut self.volume, to.dir)?;
                dir::redirect(&mut self.volume, node, victim.position, (ino, file_type))?;
                node.inode.mtime = now.to_disk();
                node.inode.ctime = now.to_disk();
                node.store(&mut self.volume)?;
            }
            None => {
                let room = self.room_for(to.dir, to.name)?;
                self.enter(to.dir, to.name, (ino, file_type), room, now)?;
            }
        }
        // Entering may have moved what follows the old entry's place: find it again.
        let old = self.find_entry(from)?;
        self.remove_entry(from, old, now)?;
        let node = self.nodes.get(&mut self.volume, ino)?;
        node.inode.ctime = now.to_disk();
        node.store(&mut self.volume)?;
        if file_type == FileType::Directory {
            self.move_parent_link(plan)?;
        }
        match victim {
            Some(victim) if file_type == FileType::Directory => {
                self.drop_links(victim.ino, u16::MAX, now)
            }
            Some(victim) => self.drop_links(victim.ino, 1, now),
            None => Ok(()),
        }
    }

    /// Lets `..` of a moved directory name its new parent, and counts the parents' links.
    fn move_parent_link(&mut self, plan: &Move<'_>) -> Result<()> {
        let (old, new) = (plan.from.dir, plan.to.dir);
        if old != new {
            let node = self.nodes.directory(&mut self.volume, plan.ino)?;
            let missing = Error::corrupt("directory without ..", plan.ino.0);
            let parent = dir::find(&mut self.volume, node, b"..")?.ok_or(missing)?;
            let target = (new, FileType::Directory);
            dir::redirect(&mut self.volume, node, parent.position, target)?;
            self.add_links(new, 1)?;
            self.add_links(old, -1)?;
        }
        if plan.victim.is_some() {
            self.add_links(new, -1)
        } else {
            Ok(())
        }
    }

    fn add_links(&mut self, dir: Ino, links: i16) -> Result<()> {
        let node = self.nodes.get(&mut self.volume, dir)?;
        node.inode.links_count = node.inode.links_count.saturating_add_signed(links).max(1);
        node.store(&mut self.volume)
    }

    /// Walks from `dir` up to the root and fails if it meets `ancestor`.
    fn check_not_below(&mut self, dir: Ino, ancestor: Ino) -> Result<()> {
        let mut current = dir;
        for _ in 0..self.volume.superblock.inodes_count {
            if current == ancestor {
                return Err(Error::Invalid);
            }
            if current == Ino::ROOT {
                return Ok(());
            }
            let node = self.nodes.directory(&mut self.volume, current)?;
            let missing = Error::corrupt("directory without ..", current.0);
            current = dir::find(&mut self.volume, node, b"..")?
                .ok_or(missing)?
                .ino;
        }
        Err(Error::corrupt("parents of a directory form a cycle", dir.0))
    }
}
