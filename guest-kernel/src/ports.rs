//! Grants of I/O ports to processes, and who owns the log's UART.
//!
//! A grant is named by a handle of the process that asked for it, and ends with that handle. The
//! processor's permission map is opened when a thread first uses a port (see
//! [`arch::ports`](crate::arch::ports)). A grant that contains the UART makes the
//! process its owner: the kernel's log then goes through it (see [`log`](crate::log)).

use ferrix_abi::error::{Error, Result};
use ferrix_abi::machine::PORTS_END;
use ferrix_machine::port::UART;

use crate::arch::ports;
use crate::object::{Core, CoreCell};
use crate::process::Process;
use crate::thread::current;

/// Most grants at a time.
const GRANTS: usize = 8;

#[derive(Clone, Copy)]
struct Range {
    first: u16,
    count: u16,
    owner: &'static Process,
}

impl Range {
    fn overlaps(&self, first: u16, count: u16) -> bool {
        self.first < first + count && first < self.first + self.count
    }

    fn has_uart(&self) -> bool {
        self.overlaps(UART, 1)
    }
}

static RANGES: [CoreCell<Option<Range>>; GRANTS] = [const { CoreCell::new(None) }; GRANTS];
/// Changes with every grant, so that permission maps are known to be out of date.
static VERSION: CoreCell<u32> = CoreCell::new(0);

/// A grant: its place in the list.
#[derive(Clone, Copy, Debug)]
pub struct Grant(u8);

impl Grant {
    /// Gives `count` ports from `first` on to a process.
    pub fn new(core: &Core, first: u64, count: u64, owner: &'static Process) -> Result<Grant> {
        let end = first.checked_add(count).ok_or(Error::Invalid)?;
        if count == 0 || end > PORTS_END as u64 {
            return Err(Error::Invalid);
        }
        let (first, count) = (first as u16, count as u16);
        let mut taken = RANGES.iter().filter_map(|place| place.get(core));
        if taken.any(|range| range.overlaps(first, count)) {
            return Err(Error::Busy);
        }
        let free = RANGES.iter().position(|place| place.get(core).is_none());
        let index = free.ok_or(Error::WouldBlock)?;
        let range = Range {
            first,
            count,
            owner,
        };
        RANGES[index].set(core, Some(range));
        VERSION.add(core, 1);
        if range.has_uart() {
            crate::log::give_away();
        }
        Ok(Grant(index as u8))
    }

    /// Its handle is closed: the process cannot use the ports any more.
    pub fn revoke(self, core: &Core) {
        let range = RANGES[self.0 as usize].take(core);
        VERSION.add(core, 1);
        ports::close_everywhere();
        if range.is_some_and(|range| range.has_uart()) {
            crate::log::take_back();
        }
    }
}

/// The current thread has faulted: if that was for ports of its process, which the processor does
/// not know of yet, it does now, and the instruction is to be tried again. Interrupts are off.
pub fn open(core: &mut Core) -> bool {
    let thread = current();
    let process = thread.process();
    let mut own = [(0, 0); GRANTS];
    for (slot, place) in own.iter_mut().zip(&RANGES) {
        let range = place.get(core);
        if let Some(range) = range.filter(|range| core::ptr::eq(range.owner, process)) {
            *slot = (range.first, range.count);
        }
    }
    if own.iter().all(|&(_, count)| count == 0) {
        return false;
    }
    let whose = [process.pid.get(core), VERSION.get(core)];
    ports::open(thread.arch_mut(core), whose, own.into_iter())
}
