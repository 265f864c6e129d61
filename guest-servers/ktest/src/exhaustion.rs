//! No memory left: who goes, and who goes on.
//!
//! Zeroing pages is dear where the kernel is emulated. So most of memory is put aside first, untouched; this
//! comes last, because it is not known to be zero afterwards.

use core::sync::atomic::Ordering::SeqCst;

use ferrix_abi::error::Error;
use ferrix_abi::ipc::{Kind, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::memory::{self, Mapping, map_anywhere};
use ferrix_rt::sys::{ipc, system};

use crate::support::*;

pub const TESTS: &[Test] = &[("memory_is_out", memory_is_out)];

/// What is left for those who eat, in pages.
const LEFT: u64 = 1200;

/// Puts memory aside until so many pages are free; it comes back with the process's end. What is free may lie in
/// small pieces.
fn put_aside(left: u64) -> Outcome {
    for pages in [1024, 64, 4, 1] {
        while system::statistics()?.free_pages > left + pages {
            match memory::object_contiguous(pages * PAGE_SIZE, resource()) {
                Ok(_) => {}
                Err(Error::NoMemory) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let free = system::statistics()?.free_pages;
    holds(free < left + 64, "little is left")
}

/// Fills so many pages of an object that nobody maps.
fn hide(pages: u64) -> Outcome {
    let length = pages * PAGE_SIZE;
    let object = memory::object_create(length)?;
    let whole = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
    let view = Pages {
        address: map_anywhere(&whole)?,
        length,
    };
    eat(view)?;
    view.unmap()
}

/// Writes to every page.
fn eat(pages: Pages) -> Outcome {
    for page in 0..pages.length / PAGE_SIZE {
        pages.write(page, page);
    }
    Ok(())
}

fn more_than_all() -> Result<Pages, Failure> {
    Pages::new(2 * LEFT)
}

/// One after the other, because what was put aside is not untouched afterwards.
fn memory_is_out() -> Outcome {
    put_aside(LEFT)?;
    servers_give_back_first()?;
    the_largest_goes()?;
    who_waits_can_be_killed()?;
    fork_bomb()
}

/// A server that keeps pages is asked for them, as often as it has some, before anybody is killed.
fn servers_give_back_first() -> Outcome {
    const KEPT: u64 = 400;
    const STEP: u64 = 50;
    let before = system::statistics()?.free_pages;
    let is_ready = Pages::shared(1)?;
    let server = spawn(|| {
        let port = ipc::port_create()?;
        let kept = memory::object_create(KEPT * PAGE_SIZE)?;
        let whole = Mapping::shared(kept, KEPT * PAGE_SIZE, Prot::READ | Prot::WRITE);
        let view = Pages {
            address: map_anywhere(&whole)?,
            length: whole.length,
        };
        eat(view)?;
        memory::watch(port, 0)?;
        is_ready.futex().store(1, SeqCst);
        wake_all(is_ready.futex())?;
        let mut given = 0;
        loop {
            let event = ipc::receive(port, Tag::SHORT)?;
            equal(event.kind, Kind::MEMORY_LOW)?;
            let mut bitmap = [0];
            let count = match KEPT - given {
                0 => 0,
                _ => memory::object_reclaim(kept, given, STEP, &mut bitmap)?,
            };
            equal(u64::from(bitmap[0].count_ones()), count)?;
            given += count;
            memory::watch(port, count)?;
        }
    })?;
    while is_ready.futex().load(SeqCst) == 0 {
        wait_while(is_ready.futex(), 0);
    }
    let free = system::statistics()?.free_pages;
    succeeded(spawn(|| eat(Pages::new(free)?))?)?;
    equal(status_of(spawn(|| eat(more_than_all()?))?)?, SIGKILL)?;
    kill(server as i32, SIGKILL)?;
    equal(status_of(server)?, SIGKILL)?;
    let after = system::statistics()?.free_pages;
    holds(after + 300 > before, "the memory is back")
}

/// Waits until the gate, a shared page, is open.
fn wait_for(gate: Pages) {
    while gate.futex().load(SeqCst) == 0 {
        wait_while(gate.futex(), 0);
    }
}

fn open(gate: Pages) -> Outcome {
    gate.futex().store(1, SeqCst);
    wake_all(gate.futex())?;
    Ok(())
}

/// Two that eat, one of them in a system call: both go, one after the other, and nobody else does.
fn the_largest_goes() -> Outcome {
    let before = system::statistics()?.free_pages;
    let (small, go_on) = (Pages::new(100)?, Pages::shared(1)?);
    let begin = Pages::shared(1)?;
    eat(small)?;
    let bystander = spawn(|| {
        eat(small)?;
        wait_for(go_on);
        let more = Pages::new(500)?;
        eat(more)?;
        equal(more.read(499), 499)
    })?;
    // Neither eats before both are there: the second could not be made.
    let eaters = [
        spawn(|| {
            wait_for(begin);
            eat(more_than_all()?)
        })?,
        spawn(|| {
            wait_for(begin);
            let pages = more_than_all()?;
            Ok(memory::lock(pages.address, pages.length)?)
        })?,
    ];
    open(begin)?;
    for eater in eaters {
        equal(status_of(eater)?, SIGKILL)?;
    }
    open(go_on)?;
    succeeded(bystander)?;
    let after = system::statistics()?.free_pages;
    holds(after + 300 > before, "the memory is back")
}

fn who_waits_can_be_killed() -> Outcome {
    let begin = Pages::shared(1)?;
    let eater = || {
        wait_for(begin);
        eat(more_than_all()?)
    };
    let eaters = [spawn(eater)?, spawn(eater)?];
    open(begin)?;
    sleep_ms(20);
    for eater in eaters {
        kill(eater as i32, SIGKILL)?;
        equal(status_of(eater)?, SIGKILL)?;
    }
    Ok(())
}

/// Processes until there is no memory for one more: an error, and nobody is harmed.
fn fork_bomb() -> Outcome {
    hide(system::statistics()?.free_pages - 750)?;
    let stop = Pages::shared(1)?;
    let mut children = 0;
    // Each is larger than who makes them, so the rule never picks that one.
    let child = || {
        eat(Pages::new(16)?)?;
        while stop.futex().load(SeqCst) == 0 {
            wait_while(stop.futex(), 0);
        }
        Ok(())
    };
    while children < 200 && spawn(child).is_ok_and(|pid| until_asleep(pid).is_ok()) {
        children += 1;
    }
    holds(children > 10, "some are possible")?;
    holds(children < 200, "but not all")?;
    stop.futex().store(1, SeqCst);
    wake_all(stop.futex())?;
    Ok(())
}
