//! The operations, and the test that chooses them.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Random;
use super::files::{SIZE_MAX, Ways};
use super::model::Model;
use crate::sys::memory::{self, PAGE};
use crate::sys::process::Change;

/// Most bytes that one operation moves.
pub(super) const PIECE: usize = 20_000;
/// Steps remembered.
const LOG: usize = 64;

/// What an operation found: nothing wrong, or what.
pub(super) type Found = Result<(), String>;

pub(super) fn failed(what: &str) -> impl Fn(io::Error) -> String {
    move |why| format!("{what}: {why}")
}

/// Who does an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Itself,
    Child,
}

/// The running test.
#[derive(Debug)]
pub struct Test {
    pub(super) path: PathBuf,
    pub(super) random: Random,
    pub(super) model: Model,
    pub(super) ways: Ways,
    log: VecDeque<String>,
    pub(super) skipped: u64,
    /// Whether the file has a name.
    pub(super) named: bool,
    fill: u8,
}

impl Test {
    /// Makes the file, empty.
    pub fn new(path: &Path, random: Random) -> io::Result<Test> {
        File::create(path)?;
        Ok(Test {
            path: path.to_path_buf(),
            random,
            model: Model::default(),
            ways: Ways::open(path)?,
            log: VecDeque::new(),
            skipped: 0,
            named: true,
            fill: 0,
        })
    }

    /// Operations that the system does not offer.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The latest steps.
    pub fn last_steps(&self, count: usize) -> impl Iterator<Item = &str> {
        let skip = self.log.len().saturating_sub(count);
        self.log.iter().skip(skip).map(String::as_str)
    }

    /// Removes the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.everything().map_err(io::Error::other)?;
        if self.named {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    /// One operation.
    pub fn step(&mut self) -> Found {
        match self.random.below(100) {
            0..14 => self.read(),
            14..30 => self.read_view(),
            30..46 => self.write(),
            46..64 => self.write_view(),
            64..68 => self.append(),
            68..74 => self.truncate(),
            74..77 => self.private(),
            77..81 => self.sync(),
            81..86 => self.renew(),
            86..89 => self.allocate(),
            89..92 => self.beyond(),
            92..94 => self.rename(),
            94..95 => self.unlink(),
            95..96 => self.empty(),
            _ => self.everything(),
        }
    }

    pub(super) fn note(&mut self, what: String) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.log.push_back(what);
    }

    fn actor(&mut self) -> Actor {
        match self.random.below(24) {
            0 => Actor::Child,
            _ => Actor::Itself,
        }
    }

    /// A range inside the file; not empty.
    fn range(&mut self) -> Option<(usize, usize)> {
        let size = self.model.size();
        if size == 0 {
            return None;
        }
        let at = self.random.below(size);
        let length = 1 + self.random.below(PIECE.min(size - at));
        Some((at, length))
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.fill = self.fill.wrapping_add(1);
        let seed = self.fill;
        (0..length)
            .map(|index| seed.wrapping_add((index / 7) as u8))
            .collect()
    }

    /// Compares bytes with what they have to be.
    pub(super) fn same(&self, what: &str, at: usize, found: &[u8]) -> Found {
        let expected = &self.model.bytes()[at..at + found.len()];
        match found.iter().zip(expected).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(index) => Err(format!(
                "{what} of {} bytes at {at}: byte {} is {:#x}, should be {:#x} (size {})",
                found.len(),
                at + index,
                found[index],
                expected[index],
                self.model.size()
            )),
        }
    }

    /// Does something here or in a child, which ends with 1 when it is wrong.
    fn act(&self, actor: Actor, what: impl Fn() -> Found) -> Found {
        if actor == Actor::Itself {
            return what();
        }
        let ended = memory::in_child(|| match what() {
            Ok(()) => 0,
            Err(why) => {
                let _ = writeln!(io::stderr(), "in a child: {why}");
                1
            }
        });
        match ended.map_err(failed("fork"))? {
            Change::Exited(0) => Ok(()),
            other => Err(format!("a child ended with {other:?}")),
        }
    }

    fn read(&mut self) -> Found {
        let (actor, which) = (self.actor(), self.random.below(2));
        let at = self.random.below(SIZE_MAX);
        let wanted = 1 + self.random.below(PIECE);
        self.note(format!("{actor:?} read {wanted} at {at}"));
        let length = wanted.min(self.model.size().saturating_sub(at));
        self.act(actor, || {
            let mut bytes = vec![0xee; wanted];
            let count = self.ways.any[which].read_at(&mut bytes, at as u64);
            let count = count.map_err(failed("read"))?;
            if count != length {
                return Err(format!("read gives {count} bytes instead of {length}"));
            }
            self.same("read", at.min(self.model.size()), &bytes[..count])
        })
    }

    fn read_view(&mut self) -> Found {
        let (actor, which) = (self.actor(), self.random.below(2));
        let Some((at, length)) = self.range() else {
            return Ok(());
        };
        self.note(format!("{actor:?} looks at {length} at {at}"));
        self.act(actor, || {
            let found = self.ways.views[which].read(at, length);
            self.same("a look", at, &found)
        })
    }

    fn write(&mut self) -> Found {
        let (actor, which) = (self.actor(), self.random.below(2));
        let at = self.random.below(SIZE_MAX - PIECE);
        let length = 1 + self.random.below(PIECE);
        let bytes = self.bytes(length);
        self.note(format!("{actor:?} write {length} at {at}"));
        self.act(actor, || {
            let written = self.ways.any[which].write_all_at(&bytes, at as u64);
            written.map_err(failed("write"))
        })?;
        self.model.write(at, &bytes);
        Ok(())
    }

    fn write_view(&mut self) -> Found {
        let actor = self.actor();
        let Some((at, length)) = self.range() else {
            return Ok(());
        };
        let bytes = self.bytes(length);
        self.note(format!("{actor:?} stores {length} at {at}"));
        self.act(actor, || {
            self.ways.views[0].write(at, &bytes);
            Ok(())
        })?;
        self.model.write(at, &bytes);
        Ok(())
    }

    fn append(&mut self) -> Found {
        let (actor, at) = (self.actor(), self.model.size());
        let length = (1 + self.random.below(5000)).min(SIZE_MAX - at);
        if length == 0 {
            return Ok(());
        }
        let bytes = self.bytes(length);
        self.note(format!("{actor:?} append {length} at {at}"));
        self.act(actor, || {
            (&self.ways.append)
                .write_all(&bytes)
                .map_err(failed("append"))
        })?;
        self.model.write(at, &bytes);
        Ok(())
    }

    fn truncate(&mut self) -> Found {
        let size = self.random.below(SIZE_MAX);
        self.note(format!("truncate {} to {size}", self.model.size()));
        let which = self.random.below(2);
        let set = self.ways.any[which].set_len(size as u64);
        set.map_err(failed("truncate"))?;
        self.model.truncate(size);
        Ok(())
    }

    /// Writes in the private mapping: nobody else sees it, and it stays.
    fn private(&mut self) -> Found {
        let Some((at, length)) = self.range() else {
            return Ok(());
        };
        let known = self.model.private_length(at / PAGE);
        let end = known
            .unwrap_or(PAGE)
            .min(self.model.size() - at / PAGE * PAGE);
        let length = length.min(end.saturating_sub(at % PAGE));
        if length == 0 {
            return Ok(());
        }
        let bytes = self.bytes(length);
        self.note(format!("stores {length} at {at} privately"));
        self.ways.private.write(at, &bytes);
        self.model.write_private(at, &bytes);
        Ok(())
    }

    fn sync(&mut self) -> Found {
        let which = self.random.below(4);
        self.note(format!("sync {which}"));
        let address = self.ways.views[0].address;
        let result = match which {
            0 => self.ways.any[0].sync_all(),
            1 => self.ways.any[1].sync_data(),
            2 => memory::sync(address, SIZE_MAX, libc::MS_ASYNC as usize).map(drop),
            _ => memory::sync(address, SIZE_MAX, libc::MS_SYNC as usize).map(drop),
        };
        result.map_err(failed("sync"))
    }

    fn renew(&mut self) -> Found {
        let which = self.random.below(5);
        if !self.named && which < 3 {
            return Ok(());
        }
        self.note(format!("renews {which}"));
        let renewed = self.ways.renew(&self.path, which);
        renewed.map_err(failed("open or mmap"))
    }

    /// Looks at all bytes in all ways.
    pub(super) fn everything(&mut self) -> Found {
        let size = self.model.size();
        self.note(format!("looks at all {size}"));
        let mut bytes = vec![0; size];
        for file in &self.ways.any {
            let length = file.metadata().map_err(failed("stat"))?.len();
            if length != size as u64 {
                return Err(format!("the size is {length}, should be {size}"));
            }
            let read = file.read_exact_at(&mut bytes, 0);
            read.map_err(failed("read all"))?;
            self.same("a read of all", 0, &bytes)?;
        }
        for view in &self.ways.views {
            self.same("a look at all", 0, &view.read(0, size))?;
        }
        for (page, expected) in self.model.private_pages() {
            let length = expected.len().min(size - page * PAGE);
            let found = self.ways.private.read(page * PAGE, length);
            if found != expected[..length] {
                return Err(format!("the private copy of page {page} changed"));
            }
        }
        Ok(())
    }
}
