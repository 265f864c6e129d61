//! Page ranges in messages, in the system and in the model.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::ipc::{MapItem, MapMode};

use super::world::*;
use super::*;

/// A range of a message.
pub type Item = (Range, MapMode);

impl World {
    pub fn send(&mut self, from: usize, to: usize, items: &[Item]) {
        let wire: Vec<_> = items
            .iter()
            .map(|(range, mode)| item(range, *mode))
            .collect();
        let expected = items.iter().try_for_each(|item| self.may_send(from, item));
        let target = self.spaces[to].0.clone();
        let sender = &self.spaces[from].0;
        let result = match &wire[..] {
            [item] => sender.share_range(&target, item).map(|there| vec![there]),
            items => sender
                .share_ranges(&target, items)
                .map(|there| there.to_vec()),
        };
        assert_eq!(result.as_ref().map(drop).map_err(|error| *error), expected);
        // After an error everything is as before.
        let Ok(addresses) = result else {
            return;
        };
        let mut received = Vec::new();
        for ((range, mode), address) in items.iter().zip(addresses) {
            for (page, cell) in self.covered(from, range).unwrap() {
                received.push((
                    page - range.start + address,
                    self.pass(from, page, cell, *mode),
                ));
            }
        }
        for (range, _) in items.iter().filter(|(_, mode)| *mode == MapMode::MOVE) {
            let cells = &mut self.spaces[from].1;
            cells.retain(|page, _| !range.contains(page));
        }
        for (page, cell) in received {
            assert!(self.spaces[to].1.insert(page, cell).is_none());
        }
    }

    fn may_send(&self, from: usize, (range, mode): &Item) -> Result<()> {
        let needed = if *mode == MapMode::SHARE_WRITE {
            Prot::WRITE
        } else {
            Prot::READ
        };
        let shares = *mode == MapMode::SHARE_WRITE || *mode == MapMode::SHARE_READ;
        let cells = &self.spaces[from].1;
        let mut pages = range.clone().step_by(PAGE_SIZE as usize);
        pages.try_for_each(|page| {
            let cell = cells.get(&page).ok_or(Error::Fault)?;
            let private = matches!(cell.holds, Holds::Private { .. });
            let waits = private && cell.names(PAGED) && self.value(cell).is_none();
            if !cell.prot.contains(needed) {
                Err(Error::AccessDenied)
            } else if *mode == MapMode::COPY && cell.names(PHYSICAL) {
                Err(Error::Invalid)
            } else if shares && waits {
                Err(Error::Fault)
            } else {
                Ok(())
            }
        })
    }

    /// What the receiver gets for a page.
    fn pass(&mut self, from: usize, page: u64, cell: Cell, mode: MapMode) -> Cell {
        let (prot, holds) = match mode {
            MapMode::MOVE => (cell.prot - Prot::EXEC, moved(cell.holds)),
            MapMode::COPY => (cell.prot - Prot::EXEC, copied(cell.holds)),
            _ => {
                let source = self.lend(from, page, cell);
                let prot = if mode == MapMode::SHARE_READ {
                    Prot::READ
                } else {
                    RW
                };
                (prot, Holds::Shared(source))
            }
        };
        let private = matches!(holds, Holds::Private { .. });
        Cell {
            prot,
            max: if private { Prot::all() } else { prot },
            inherit: Inherit::ByKind,
            lock: Lock::Unlocked,
            holds,
        }
    }

    /// Turns private memory of the sender into a page of an object.
    fn lend(&mut self, from: usize, page: u64, cell: Cell) -> Source {
        if let Holds::Shared(source) | Holds::Lent(source) = cell.holds {
            return source;
        }
        // Beyond the end of an object there are zeroes now.
        let value = self.value(&cell).unwrap_or(0);
        let source = (self.new_object(1), 0);
        let content = Content { value, dirty: true };
        self.known[source.0].content.insert(0, content);
        let holds = Holds::Lent(source);
        self.spaces[from].1.insert(page, Cell { holds, ..cell });
        source
    }
}

fn item(range: &Range, mode: MapMode) -> MapItem {
    MapItem {
        address: range.start,
        length: range.end - range.start,
        mode: mode.0,
        reserved: 0,
    }
}

fn moved(holds: Holds) -> Holds {
    match holds {
        Holds::Lent(source) => Holds::Shared(source),
        other => other,
    }
}

fn copied(holds: Holds) -> Holds {
    match holds {
        Holds::Lent(source) | Holds::Shared(source) => Holds::Private {
            source: Some(source),
            value: None,
        },
        other => other,
    }
}
