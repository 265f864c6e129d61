//! Steps that change what one address space maps, in the system and in the model.

use ferrix_abi::error::Error;
use ferrix_abi::vm::RemapFlags;

use super::step::{Map, Place, SPACES, Sharing, Touched, ZONE_PAGES};
use super::world::*;
use super::*;

impl World {
    pub fn map(&mut self, space: usize, range: Range, mut map: Map) {
        let private = map.sharing == Sharing::Private;
        if !private && map.object.is_some_and(|(object, _)| object == PAGED) {
            // Which of the pages count as written then is left open.
            map.touched = Touched::Later;
        }
        let mut flags = MapFlags::FIXED;
        flags.set(MapFlags::PRIVATE, private);
        flags.set(MapFlags::POPULATE, map.touched == Touched::Now);
        let length = range.end - range.start;
        let object = map.object.map(|(object, _)| self.objects[object].clone());
        let result = self.spaces[space].0.map(MapRequest {
            address: range.start,
            object,
            offset: map.object.map_or(0, |(_, first)| first) * PAGE_SIZE,
            ..request(length, map.prot, flags)
        });
        if private && map.object.is_some_and(|(object, _)| object == PHYSICAL) {
            assert_eq!(result, Err(Error::Invalid));
            return;
        }
        assert_eq!(result, Ok(range.start));
        let source = match map.object {
            None if private => None,
            None => Some((self.new_object(length / PAGE_SIZE), 0)),
            some => some,
        };
        for (index, page) in (0..).zip(range.clone().step_by(PAGE_SIZE as usize)) {
            let source = source.map(|(object, first)| (object, first + index));
            let holds = match source {
                Some(source) if !private => Holds::Shared(source),
                source => Holds::Private {
                    source,
                    value: None,
                },
            };
            let cell = Cell::fresh(map.prot, holds);
            self.spaces[space].1.insert(page, cell);
        }
        if map.touched == Touched::Now {
            self.populate(space, range);
        }
    }

    /// Touches up to the first page that cannot be.
    fn populate(&mut self, space: usize, range: Range) {
        for page in range.step_by(PAGE_SIZE as usize) {
            let cell = self.spaces[space].1[&page];
            let Some(value) = self.value(&cell).filter(|_| !cell.prot.is_empty()) else {
                break;
            };
            if cell.prot.contains(Prot::WRITE) {
                self.put(space, page, value);
            }
        }
    }

    /// Notes a write that the system allowed.
    fn put(&mut self, space: usize, page: u64, value: u8) {
        let Some(cell) = self.spaces[space].1.get_mut(&page) else {
            return;
        };
        match &mut cell.holds {
            Holds::Private { value: own, .. } => *own = Some(value),
            Holds::Shared((object, index)) | Holds::Lent((object, index)) => {
                let content = Content { value, dirty: true };
                self.known[*object].content.insert(*index, content);
            }
        }
    }

    /// As the system call does it: the short way, if it is one.
    pub fn map_more(&mut self, space: usize, pages: u64, prot: Prot) {
        let (system, cells) = &mut self.spaces[space];
        let length = pages * PAGE_SIZE;
        let more = system.map_more(length, prot, MapFlags::PRIVATE);
        let anywhere = || {
            system
                .map(request(length, prot, MapFlags::PRIVATE))
                .unwrap()
        };
        let start = more.unwrap_or_else(anywhere);
        for page in (start..start + length).step_by(PAGE_SIZE as usize) {
            let holds = Holds::Private {
                source: None,
                value: None,
            };
            let before = cells.insert(page, Cell::fresh(prot, holds));
            assert_eq!(before, None, "page {page:#x} was mapped");
        }
    }

    /// As the system call does it: the short way, if it is one.
    pub fn unmap(&mut self, space: usize, range: Range) {
        let (system, cells) = &mut self.spaces[space];
        let length = range.end - range.start;
        if system.unmap_end(range.start, length).is_none() {
            system.unmap(range.start, length).unwrap();
        }
        cells.retain(|page, _| !range.contains(page));
    }

    pub fn protect(&mut self, space: usize, range: Range, prot: Prot) {
        let (system, cells) = &mut self.spaces[space];
        let may = |page| match cells.get(&page) {
            None => Err(Error::NoMemory),
            Some(cell) if !cell.max.contains(prot) => Err(Error::AccessDenied),
            Some(_) => Ok(()),
        };
        let mut pages = range.clone().step_by(PAGE_SIZE as usize);
        let expected = pages.try_for_each(may);
        let result = system.protect(range.start, range.end - range.start, prot);
        assert_eq!(result, expected);
        if result.is_ok() {
            let cells = cells.range_mut(range);
            cells.for_each(|(_, cell)| cell.prot = prot);
        }
    }

    pub fn inherit(&mut self, space: usize, range: Range, inherit: Inherit) {
        let covered = self.covered(space, &range).is_some();
        let (system, cells) = &mut self.spaces[space];
        let result = system.inherit(range.start, range.end - range.start, inherit);
        assert_eq!(result.is_ok(), covered);
        if covered {
            let cells = cells.range_mut(range);
            cells.for_each(|(_, cell)| cell.inherit = inherit);
        }
    }

    pub fn lock(&mut self, space: usize, range: Range, lock: Lock) {
        let covered = self.covered(space, &range).is_some();
        let (system, cells) = &mut self.spaces[space];
        let result = system.lock_range(range.start, range.end - range.start, lock);
        assert_eq!(result.is_ok(), covered);
        if covered {
            cells
                .range_mut(range)
                .for_each(|(_, cell)| cell.lock = lock);
        }
    }

    pub fn write(&mut self, space: usize, page: u64, value: u8) {
        let cell = self.spaces[space].1.get(&page);
        let allowed =
            cell.is_some_and(|cell| cell.prot.contains(Prot::WRITE) && self.value(cell).is_some());
        let system = &self.spaces[space].0;
        // The processor's fault first tries the short way.
        if value.is_multiple_of(2) && system.touch_again(page, Access::Write).is_some() {
            assert!(allowed, "page {page:#x} {cell:?}");
        }
        let result = write(system, page, value);
        assert_eq!(result.is_ok(), allowed, "page {page:#x} {cell:?}");
        if allowed {
            self.put(space, page, value);
        }
    }

    /// Drops private copies.
    pub fn discard(&mut self, space: usize, range: Range) {
        let (system, cells) = &mut self.spaces[space];
        system
            .discard(range.start, range.end - range.start)
            .unwrap();
        for (_, cell) in cells.range_mut(range) {
            if let Holds::Private { value, .. } = &mut cell.holds {
                *value = None;
            }
        }
    }

    pub fn remap(&mut self, space: usize, range: Range, pages: u64, place: Place) {
        let (flags, target) = match place {
            Place::Same => (RemapFlags::empty(), 0),
            Place::Any | Place::Twice => (RemapFlags::MAY_MOVE, 0),
            Place::Kept => (RemapFlags::MAY_MOVE | RemapFlags::KEEP, 0),
            Place::At(page) => (
                RemapFlags::MAY_MOVE | RemapFlags::FIXED,
                MMAP_BASE + (ZONE_PAGES + page) * PAGE_SIZE,
            ),
        };
        let old = if place == Place::Twice {
            range.start..range.start
        } else {
            range
        };
        let old_length = old.end - old.start;
        let covered = self.covered(space, &old);
        let (system, cells) = &mut self.spaces[space];
        let length = pages * PAGE_SIZE;
        let first = cells.get(&old.start).copied();
        let result = system.remap(old.start, old_length, length, flags, target);
        let Ok(address) = result else {
            // One page of plain memory always finds a place.
            let plain = Holds::Private {
                source: None,
                value: None,
            };
            let simple = old_length == PAGE_SIZE && place == Place::Any;
            assert!(!(simple && first.is_some_and(|cell| cell.holds == plain)));
            return;
        };
        let (first, old_cells) = (first.unwrap(), covered.unwrap());
        cells.retain(|page, _| !old.contains(page));
        if place == Place::Kept {
            let rest = old_cells.iter();
            cells.extend(rest.map(|(page, cell)| (*page, cell.further(0))));
        }
        for index in 0..pages {
            let page = address + index * PAGE_SIZE;
            let before = cells.insert(page, first.further(index));
            assert!(before.is_none() || matches!(place, Place::At(_)));
        }
        for (page, cell) in old_cells {
            if page - old.start < length {
                cells.insert(page - old.start + address, cell);
            }
        }
    }

    pub fn fork(&mut self, space: usize) {
        if self.spaces.len() == SPACES {
            return;
        }
        let child = self.spaces[space].0.fork().unwrap();
        let mut cells = self.spaces[space].1.clone();
        cells.retain(|_, cell| cell.inherit == Inherit::ByKind);
        for cell in cells.values_mut() {
            cell.lock = Lock::Unlocked;
            if let Holds::Lent(_) = cell.holds {
                cell.max = Prot::all();
                cell.holds = Holds::Private {
                    source: None,
                    value: self.value(cell),
                };
            }
        }
        self.spaces.push((child, cells));
    }

    pub fn end(&mut self, space: usize) {
        if self.spaces.len() > 1 {
            self.spaces.swap_remove(space);
        }
    }
}
