//! The system under test and what the model knows of it, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

/// Pages of each object at first; none ever has more.
pub const OBJECT_PAGES: u64 = 12;
/// The objects that are there from the beginning, by their numbers; number 0 is contiguous.
pub const RESIZABLE: usize = 1;
pub const PAGED: usize = 2;
pub const PHYSICAL: usize = 3;
/// How many they are.
pub const MADE: usize = 4;

/// Where the pager has its view of its object,
pub const VIEW: u64 = MMAP_BASE;
/// and the private pages that it supplies.
pub const SOURCE: u64 = MMAP_BASE + 64 * PAGE_SIZE;

/// A page of an object: (object, index).
pub type Source = (usize, u64);

/// What a page of an address space is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// Own value if written, else what the source shows, else 0.
    Private {
        source: Option<Source>,
        value: Option<u8>,
    },
    Shared(Source),
    /// Private, but a message shares it.
    Lent(Source),
}

/// A page of an address space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    pub prot: Prot,
    pub max: Prot,
    pub inherit: Inherit,
    pub lock: Lock,
    pub holds: Holds,
}

pub type Cells = BTreeMap<u64, Cell>;
pub type Range = core::ops::Range<u64>;

/// A page that an object has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Content {
    pub value: u8,
    pub dirty: bool,
}

/// What the model knows of an object.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its size.
    pub pages: u64,
    /// Those that are not 0; of a paged object those that it has.
    pub content: BTreeMap<u64, Content>,
}

impl Known {
    pub fn new(pages: u64) -> Known {
        let content = BTreeMap::new();
        Known { pages, content }
    }
}

pub struct World {
    pub spaces: Vec<(Arc<AddressSpace>, Cells)>,
    pub objects: Vec<Arc<VmObject>>,
    /// What is known of `objects`, and of others that mappings and messages have made.
    pub known: Vec<Known>,
    pub pager: Arc<AddressSpace>,
    pub link: PagerLink,
    /// Makes the pages that are supplied differ.
    pub next: u8,
}

impl World {
    pub fn new() -> World {
        let (pager, link) = (AddressSpace::new().unwrap(), PagerLink::default());
        let size = OBJECT_PAGES * PAGE_SIZE;
        let device = Frame(host::KERNEL_PAGES);
        (0..OBJECT_PAGES).for_each(|page| device.offset(page).zero());
        let objects = vec![
            VmObject::contiguous(size).unwrap(),
            VmObject::resizable(size).unwrap(),
            VmObject::paged(size, link.clone(), pager.id()).unwrap(),
            VmObject::physical(device.address(), size).unwrap(),
        ];
        let view = MapRequest {
            address: VIEW,
            object: Some(objects[PAGED].clone()),
            ..request(size, RW, MapFlags::FIXED)
        };
        let source = MapRequest {
            address: SOURCE,
            ..request(16 * PAGE_SIZE, RW, MapFlags::FIXED | MapFlags::PRIVATE)
        };
        pager.map(view).unwrap();
        pager.map(source).unwrap();
        World {
            spaces: vec![(AddressSpace::new().unwrap(), Cells::new())],
            known: vec![Known::new(OBJECT_PAGES); objects.len()],
            objects,
            pager,
            link,
            next: 1,
        }
    }

    /// The source that the model gives to a new object.
    pub fn new_object(&mut self, pages: u64) -> usize {
        self.known.push(Known::new(pages));
        self.known.len() - 1
    }

    fn shows(&self, (object, index): Source) -> Option<u8> {
        let known = &self.known[object];
        let content = known.content.get(&index).map(|content| content.value);
        let fresh = (object != PAGED).then_some(0);
        content.or(fresh).filter(|_| index < known.pages)
    }

    /// What a read finds, access allowed; nothing where there is no page.
    pub fn value(&self, cell: &Cell) -> Option<u8> {
        match cell.holds {
            Holds::Private {
                value: Some(own), ..
            } => Some(own),
            Holds::Private { source: None, .. } => Some(0),
            Holds::Private {
                source: Some(source),
                ..
            }
            | Holds::Shared(source)
            | Holds::Lent(source) => self.shows(source),
        }
    }

    /// The cells of a range if all of it is mapped.
    pub fn covered(&self, space: usize, range: &Range) -> Option<Vec<(u64, Cell)>> {
        let cells = self.spaces[space].1.range(range.clone());
        let cells: Vec<_> = cells.map(|(page, cell)| (*page, *cell)).collect();
        (cells.len() as u64 == (range.end - range.start) / PAGE_SIZE).then_some(cells)
    }

    /// Everything is as the model says.
    pub fn check(&self) {
        let mut users = 0;
        for (space, cells) in &self.spaces {
            for (page, cell) in cells {
                let expected = self.value(cell).filter(|_| !cell.prot.is_empty());
                assert_eq!(read(space, *page), expected, "page {page:#x} {cell:?}");
            }
            assert_eq!(space.usage().mapped_bytes, cells.len() as u64 * PAGE_SIZE);
            users += u64::from(cells.values().any(|cell| cell.names(PAGED)));
        }
        for index in 0..OBJECT_PAGES {
            let expected = self.shows((PAGED, index));
            assert_eq!(read(&self.pager, VIEW + index * PAGE_SIZE), expected);
        }
        let paged = self.known[PAGED].content.len() as u64;
        assert_eq!(self.objects[PAGED].resident_pages(), paged);
        // How many entries they are is the map's business.
        assert!(self.link.uses() >= users);
        assert!(users != 0 || self.link.uses() == 0);
    }
}

impl Cell {
    /// Of a new mapping.
    pub fn fresh(prot: Prot, holds: Holds) -> Cell {
        Cell {
            prot,
            max: Prot::all(),
            inherit: Inherit::ByKind,
            lock: Lock::Unlocked,
            holds,
        }
    }

    /// Whether its mapping is one of the object.
    pub fn names(&self, wanted: usize) -> bool {
        self.source().is_some_and(|(object, _)| object == wanted)
    }

    /// The page of an object that it shows, or did before it was written.
    pub fn source(&self) -> Option<Source> {
        match self.holds {
            Holds::Private { source, .. } => source,
            Holds::Shared(source) | Holds::Lent(source) => Some(source),
        }
    }

    /// As a mapping of the same kind shows it `pages` further on, untouched.
    pub fn further(&self, pages: u64) -> Cell {
        let at = |(object, first): Source| (object, first + pages);
        let holds = match self.holds {
            Holds::Private { source, .. } => Holds::Private {
                source: source.map(at),
                value: None,
            },
            Holds::Shared(source) => Holds::Shared(at(source)),
            Holds::Lent(_) => unreachable!("what is lent does not move"),
        };
        Cell { holds, ..*self }
    }
}

/// Pages have one value, in a byte in their middle.
pub fn write(space: &AddressSpace, page: u64, value: u8) -> ferrix_abi::error::Result<()> {
    space.write(page + 7, &[value])
}

pub fn read(space: &AddressSpace, page: u64) -> Option<u8> {
    let mut byte = [0];
    space.read(page + 7, &mut byte).ok().map(|()| byte[0])
}
