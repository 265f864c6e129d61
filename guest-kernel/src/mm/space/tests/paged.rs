//! Random faults, supplies, writes and changes of size of a paged object in several address spaces, against
//! a model that knows only pages and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrix_abi::layout::{MMAP_BASE, PAGE_SIZE};
use ferrix_abi::vm::{MapFlags, Prot};
use proptest::prelude::*;

use super::super::*;
use super::{RW, free, request};
use crate::mm::host::{self, PagerLink};
use crate::mm::object::VmObject;

const PAGES: u64 = 8;
/// Where every client maps the object shared, and where privately.
const SHARED: u64 = MMAP_BASE;
const PRIVATE: u64 = MMAP_BASE + 64 * PAGE_SIZE;
/// Where the pager has its view and its private pages.
const SOURCE: u64 = PRIVATE;

#[derive(Clone, Copy, Debug)]
enum Step {
    Supply,
    Clean,
    Resize,
    Discard,
    PagerWrite(u8),
    Map(Zone),
    Unmap(Zone),
    Protect(Prot),
    Lock(Lock),
    Write(Zone, u8),
    Drop(Zone),
    Fork,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Shared,
    Private,
}

impl Zone {
    fn base(self) -> u64 {
        match self {
            Zone::Shared => SHARED,
            Zone::Private => PRIVATE,
        }
    }
}

/// (client, first page, pages, what)
type Action = (usize, u64, u64, Step);

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let zone = prop_oneof![Just(Zone::Shared), Just(Zone::Private)];
    let step = prop_oneof![
        6 => Just(Step::Supply),
        4 => Just(Step::Clean),
        1 => Just(Step::Resize),
        2 => Just(Step::Discard),
        2 => (1u8..).prop_map(Step::PagerWrite),
        3 => zone.clone().prop_map(Step::Map),
        1 => zone.clone().prop_map(Step::Unmap),
        2 => prop_oneof![3 => Just(RW), 1 => Just(Prot::READ), 1 => Just(Prot::empty())].prop_map(Step::Protect),
        1 => prop_oneof![Just(Lock::Locked), Just(Lock::Unlocked)].prop_map(Step::Lock),
        10 => (zone.clone(), 1u8..).prop_map(|(zone, value)| Step::Write(zone, value)),
        1 => zone.prop_map(Step::Drop),
        2 => Just(Step::Fork),
        1 => Just(Step::End),
    ];
    proptest::collection::vec((0..3usize, 0..PAGES, 1..9u64, step), 1..300)
}

/// A page of the object.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Content {
    value: u8,
    dirty: bool,
}

/// A client's mappings, page by page.
#[derive(Clone, Debug, Default)]
struct Client {
    shared: BTreeMap<u64, (Prot, Lock)>,
    /// Own value if it was written.
    private: BTreeMap<u64, Option<u8>>,
}

struct World {
    pager: Arc<AddressSpace>,
    link: PagerLink,
    object: Arc<VmObject>,
    size: u64,
    pages: BTreeMap<u64, Content>,
    clients: Vec<(Arc<AddressSpace>, Client)>,
    next: u8,
}

impl World {
    fn new() -> World {
        let (pager, link) = (AddressSpace::new().unwrap(), PagerLink::default());
        let object = VmObject::paged(PAGES * PAGE_SIZE, link.clone(), pager.id()).unwrap();
        map(&pager, &object, SHARED, 0..PAGES, MapFlags::FIXED);
        let source = MapRequest {
            address: SOURCE,
            ..request(16 * PAGE_SIZE, RW, MapFlags::PRIVATE.union(MapFlags::FIXED))
        };
        pager.map(source).unwrap();
        World {
            pager,
            link,
            object,
            size: PAGES,
            pages: BTreeMap::new(),
            clients: vec![(AddressSpace::new().unwrap(), Client::default())],
            next: 1,
        }
    }

    fn apply(&mut self, (client, first, count, step): Action) {
        let client = client % self.clients.len();
        let pages = first..first + count;
        match step {
            Step::Supply => self.supply(pages),
            Step::Clean => self.clean(pages),
            Step::Resize => self.resize(first),
            Step::Discard => self.discard(pages),
            Step::PagerWrite(value) => self.pager_write(first, value),
            Step::Map(zone) => self.map(client, zone, pages),
            Step::Unmap(zone) => self.unmap(client, zone, pages),
            Step::Protect(prot) => self.protect(client, pages, prot),
            Step::Lock(lock) => self.lock(client, pages, lock),
            Step::Write(zone, value) => self.write(client, zone, first, value),
            Step::Drop(zone) => self.drop_pages(client, zone, pages),
            Step::Fork => self.fork(client),
            Step::End if self.clients.len() > 1 => drop(self.clients.swap_remove(client)),
            Step::End => {}
        }
    }

    /// Some source pages were never touched, or are shared with a child.
    fn supply(&mut self, pages: Range) {
        let mut values = Vec::new();
        for index in 0..pages.end - pages.start {
            self.next = self.next.wrapping_add(1);
            let value = if self.next.is_multiple_of(3) {
                0
            } else {
                self.next
            };
            if value != 0 {
                write(&self.pager, SOURCE + index * PAGE_SIZE, value).unwrap();
            }
            values.push(value);
        }
        let child = self
            .next
            .is_multiple_of(5)
            .then(|| self.pager.fork().unwrap());
        let result = self.object.check_pages(pages.start, values.len() as u64);
        let result = result.and_then(|range| self.pager.supply(&self.object, range, SOURCE));
        drop(child);
        let fits = pages.end <= self.size;
        assert_eq!(result.is_ok(), fits);
        if !fits {
            self.pager
                .discard(SOURCE, values.len() as u64 * PAGE_SIZE)
                .unwrap();
            return;
        }
        let mut new = 0;
        for (index, value) in pages.zip(values) {
            self.pages.entry(index).or_insert_with(|| {
                new += 1;
                Content {
                    value,
                    dirty: false,
                }
            });
        }
        assert_eq!(result, Ok(new));
    }

    fn clean(&mut self, pages: Range) {
        let pages = pages.start..pages.end.min(self.size);
        if pages.start >= pages.end {
            return;
        }
        let mut bitmap = [0];
        let count = self.object.clean(pages.clone(), &mut bitmap).unwrap();
        let mut expected = 0;
        for (index, page) in self.pages.range_mut(pages.clone()) {
            expected |= u64::from(page.dirty) << (index - pages.start);
            page.dirty = false;
        }
        assert_eq!(
            (bitmap[0], count),
            (expected, u64::from(expected.count_ones()))
        );
    }

    fn resize(&mut self, pages: u64) {
        // The half of a page counts as one.
        self.object
            .resize(pages * PAGE_SIZE - PAGE_SIZE / 2 * u64::from(pages != 0))
            .unwrap();
        self.size = pages;
        self.pages.retain(|&index, _| index < pages);
        for (_, client) in &mut self.clients {
            for (_, value) in client.private.range_mut(pages..) {
                *value = None;
            }
        }
    }

    fn discard(&mut self, pages: Range) {
        let locked = |index| {
            let holds = |(_, client): &(_, Client)| {
                let shared = client.shared.get(index);
                shared.is_some_and(|&(_, lock)| lock == Lock::Locked)
            };
            self.clients.iter().any(holds)
        };
        let gone: Vec<u64> = self
            .pages
            .range(pages.clone())
            .filter(|(index, page)| !page.dirty && !locked(*index))
            .map(|(index, _)| *index)
            .collect();
        let (first, mut taken) = (pages.start, Vec::new());
        let count = self
            .object
            .discard(pages, |page| taken.push(first + page))
            .unwrap();
        assert_eq!((count, &taken), (gone.len() as u64, &gone));
        self.pages.retain(|index, _| !gone.contains(index));
    }

    fn pager_write(&mut self, index: u64, value: u8) {
        let result = write(&self.pager, SHARED + index * PAGE_SIZE, value);
        match self.pages.get_mut(&index) {
            Some(page) => {
                assert!(result.is_ok());
                page.value = value;
            }
            None => assert!(result.is_err()),
        }
    }

    fn map(&mut self, client: usize, zone: Zone, pages: Range) {
        let (space, model) = &mut self.clients[client];
        let at = zone.base() + pages.start * PAGE_SIZE;
        let kind = match zone {
            Zone::Shared => MapFlags::FIXED,
            Zone::Private => MapFlags::FIXED | MapFlags::PRIVATE,
        };
        map(space, &self.object, at, pages.clone(), kind);
        for index in pages {
            match zone {
                Zone::Shared => drop(model.shared.insert(index, (RW, Lock::Unlocked))),
                Zone::Private => drop(model.private.insert(index, None)),
            }
        }
    }

    fn unmap(&mut self, client: usize, zone: Zone, pages: Range) {
        let (space, model) = &mut self.clients[client];
        let at = zone.base() + pages.start * PAGE_SIZE;
        space
            .unmap(at, (pages.end - pages.start) * PAGE_SIZE)
            .unwrap();
        match zone {
            Zone::Shared => model.shared.retain(|index, _| !pages.contains(index)),
            Zone::Private => model.private.retain(|index, _| !pages.contains(index)),
        }
    }

    fn protect(&mut self, client: usize, pages: Range, prot: Prot) {
        let (space, model) = &mut self.clients[client];
        let length = (pages.end - pages.start) * PAGE_SIZE;
        let done = space.protect(SHARED + pages.start * PAGE_SIZE, length, prot);
        let all = model.shared.range(pages.clone()).count() as u64 * PAGE_SIZE == length;
        assert_eq!(done.is_ok(), all);
        if all {
            model
                .shared
                .range_mut(pages)
                .for_each(|(_, page)| page.0 = prot);
        }
    }

    fn lock(&mut self, client: usize, pages: Range, lock: Lock) {
        let (space, model) = &mut self.clients[client];
        let length = (pages.end - pages.start) * PAGE_SIZE;
        let done = space.lock_range(SHARED + pages.start * PAGE_SIZE, length, lock);
        let all = model.shared.range(pages.clone()).count() as u64 * PAGE_SIZE == length;
        assert_eq!(done.is_ok(), all);
        if all {
            model
                .shared
                .range_mut(pages)
                .for_each(|(_, page)| page.1 = lock);
        }
    }

    fn write(&mut self, client: usize, zone: Zone, index: u64, value: u8) {
        let (space, model) = &mut self.clients[client];
        let result = write(space, zone.base() + index * PAGE_SIZE, value);
        let shown = self.pages.get_mut(&index);
        let allowed = match zone {
            Zone::Shared => {
                let page = model.shared.get(&index);
                let may = page.is_some_and(|(prot, _)| prot.contains(Prot::WRITE));
                may && shown.is_some_and(|page| {
                    *page = Content { value, dirty: true };
                    true
                })
            }
            Zone::Private => model.private.get_mut(&index).is_some_and(|own| {
                let there = own.is_some() || shown.is_some();
                *own = if there { Some(value) } else { None };
                there
            }),
        };
        assert_eq!(result.is_ok(), allowed);
    }

    /// Drops private copies; shared pages stay.
    fn drop_pages(&mut self, client: usize, zone: Zone, pages: Range) {
        let (space, model) = &mut self.clients[client];
        let at = zone.base() + pages.start * PAGE_SIZE;
        space
            .discard(at, (pages.end - pages.start) * PAGE_SIZE)
            .unwrap();
        if zone == Zone::Private {
            model
                .private
                .range_mut(pages)
                .for_each(|(_, own)| *own = None);
        }
    }

    fn fork(&mut self, client: usize) {
        if self.clients.len() < 3 {
            let (space, model) = &self.clients[client];
            let (child, mut copy) = (space.fork().unwrap(), model.clone());
            copy.shared
                .values_mut()
                .for_each(|page| page.1 = Lock::Unlocked);
            self.clients.push((child, copy));
        }
    }

    fn check(&self) {
        let mut uses = 0;
        for (space, model) in &self.clients {
            for index in 0..PAGES + 8 {
                let shown = self.pages.get(&index).map(|page| page.value);
                let shared = model.shared.get(&index).filter(|page| !page.0.is_empty());
                let expected = shared.and(shown);
                assert_eq!(read(space, SHARED + index * PAGE_SIZE), expected, "{index}");
                let private = model.private.get(&index);
                let expected = private.and_then(|own| own.or(shown));
                assert_eq!(
                    read(space, PRIVATE + index * PAGE_SIZE),
                    expected,
                    "{index}"
                );
            }
            uses += u64::from(!model.shared.is_empty() || !model.private.is_empty());
        }
        for index in 0..PAGES {
            let expected = self.pages.get(&index).map(|page| page.value);
            assert_eq!(read(&self.pager, SHARED + index * PAGE_SIZE), expected);
        }
        assert_eq!(self.object.resident_pages(), self.pages.len() as u64);
        // A client's mappings are uses; how many entries they are is the map's business.
        assert!(self.link.uses() >= uses);
        assert!(uses != 0 || self.link.uses() == 0);
    }
}

type Range = core::ops::Range<u64>;

fn map(space: &AddressSpace, object: &Arc<VmObject>, at: u64, pages: Range, flags: MapFlags) {
    let wanted = MapRequest {
        address: at,
        object: Some(object.clone()),
        offset: pages.start * PAGE_SIZE,
        ..request((pages.end - pages.start) * PAGE_SIZE, RW, flags)
    };
    assert_eq!(space.map(wanted), Ok(at));
}

fn write(space: &AddressSpace, page: u64, value: u8) -> ferrix_abi::error::Result<()> {
    space.write(page + 5, &[value])
}

fn read(space: &AddressSpace, page: u64) -> Option<u8> {
    let mut byte = [0];
    space.read(page + 5, &mut byte).ok().map(|()| byte[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn paged_memory_behaves_like_the_model(actions in actions()) {
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
        let link = world.link.clone();
        drop(world);
        prop_assert_eq!((free(), link.uses()), (before, 0));
    }
}
