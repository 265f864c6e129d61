//! The rarer operations: space, the end of the file, names.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;

use super::files::{SIZE_MAX, Ways};
use super::operations::{Found, PIECE, Test, failed};
use crate::sys::memory::{self, PAGE, Touch};

impl Test {
    pub(super) fn allocate(&mut self) -> Found {
        let at = self.random.below(SIZE_MAX - PIECE);
        let length = 1 + self.random.below(PIECE);
        let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let mode = [0, libc::FALLOC_FL_KEEP_SIZE, punch][self.random.below(3)];
        self.note(format!("allocate {length} at {at}, mode {mode}"));
        let fd = self.ways.any[0].as_raw_fd() as usize;
        match memory::allocate(fd, mode as usize, at, length) {
            Ok(_) if mode == 0 && self.model.size() < at + length => {
                self.model.truncate(at + length);
            }
            Ok(_) if mode == punch => self.model.punch(at, length),
            Ok(_) => {}
            Err(why)
                if [Some(libc::EOPNOTSUPP), Some(libc::ENOSYS)].contains(&why.raw_os_error()) =>
            {
                self.skipped += 1;
            }
            Err(why) => return Err(format!("fallocate: {why}")),
        }
        Ok(())
    }

    /// Beyond the last page there is nothing to be had.
    pub(super) fn beyond(&mut self) -> Found {
        let first = self.model.size().div_ceil(PAGE) * PAGE;
        if first >= SIZE_MAX {
            return Ok(());
        }
        let at = first + self.random.below(SIZE_MAX - first);
        let how = [Touch::Read, Touch::Write][self.random.below(2)];
        self.note(format!("touches {at} beyond the end ({how:?})"));
        let signal = memory::touch(self.ways.views[0].address + at, how);
        match signal.map_err(failed("fork"))? {
            Some(libc::SIGBUS) => Ok(()),
            other => Err(format!("a touch beyond the end gives {other:?}")),
        }
    }

    pub(super) fn rename(&mut self) -> Found {
        if !self.named {
            return Ok(());
        }
        let mut other = self.path.clone().into_os_string();
        other.push(".other");
        self.note("renames there and back".into());
        fs::rename(&self.path, &other).map_err(failed("rename"))?;
        let found = fs::read(&other).map_err(failed("read all"))?;
        if found.len() != self.model.size() {
            return Err(format!("the renamed file has {} bytes", found.len()));
        }
        self.same("a read of the renamed file", 0, &found)?;
        fs::rename(&other, &self.path).map_err(failed("rename"))
    }

    /// Takes the file's name away; or goes over to a new file with the same bytes.
    pub(super) fn unlink(&mut self) -> Found {
        if self.named {
            self.note("unlinks".into());
            self.named = false;
            return fs::remove_file(&self.path).map_err(failed("unlink"));
        }
        self.note("goes on in a new file".into());
        self.everything()?;
        fs::write(&self.path, self.model.bytes()).map_err(failed("write all"))?;
        self.ways = Ways::open(&self.path).map_err(failed("open or mmap"))?;
        self.model.forget_private();
        self.named = true;
        Ok(())
    }

    pub(super) fn empty(&mut self) -> Found {
        if !self.named {
            return Ok(());
        }
        self.note("opens with O_TRUNC".into());
        let opened = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&self.path);
        opened.map_err(failed("open with O_TRUNC"))?;
        self.model.truncate(0);
        Ok(())
    }
}
