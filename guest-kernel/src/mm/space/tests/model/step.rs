//! What can happen in the model's world, and how chance picks it.

use ferrix_abi::ipc::MapMode;
use ferrix_abi::vm::Prot;
use proptest::prelude::*;

use super::draw::Draw;
use super::world::{MADE, OBJECT_PAGES};
use super::{Inherit, Lock, RW};

/// Pages of the zone in which mappings are made and changed.
pub const ZONE_PAGES: u64 = 24;
/// Address spaces at a time.
pub const SPACES: usize = 4;

/// What a mapping shows.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    pub prot: Prot,
    pub sharing: Sharing,
    /// The object, and its page that the first one shows; nothing: fresh memory.
    pub object: Option<(usize, u64)>,
    pub touched: Touched,
}

/// Whether writes are seen by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Private,
    Shared,
}

/// When the pages appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    Later,
    /// `POPULATE`.
    Now,
}

/// How a mapping changes length and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it is.
    Same,
    /// Where it is, or anywhere.
    Any,
    /// Anywhere; the old mapping stays, empty.
    Kept,
    /// From this page of the zone on.
    At(u64),
    /// Its pages are mapped a second time, anywhere.
    Twice,
}

/// What the mappings of a case show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Any,
    /// Private memory alone, whose page tables `fork` shares.
    Plain,
}

/// What happens to a range of pages.
#[derive(Clone, Debug)]
pub enum Step {
    Map(Map),
    /// Fresh private memory, wherever there is room.
    More(Prot),
    Unmap,
    Protect(Prot),
    Inherit(Inherit),
    Lock(Lock),
    Write(u8),
    Discard,
    Remap(u64, Place),
    Fork,
    End,
    /// The range, and others of the same address space, go into a message to `to`.
    Send {
        to: usize,
        mode: MapMode,
        more: Vec<(u64, u64, MapMode)>,
    },
    /// The pager's side of its object.
    Supply,
    Clean,
    PagerWrite(u8),
    /// The object ends at the first page of the range.
    Resize(usize),
    /// The object loses the range.
    Punch(usize),
}

/// (space, first page, pages, what)
pub type Action = (usize, u64, u64, Step);

impl Draw {
    fn prot(&mut self) -> Prot {
        match self.below(10) {
            0..6 => RW,
            6..8 => Prot::READ,
            8 => Prot::empty(),
            _ => Prot::READ | Prot::EXEC,
        }
    }

    fn map(&mut self, memory: Memory) -> Map {
        let any = memory == Memory::Any;
        Map {
            prot: self.prot(),
            sharing: match self.below(2) {
                0 if any => Sharing::Shared,
                _ => Sharing::Private,
            },
            object: (any && self.below(3) != 0)
                .then(|| (self.below(MADE as u64) as usize, self.below(OBJECT_PAGES))),
            touched: match self.below(8) {
                0 => Touched::Now,
                _ => Touched::Later,
            },
        }
    }

    fn place(&mut self) -> Place {
        match self.below(8) {
            0 => Place::Same,
            1 => Place::Kept,
            2 => Place::At(self.below(ZONE_PAGES)),
            3 => Place::Twice,
            _ => Place::Any,
        }
    }

    fn mode(&mut self) -> MapMode {
        MapMode(self.below(4) as u32)
    }

    fn send(&mut self) -> Step {
        let to = self.below(SPACES as u64) as usize;
        let mode = self.mode();
        let more = (0..self.below(3))
            .map(|_| (self.below(ZONE_PAGES), 1 + self.below(4), self.mode()))
            .collect();
        Step::Send { to, mode, more }
    }

    fn value(&mut self) -> u8 {
        1 + self.below(255) as u8
    }

    fn object(&mut self) -> usize {
        self.below(MADE as u64) as usize
    }

    fn step(&mut self, memory: Memory) -> Step {
        match self.below(74) {
            0..8 => Step::Map(self.map(memory)),
            8..11 | 70 => Step::Unmap,
            71.. => Step::More(self.prot()),
            11..15 => Step::Protect(self.prot()),
            15 => Step::Inherit(self.one_of([Inherit::Nothing, Inherit::ByKind])),
            16..18 => Step::Lock(self.one_of([Lock::Locked, Lock::Unlocked])),
            18..21 => Step::Discard,
            21..25 => Step::Remap(1 + self.below(11), self.place()),
            25..30 => Step::Fork,
            30..33 => Step::End,
            33..38 => self.send(),
            38..42 => Step::Supply,
            42..45 => Step::Clean,
            45..47 => Step::PagerWrite(self.value()),
            47 => Step::Resize(self.object()),
            48..50 => Step::Punch(self.object()),
            _ => Step::Write(self.value()),
        }
    }

    fn action(&mut self, memory: Memory) -> Action {
        let space = self.below(SPACES as u64) as usize;
        let first = self.below(ZONE_PAGES);
        (space, first, 1 + self.below(8), self.step(memory))
    }
}

/// A case: what happens one after the other. A failing one shrinks by leaving operations out; each is drawn
/// from one random number, which takes a hundredth of the time that a strategy for each part of it would.
pub fn actions(most: usize) -> impl Strategy<Value = Vec<Action>> {
    let memory = prop_oneof![3 => Just(Memory::Any), 1 => Just(Memory::Plain)].no_shrink();
    let seeds = proptest::collection::vec(any::<u64>().no_shrink(), 1..most);
    (memory, seeds).prop_map(|(memory, seeds)| {
        let actions = seeds.into_iter();
        actions.map(|seed| Draw::new(seed).action(memory)).collect()
    })
}
