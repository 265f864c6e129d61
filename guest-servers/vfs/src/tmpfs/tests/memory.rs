//! A store of plain vectors, which programs can "map".

use super::super::store::{PAGE, Store};
use crate::errno::Result;
use core::ops::Range;
use ferrix_abi::handle::Handle;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pages of one object; absent ones are holes.
#[derive(Debug, Default)]
pub struct Object {
    pub pages: BTreeMap<u64, Vec<u8>>,
    pub capacity: u64,
    /// Mappings that somebody else has.
    pub users: u32,
}

/// Looked at from outside as well.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub objects: Rc<RefCell<BTreeMap<u32, Object>>>,
    pub clock: Rc<RefCell<i64>>,
    pub free: Rc<RefCell<u64>>,
    next: Rc<RefCell<u32>>,
}

impl Memory {
    pub fn new() -> Memory {
        let memory = Memory::default();
        *memory.free.borrow_mut() = 1 << 20;
        memory
    }

    /// What a program does through a mapping; false: SIGBUS.
    pub fn poke(&self, handle: Handle, at: u64, byte: u8) -> bool {
        let mut objects = self.objects.borrow_mut();
        let object = objects.get_mut(&handle.0).unwrap();
        if at / PAGE >= object.capacity {
            return false;
        }
        let page = object.pages.entry(at / PAGE);
        page.or_insert_with(|| vec![0; PAGE as usize])[(at % PAGE) as usize] = byte;
        true
    }

    pub fn peek(&self, handle: Handle, at: u64) -> Option<u8> {
        let objects = self.objects.borrow();
        let object = &objects[&handle.0];
        let page = object.pages.get(&(at / PAGE));
        (at / PAGE < object.capacity).then(|| page.map_or(0, |page| page[(at % PAGE) as usize]))
    }

    pub fn live(&self) -> usize {
        self.objects.borrow().len()
    }

    fn copy(&self, object: u32, at: u64, length: usize, mut each: impl FnMut(&mut u8, usize)) {
        let mut objects = self.objects.borrow_mut();
        let object = objects.get_mut(&object).unwrap();
        for index in 0..length {
            let at = at + index as u64;
            assert!(at / PAGE < object.capacity, "the server would get SIGBUS");
            let page = object.pages.entry(at / PAGE);
            let page = page.or_insert_with(|| vec![0; PAGE as usize]);
            each(&mut page[(at % PAGE) as usize], index);
        }
    }
}

impl Store for Memory {
    type Object = u32;

    fn create(&mut self, pages: u64) -> Result<u32> {
        assert!(pages > 0, "the kernel refuses empty objects");
        let mut next = self.next.borrow_mut();
        *next += 1;
        let object = Object {
            capacity: pages,
            ..Object::default()
        };
        self.objects.borrow_mut().insert(*next, object);
        Ok(*next)
    }

    fn resize(&mut self, object: &mut u32, pages: u64) -> Result<()> {
        let mut objects = self.objects.borrow_mut();
        let object = objects.get_mut(object).unwrap();
        object.capacity = pages;
        object.pages.retain(|&page, _| page < pages);
        Ok(())
    }

    fn read(&mut self, object: &u32, at: u64, into: &mut [u8]) -> Result<()> {
        self.copy(*object, at, into.len(), |byte, index| into[index] = *byte);
        Ok(())
    }

    fn write(&mut self, object: &u32, at: u64, from: &[u8]) -> Result<()> {
        self.copy(*object, at, from.len(), |byte, index| *byte = from[index]);
        Ok(())
    }

    fn zero(&mut self, object: &u32, at: u64, length: u64) -> Result<()> {
        assert_eq!(at / PAGE, (at + length - 1) / PAGE);
        self.copy(*object, at, length as usize, |byte, _| *byte = 0);
        Ok(())
    }

    fn discard(&mut self, object: &u32, pages: Range<u64>) -> Result<()> {
        let mut objects = self.objects.borrow_mut();
        let object = objects.get_mut(object).unwrap();
        assert!(pages.end <= object.capacity, "the kernel refuses it");
        object.pages.retain(|page, _| !pages.contains(page));
        Ok(())
    }

    fn present(&mut self, object: &u32, first: u64, present: &mut [u8]) -> Result<u64> {
        let objects = self.objects.borrow();
        let pages = &objects[object].pages;
        for (page, byte) in (first..).zip(present) {
            *byte = pages.contains_key(&page).into();
        }
        Ok(pages.len() as u64)
    }

    fn is_shared(&mut self, object: &u32) -> bool {
        self.objects.borrow()[object].users > 0
    }

    fn give(&mut self, object: u32) -> Handle {
        Handle(object)
    }

    fn delete(&mut self, object: u32) {
        self.objects.borrow_mut().remove(&object).unwrap();
    }

    fn handle(&self, object: &u32) -> Handle {
        Handle(*object)
    }

    fn free_pages(&self) -> u64 {
        let taken: usize = self
            .objects
            .borrow()
            .values()
            .map(|object| object.pages.len())
            .sum();
        self.free.borrow().saturating_sub(taken as u64)
    }

    fn now(&self) -> i64 {
        *self.clock.borrow_mut() += 1;
        *self.clock.borrow()
    }
}
