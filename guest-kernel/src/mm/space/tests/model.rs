//! Random operations on related address spaces against a model that knows only pages and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrix_abi::ipc::{MapItem, MapMode};
use ferrix_abi::layout::{MMAP_BASE, PAGE_SIZE};
use ferrix_abi::vm::{MapFlags, Prot, RemapFlags};
use proptest::prelude::*;

use super::super::*;
use super::{RW, free};
use crate::mm::host;
use crate::mm::object::VmObject;

/// A page of a model object: (object, index).
type Source = (usize, u64);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    /// Own value if written, else what the source shows, else 0.
    Private {
        source: Option<Source>,
        value: Option<u8>,
    },
    Shared(Source),
    Lent(Source),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    prot: Prot,
    holds: Holds,
}

type Cells = BTreeMap<u64, Cell>;

#[derive(Clone, Debug)]
enum Step {
    Map {
        prot: Prot,
        private: bool,
        object: Option<usize>,
    },
    Unmap,
    Protect(Prot),
    Write(u8),
    Discard,
    Remap(u64),
    Fork,
    End,
    Transfer {
        to: usize,
        mode: u32,
    },
}

/// (space, first page, pages, what)
type Action = (usize, u64, u64, Step);

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let prot = prop_oneof![
        6 => Just(RW), 2 => Just(Prot::READ), 1 => Just(Prot::empty()), 1 => Just(Prot::READ | Prot::EXEC)
    ];
    let map = (prot.clone(), any::<bool>(), proptest::option::of(0..2usize)).prop_map(
        |(prot, private, object)| Step::Map {
            prot,
            private,
            object,
        },
    );
    let step = prop_oneof![
        4 => map,
        2 => Just(Step::Unmap),
        2 => prot.prop_map(Step::Protect),
        10 => (1u8..).prop_map(Step::Write),
        1 => Just(Step::Discard),
        1 => (1..12u64).prop_map(Step::Remap),
        3 => Just(Step::Fork),
        1 => Just(Step::End),
        3 => (0..4usize, 0..4u32).prop_map(|(to, mode)| Step::Transfer { to, mode }),
    ];
    proptest::collection::vec((0..4usize, 0..24u64, 1..9u64, step), 1..120)
}

/// The system under test and the model, side by side.
struct World {
    spaces: Vec<(Arc<AddressSpace>, Cells)>,
    objects: Vec<Arc<VmObject>>,
    /// Values of model objects; the first ones are `objects`.
    values: BTreeMap<Source, u8>,
    /// Pages of each; the first ones are `objects`.
    sources: Vec<u64>,
}

const OBJECT_PAGES: u64 = 40;

impl World {
    fn new() -> World {
        let objects = vec![
            VmObject::anonymous(OBJECT_PAGES * PAGE_SIZE).unwrap(),
            VmObject::contiguous(OBJECT_PAGES * PAGE_SIZE).unwrap(),
        ];
        let spaces = vec![(AddressSpace::new().unwrap(), Cells::new())];
        World {
            spaces,
            objects,
            values: BTreeMap::new(),
            sources: vec![OBJECT_PAGES; 2],
        }
    }

    /// Whether there is a page: objects have ends.
    fn is_there(&self, cell: &Cell) -> bool {
        match cell.holds {
            Holds::Private { value: Some(_), .. } | Holds::Private { source: None, .. } => true,
            Holds::Private {
                source: Some((object, index)),
                ..
            }
            | Holds::Shared((object, index))
            | Holds::Lent((object, index)) => index < self.sources[object],
        }
    }

    fn value(&self, cell: &Cell) -> u8 {
        let shown = |source| self.values.get(&source).copied().unwrap_or(0);
        match cell.holds {
            Holds::Private {
                value: Some(value), ..
            } => value,
            Holds::Private { source, .. } => source.map_or(0, shown),
            Holds::Shared(source) | Holds::Lent(source) => shown(source),
        }
    }

    fn apply(&mut self, (space, first, count, step): Action) {
        let space = space % self.spaces.len();
        let start = MMAP_BASE + first * PAGE_SIZE;
        let range = start..start + count * PAGE_SIZE;
        match step {
            Step::Map {
                prot,
                private,
                object,
            } => self.map(space, range, prot, private, object),
            Step::Unmap => {
                self.spaces[space]
                    .0
                    .unmap(start, count * PAGE_SIZE)
                    .unwrap();
                self.spaces[space].1.retain(|page, _| !range.contains(page));
            }
            Step::Protect(prot) => self.protect(space, range, prot),
            Step::Write(value) => self.write(space, start + u64::from(value), value),
            Step::Discard => {
                self.spaces[space]
                    .0
                    .discard(start, count * PAGE_SIZE)
                    .unwrap();
                for (_, cell) in self.spaces[space].1.range_mut(range) {
                    if let Holds::Private { value, .. } = &mut cell.holds {
                        *value = None;
                    }
                }
            }
            Step::Remap(pages) => self.remap(space, range, pages * PAGE_SIZE),
            Step::Fork => self.fork(space),
            Step::End => {
                if self.spaces.len() > 1 {
                    self.spaces.swap_remove(space);
                }
            }
            Step::Transfer { to, mode } => {
                self.transfer(space, to % self.spaces.len(), range, MapMode(mode));
            }
        }
    }

    fn map(
        &mut self,
        space: usize,
        range: Range,
        prot: Prot,
        private: bool,
        object: Option<usize>,
    ) {
        let flags = if private {
            MapFlags::PRIVATE
        } else {
            MapFlags::empty()
        };
        let request = MapRequest {
            address: range.start,
            length: range.end - range.start,
            prot,
            max: Prot::all(),
            flags: flags | MapFlags::FIXED,
            object: object.map(|object| self.objects[object].clone()),
            offset: PAGE_SIZE,
        };
        assert_eq!(self.spaces[space].0.map(request), Ok(range.start));
        let source = object.unwrap_or(self.sources.len());
        self.sources.push((range.end - range.start) / PAGE_SIZE + 1);
        for (index, page) in range.step_by(PAGE_SIZE as usize).enumerate() {
            let source = (source, index as u64 + 1);
            let holds = match (private, object) {
                (true, None) => Holds::Private {
                    source: None,
                    value: None,
                },
                (true, Some(_)) => Holds::Private {
                    source: Some(source),
                    value: None,
                },
                (false, _) => Holds::Shared(source),
            };
            self.spaces[space].1.insert(page, Cell { prot, holds });
        }
    }

    fn protect(&mut self, space: usize, range: Range, prot: Prot) {
        let (system, cells) = &mut self.spaces[space];
        let result = system.protect(range.start, range.end - range.start, prot);
        let pages = (range.end - range.start) / PAGE_SIZE;
        // What a message brought read-only stays so; the model follows.
        match result {
            Ok(()) => {
                assert_eq!(cells.range(range.clone()).count() as u64, pages);
                cells
                    .range_mut(range)
                    .for_each(|(_, cell)| cell.prot = prot);
            }
            Err(ferrix_abi::Error::NoMemory) => {
                assert!((cells.range(range).count() as u64) < pages);
            }
            Err(error) => assert_eq!(error, ferrix_abi::Error::AccessDenied),
        }
    }

    fn write(&mut self, space: usize, address: u64, value: u8) {
        let page = address & !(PAGE_SIZE - 1);
        let there = self.spaces[space].1.get(&page);
        let there = there.is_some_and(|cell| self.is_there(cell));
        let (system, cells) = &mut self.spaces[space];
        // Always byte 7, so that a page has one value.
        let result = system.write(page + 7, &[value]);
        let Some(cell) = cells
            .get_mut(&page)
            .filter(|cell| there && cell.prot.contains(Prot::WRITE))
        else {
            assert!(result.is_err());
            return;
        };
        assert_eq!(result, Ok(()));
        match &mut cell.holds {
            Holds::Private { value: own, .. } => *own = Some(value),
            Holds::Shared(source) | Holds::Lent(source) => {
                self.values.insert(*source, value);
            }
        }
    }

    fn remap(&mut self, space: usize, range: Range, length: u64) {
        let (system, cells) = &mut self.spaces[space];
        let old_length = range.end - range.start;
        let result = system.remap(range.start, old_length, length, RemapFlags::MAY_MOVE, 0);
        let Ok(address) = result else {
            return;
        };
        let moved: Vec<_> = cells
            .range(range.clone())
            .map(|(page, cell)| (*page, *cell))
            .collect();
        assert_eq!(moved.len() as u64, old_length / PAGE_SIZE);
        let first = moved[0].1;
        cells.retain(|page, _| !range.contains(page));
        for (index, page) in (address..address + length)
            .step_by(PAGE_SIZE as usize)
            .enumerate()
        {
            let at = |(object, first): Source| (object, first + index as u64);
            let holds = match first.holds {
                Holds::Private { source, .. } => Holds::Private {
                    source: source.map(at),
                    value: None,
                },
                Holds::Shared(source) => Holds::Shared(at(source)),
                Holds::Lent(_) => unreachable!("what is lent does not move"),
            };
            let fresh = Cell { holds, ..first };
            assert!(cells.insert(page, fresh).is_none());
        }
        for (page, cell) in moved {
            if page - range.start < length {
                cells.insert(page - range.start + address, cell);
            }
        }
    }

    fn fork(&mut self, space: usize) {
        if self.spaces.len() == 4 {
            return;
        }
        let child = self.spaces[space].0.fork().unwrap();
        let mut cells = self.spaces[space].1.clone();
        for cell in cells.values_mut() {
            if let Holds::Lent(_) = cell.holds {
                cell.holds = Holds::Private {
                    source: None,
                    value: Some(self.value(cell)),
                };
            }
        }
        self.spaces.push((child, cells));
    }

    fn transfer(&mut self, from: usize, to: usize, range: Range, mode: MapMode) {
        let length = range.end - range.start;
        let item = MapItem {
            address: range.start,
            length,
            mode: mode.0,
            reserved: 0,
        };
        let target = self.spaces[to].0.clone();
        let Ok(addresses) = self.spaces[from].0.share_ranges(&target, &[item]) else {
            return;
        };
        let there = |page| page - range.start + addresses[0];
        let mut cells: Vec<_> = self.spaces[from]
            .1
            .range(range.clone())
            .map(|(page, cell)| (*page, *cell))
            .collect();
        assert_eq!(cells.len() as u64, length / PAGE_SIZE);
        for (page, cell) in &mut cells {
            let received = match mode {
                MapMode::MOVE => moved(self.spaces[from].1.remove(page).unwrap()),
                MapMode::COPY => copied(*cell),
                _ => {
                    let lent = self.lend(*cell);
                    self.spaces[from].1.insert(*page, lent);
                    let (Holds::Lent(source) | Holds::Shared(source)) = lent.holds else {
                        unreachable!("lending shares")
                    };
                    let prot = if mode == MapMode::SHARE_READ {
                        Prot::READ
                    } else {
                        RW
                    };
                    Cell {
                        prot,
                        holds: Holds::Shared(source),
                    }
                }
            };
            assert!(self.spaces[to].1.insert(there(*page), received).is_none());
        }
    }

    fn lend(&mut self, cell: Cell) -> Cell {
        if !matches!(cell.holds, Holds::Private { .. }) {
            return cell;
        }
        let source = (self.sources.len(), 0);
        self.sources.push(1);
        self.values.insert(source, self.value(&cell));
        Cell {
            prot: cell.prot,
            holds: Holds::Lent(source),
        }
    }

    fn check(&self) {
        for (space, cells) in &self.spaces {
            for (page, cell) in cells {
                let mut byte = [0];
                let result = space.read(page + 7, &mut byte);
                if cell.prot.is_empty() || !self.is_there(cell) {
                    assert!(result.is_err());
                } else {
                    assert_eq!(
                        (result, byte[0]),
                        (Ok(()), self.value(cell)),
                        "page {page:#x}"
                    );
                }
            }
            assert_eq!(space.usage().mapped_bytes, cells.len() as u64 * PAGE_SIZE);
        }
    }
}

type Range = core::ops::Range<u64>;

fn moved(cell: Cell) -> Cell {
    let holds = match cell.holds {
        Holds::Lent(source) => Holds::Shared(source),
        other => other,
    };
    Cell {
        prot: cell.prot - Prot::EXEC,
        holds,
    }
}

fn copied(cell: Cell) -> Cell {
    let holds = match cell.holds {
        Holds::Lent(source) | Holds::Shared(source) => Holds::Private {
            source: Some(source),
            value: None,
        },
        other => other,
    };
    Cell {
        prot: cell.prot - Prot::EXEC,
        holds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn memory_behaves_like_the_model(actions in actions()) {
        let _memory = host::memory();
        let before = free();
        let mut world = World::new();
        let every = actions.len().div_ceil(6);
        for (number, action) in actions.into_iter().enumerate() {
            world.apply(action);
            if number % every == 0 {
                world.check();
            }
        }
        world.check();
        drop(world);
        prop_assert_eq!(free(), before);
    }
}
