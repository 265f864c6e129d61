//! What a pager does with its object, and changes of size, in the system and in the model.

use super::world::*;
use super::*;

impl World {
    /// Some source pages were never touched, or are shared with a child.
    pub fn supply(&mut self, pages: Range) {
        let values: Vec<u8> = pages.clone().map(|_| self.next_value()).collect();
        for (index, &value) in (0..).zip(&values).filter(|(_, value)| **value != 0) {
            write(&self.pager, SOURCE + index * PAGE_SIZE, value).unwrap();
        }
        let shares_source = self.next.is_multiple_of(5);
        let child = shares_source.then(|| self.pager.fork().unwrap());
        let object = &self.objects[PAGED];
        let result = object.check_pages(pages.start, values.len() as u64);
        let result = result.and_then(|range| self.pager.supply(object, range, SOURCE));
        drop(child);
        let known = &mut self.known[PAGED];
        let fits = pages.end <= known.pages;
        assert_eq!(result.is_ok(), fits);
        if !fits {
            let length = values.len() as u64 * PAGE_SIZE;
            self.pager.discard(SOURCE, length).unwrap();
            return;
        }
        let before = known.content.len();
        for (index, value) in pages.zip(values) {
            let content = Content {
                value,
                dirty: false,
            };
            known.content.entry(index).or_insert(content);
        }
        assert_eq!(result, Ok((known.content.len() - before) as u64));
    }

    fn next_value(&mut self) -> u8 {
        self.next = self.next.wrapping_add(1);
        if self.next.is_multiple_of(3) {
            0
        } else {
            self.next
        }
    }

    pub fn clean(&mut self, pages: Range) {
        let pages = pages.start..pages.end.min(self.known[PAGED].pages);
        if pages.start >= pages.end {
            return;
        }
        let mut bitmap = [0];
        let count = self.objects[PAGED].clean(pages.clone(), &mut bitmap);
        let mut expected = 0;
        for (index, page) in self.known[PAGED].content.range_mut(pages.clone()) {
            expected |= u64::from(page.dirty) << (index - pages.start);
            page.dirty = false;
        }
        assert_eq!(bitmap[0], expected);
        assert_eq!(count, Ok(u64::from(expected.count_ones())));
    }

    pub fn pager_write(&mut self, index: u64, value: u8) {
        let result = write(&self.pager, VIEW + index * PAGE_SIZE, value);
        let known = self.known[PAGED].content.get_mut(&index);
        assert_eq!(result.is_ok(), known.is_some());
        if let Some(page) = known {
            page.value = value;
        }
    }

    pub fn resize(&mut self, object: usize, pages: u64) {
        // The half of a page counts as one.
        let bytes = pages * PAGE_SIZE - PAGE_SIZE / 2 * u64::from(pages != 0);
        let result = self.objects[object].resize(bytes);
        assert_eq!(result.is_ok(), can_change(object));
        if result.is_err() {
            return;
        }
        let known = &mut self.known[object];
        known.pages = pages;
        known.content.retain(|&index, _| index < pages);
        let cells = self
            .spaces
            .iter_mut()
            .flat_map(|(_, cells)| cells.values_mut());
        for cell in cells {
            if let Holds::Private {
                source: Some((shown, index)),
                value,
            } = &mut cell.holds
                && *shown == object
                && *index >= pages
            {
                *value = None;
            }
        }
    }

    /// Takes pages of the object back: of a paged one those that are clean and not locked.
    pub fn punch(&mut self, object: usize, pages: Range) {
        let mut taken = Vec::new();
        let first = pages.start;
        let result = self.objects[object].discard(pages.clone(), |page| taken.push(first + page));
        assert_eq!(result.is_ok(), can_change(object));
        if result.is_err() {
            return;
        }
        let spaces = &self.spaces;
        let locked = |index| {
            let mut cells = spaces.iter().flat_map(|(_, cells)| cells.values());
            cells.any(|cell| cell.lock == Lock::Locked && cell.source() == Some((object, index)))
        };
        let known = &mut self.known[object].content;
        let before = known.clone();
        let stays = |index, page: Content| object == PAGED && (page.dirty || locked(index));
        known.retain(|&index, page| !pages.contains(&index) || stays(index, *page));
        // An anonymous object also has pages that hold only zeroes.
        let gone = before.keys().filter(|index| !known.contains_key(index));
        assert!(gone.clone().all(|index| taken.contains(index)));
        assert!(object != PAGED || gone.count() == taken.len());
        assert_eq!(result, Ok(taken.len() as u64));
    }
}

fn can_change(object: usize) -> bool {
    object == RESIZABLE || object == PAGED
}
