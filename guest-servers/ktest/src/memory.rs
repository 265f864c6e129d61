//! Mappings that move, locked and resident pages, limits.

use core::sync::atomic::Ordering::SeqCst;

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::MemoryLimit;
use ferrix_abi::signal::number::{SIGKILL, SIGSEGV};
use ferrix_abi::vm::{Inheritance, MapFlags, Prot, RemapFlags};
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::memory::{self, Mapping, SELF, map_anywhere};
use ferrix_rt::sys::raw::call6;
use ferrix_rt::sys::{system, thread, utcb};

use crate::options;
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("private_memory_moves", private_memory_moves),
    ("shared_memory_moves", shared_memory_moves),
    ("a_moved_mapping_replaces", a_moved_mapping_replaces),
    ("locked_pages_are_limited", locked_pages_are_limited),
    ("resident_pages_are_told", resident_pages_are_told),
    ("a_child_gets_what_is_said", a_child_gets_what_is_said),
    ("mapped_memory_is_limited", mapped_memory_is_limited),
    ("resident_pages_are_limited", resident_pages_are_limited),
    (
        "mappings_of_others_can_be_seen",
        mappings_of_others_can_be_seen,
    ),
    (
        "forks_and_exits_give_every_page_back",
        forks_and_exits_give_every_page_back,
    ),
    ("three_processes_see_the_same", three_processes_see_the_same),
];

fn remap(pages: Pages, count: u64, how: RemapFlags, to: u64) -> Result<Pages, Error> {
    let length = count * PAGE_SIZE;
    // SAFETY: only raw accesses use the pages.
    let address = unsafe { memory::remap(pages.address, pages.length, length, how, to) }?;
    Ok(Pages { address, length })
}

fn private_memory_moves() -> Outcome {
    let (old, stopper) = (Pages::new(4)?, Pages::new(1)?);
    equal(old.address + old.length, stopper.address)?;
    (0..4).for_each(|page| old.write(page, page + 1));
    fails(remap(old, 6, RemapFlags::empty(), 0), Error::NoMemory)?;
    let new = remap(old, 6, RemapFlags::MAY_MOVE, 0)?;
    holds(new.address != old.address, "it moved")?;
    (0..6).try_for_each(|page| equal(new.read(page), if page < 4 { page + 1 } else { 0 }))?;
    let pid = spawn(|| {
        old.read(0);
        Ok(())
    })?;
    equal(status_of(pid)?, SIGSEGV)?;
    let less = remap(new, 2, RemapFlags::empty(), 0)?;
    equal(less.address, new.address)?;
    let kept = remap(less, 2, RemapFlags::MAY_MOVE | RemapFlags::KEEP, 0)?;
    equal((kept.read(1), less.read(1)), (2, 0))?;
    fails(
        remap(kept, 3, RemapFlags::MAY_MOVE | RemapFlags::KEEP, 0),
        Error::Invalid,
    )
}

fn shared_memory_moves() -> Outcome {
    let object = memory::object_create(6 * PAGE_SIZE)?;
    let whole = Mapping::shared(object, 6 * PAGE_SIZE, Prot::READ | Prot::WRITE);
    let all = Pages {
        address: map_anywhere(&whole)?,
        length: 6 * PAGE_SIZE,
    };
    (0..6).for_each(|page| all.write(page, page + 1));
    let middle = Pages {
        address: all.address + 2 * PAGE_SIZE,
        length: 2 * PAGE_SIZE,
    };
    let moved = remap(middle, 4, RemapFlags::MAY_MOVE, 0)?;
    (0..4).try_for_each(|page| equal(moved.read(page), page + 3))?;
    equal((all.read(1), all.read(4)), (2, 5))?;
    // Mapped a second time.
    let none = Pages { length: 0, ..moved };
    let again = remap(none, 2, RemapFlags::MAY_MOVE, 0)?;
    again.write(1, 44);
    equal((moved.read(1), again.read(0)), (44, 3))?;
    let private = Pages::new(1)?;
    let none = Pages {
        length: 0,
        ..private
    };
    fails(remap(none, 1, RemapFlags::MAY_MOVE, 0), Error::Invalid)
}

fn a_moved_mapping_replaces() -> Outcome {
    let (from, to) = (Pages::new(2)?, Pages::new(4)?);
    from.write(1, 7);
    (0..4).for_each(|page| to.write(page, 9));
    let target = to.address + PAGE_SIZE;
    let moved = remap(from, 2, RemapFlags::MAY_MOVE | RemapFlags::FIXED, target)?;
    equal(moved.address, target)?;
    equal([0, 1, 2, 3].map(|page| to.read(page)), [9, 0, 7, 9])?;
    fails(
        remap(moved, 2, RemapFlags::FIXED, target + PAGE_SIZE),
        Error::Invalid,
    )?;
    fails(remap(moved, 2, RemapFlags::FIXED, 8), Error::Invalid)
}

fn locked_pages_are_limited() -> Outcome {
    let pages = Pages::new(8)?;
    equal(memory::info(0)?.limits, [u64::MAX; 3])?;
    memory::limit(SELF, MemoryLimit::Locked, 6)?;
    fails(memory::lock(pages.address, pages.length), Error::NoMemory)?;
    memory::lock(pages.address + 100, 5 * PAGE_SIZE)?;
    memory::lock(pages.address, PAGE_SIZE)?;
    let mut present = [0; 8];
    memory::resident(pages.address, &mut present)?;
    equal(present, [1, 1, 1, 1, 1, 1, 0, 0])?;
    let info = memory::info(0)?;
    equal(
        (info.used[2], info.limits[2], info.violations[2]),
        (6, 6, 1),
    )?;
    let child = spawn(|| {
        let info = memory::info(0)?;
        equal(
            (info.used[2], info.limits[2], info.violations[2]),
            (0, 6, 0),
        )
    })?;
    succeeded(child)?;
    memory::unlock(pages.address, pages.length)?;
    equal(memory::info(utcb::pid())?.used[2], 0)?;
    let far = pages.address + (1 << 40);
    fails(memory::lock(far, PAGE_SIZE), Error::NoMemory)?;
    let mapping = Mapping {
        flags: MapFlags::PRIVATE | MapFlags::LOCKED,
        ..Mapping::anonymous(7 * PAGE_SIZE, Prot::READ)
    };
    fails(map_anywhere(&mapping), Error::NoMemory)
}

fn resident_pages_are_told() -> Outcome {
    let pages = Pages::shared(600)?;
    pages.write(0, 1);
    pages.write(300, 1);
    let mut present = [9; 600];
    memory::resident(pages.address, &mut present)?;
    equal(
        (present[0], present[299], present[300], present[599]),
        (1, 0, 1, 0),
    )?;
    fails(
        memory::resident(pages.address + 1, &mut present[..1]),
        Error::Invalid,
    )?;
    pages.unmap()?;
    fails(
        memory::resident(pages.address, &mut present[..1]),
        Error::NoMemory,
    )
}

fn a_child_gets_what_is_said() -> Outcome {
    let pages = Pages::new(3)?;
    (0..3).for_each(|page| pages.write(page, 5));
    memory::inherit(pages.address + PAGE_SIZE, PAGE_SIZE, Inheritance::None)?;
    for page in 0..3 {
        let pid = spawn(|| equal(pages.read(page), 5))?;
        let expected = if page == 1 { SIGSEGV } else { 0 };
        equal(status_of(pid)?, expected)?;
    }
    memory::inherit(pages.address, pages.length, Inheritance::ByKind)?;
    let pid = spawn(|| equal(pages.read(1), 5))?;
    succeeded(pid)
}

fn mapped_memory_is_limited() -> Outcome {
    let now = memory::info(0)?.used[0];
    memory::limit(SELF, MemoryLimit::Mapped, now + 3 * PAGE_SIZE)?;
    let pages = Pages::new(2)?;
    holds(Pages::new(2).is_err(), "the limit holds")?;
    fails(remap(pages, 4, RemapFlags::MAY_MOVE, 0), Error::NoMemory)?;
    equal(memory::info(0)?.violations, [2, 0, 0])?;
    memory::limit(SELF, MemoryLimit::Mapped, u64::MAX)?;
    Pages::new(2).map(drop)
}

fn resident_pages_are_limited() -> Outcome {
    let pid = spawn(|| {
        let pages = Pages::new(64)?;
        let now = memory::info(0)?.used[1];
        memory::limit(SELF, MemoryLimit::Resident, now + 20)?;
        // A system call fails; a touch of the program's own ends it.
        fails(memory::lock(pages.address, pages.length), Error::NoMemory)?;
        equal(memory::info(0)?.violations[1], 1)?;
        fails(write_info(pages.address + 60 * PAGE_SIZE), Error::NoMemory)?;
        (0..64).for_each(|page| pages.write(page, 1));
        Ok(())
    })?;
    equal(status_of(pid)?, SIGKILL)
}

/// Lets the kernel write to an address.
fn write_info(address: u64) -> Result<u64, Error> {
    // SAFETY: the memory is a test's, used by raw accesses only.
    unsafe { call6(Call::ProcessNext, [0, address, 0, 0, 0, 0]) }
}

fn mappings_of_others_can_be_seen() -> Outcome {
    let pages = Pages::shared(2)?;
    let pid = spawn(|| after_a_while(1000))?;
    let (own, theirs) = (
        memory::query(SELF, pages.address)?,
        memory::query_pid(pid, pages.address)?,
    );
    equal(own, theirs)?;
    holds(own.object != 0, "an object is named")?;
    fails(memory::query_pid(40_000, 0), Error::NoSuchProcess)?;
    kill(pid as i32, SIGKILL)?;
    equal(status_of(pid)?, SIGKILL)
}

/// `rounds=10000` on the command line makes that many.
fn forks_and_exits_give_every_page_back() -> Outcome {
    let cycles = match options::rounds() {
        1 => 30,
        rounds => rounds,
    };
    // On one CPU: the others keep freed kernel objects for a while.
    thread::set_affinity(0, 1)?;
    let pages = Pages::new(40)?;
    (0..30).for_each(|page| pages.write(page, page));
    let child = |number: u64| {
        let fresh = Pages::new(3)?;
        fresh.write(1, number);
        pages.write(number % 40, number);
        equal((fresh.read(1), pages.read(number % 40)), (number, number))
    };
    // The first ones fill caches.
    (0..3).try_for_each(|number| succeeded(spawn(|| child(number))?))?;
    let before = system::statistics()?;
    (0..cycles).try_for_each(|number| succeeded(spawn(|| child(number))?))?;
    let after = system::statistics()?;
    equal(
        (after.free_pages, after.table_pages, after.processes),
        (before.free_pages, before.table_pages, before.processes),
    )?;
    equal(after.forks - before.forks, cycles)
}

/// Processes take turns: each finds what the two before it wrote, at an address of its own.
fn three_processes_see_the_same() -> Outcome {
    const TURNS: u32 = 100;
    let object = memory::object_create(4 * PAGE_SIZE)?;
    let play = |place: u32| {
        // Another address in each process.
        Pages::new(1 + 2 * u64::from(place))?;
        let whole = Mapping::shared(object, 4 * PAGE_SIZE, Prot::READ | Prot::WRITE);
        let shared = Pages {
            address: map_anywhere(&whole)?,
            length: 4 * PAGE_SIZE,
        };
        let turn = shared.futex();
        for own in (place..TURNS).step_by(3) {
            loop {
                match turn.load(SeqCst) {
                    now if now == own => break,
                    now => wait_while(turn, now),
                }
            }
            for before in own.saturating_sub(2)..own {
                equal(shared.read(1 + u64::from(before % 3)), u64::from(before))?;
            }
            shared.write(1 + u64::from(own % 3), u64::from(own));
            turn.store(own + 1, SeqCst);
            wake_all(turn)?;
        }
        Ok(())
    };
    let others = [spawn(|| play(1))?, spawn(|| play(2))?];
    play(0)?;
    others.into_iter().try_for_each(succeeded)
}
