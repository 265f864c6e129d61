//! What happens to pages that are there: writes, which the pager learns of, changes of size, pages taken back.

use core::sync::atomic::Ordering::SeqCst;

use ferrix_abi::ipc::Tag;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::SIGBUS;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::{ipc, memory};

use super::object::{Paged, RW, content, map};
use super::{read_all, touch, word};
use crate::support::*;

pub fn written_pages_are_dirty() -> Outcome {
    let paged = Paged::new(8)?;
    paged.supply(0, 8)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        let step = || ipc::call(paged.port, Tag::SHORT, [0; 4]).map(drop);
        read_all(pages);
        step()?;
        pages.write(1, 1);
        pages.write(3, 1);
        step()?;
        step()?;
        pages.write(3, 2);
        pages.protect(Prot::READ)?;
        pages.protect(RW)?;
        pages.read(4);
        step()?;
        pages.write(4, 2);
        pages.unmap()?;
        Ok(step()?)
    })?;
    for expected in [0, 0b1010, 0, 0b1000, 0b10000] {
        let call = paged.call()?;
        paged.view.write(6, expected);
        equal(paged.clean()?, expected)?;
        ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    }
    equal(paged.view.read(3), 2)?;
    succeeded(pid)
}

/// Writers on all CPUs, against a pager that cleans and saves: in the end what is saved is what is there.
pub fn no_write_is_lost() -> Outcome {
    const PAGES: u64 = 4;
    let paged = Paged::new(PAGES)?;
    paged.supply(0, PAGES)?;
    let stop = Pages::shared(1)?;
    let mut writers = [0; 4];
    for (number, writer) in writers.iter_mut().enumerate() {
        *writer = spawn(move || {
            let pages = paged.share()?;
            let mut count = 0;
            while stop.futex().load(SeqCst) == 0 {
                count += 1;
                word(pages, count % PAGES, number + 1).store(count, SeqCst);
            }
            Ok(())
        })?;
    }
    let mut saved = [[0; 5]; PAGES as usize];
    let deadline = after_ms(500);
    loop {
        let last = after_ms(0) > deadline;
        if last {
            stop.futex().store(1, SeqCst);
            writers.into_iter().try_for_each(succeeded)?;
        }
        let dirty = paged.clean()?;
        for page in (0..PAGES).filter(|page| dirty & 1 << page != 0) {
            for (number, slot) in saved[page as usize].iter_mut().enumerate() {
                *slot = word(paged.view, page, number).load(SeqCst);
            }
        }
        if last {
            break;
        }
        sleep_ms(1);
    }
    for page in 0..PAGES {
        for (number, slot) in saved[page as usize].iter().enumerate().skip(1) {
            equal(*slot, word(paged.view, page, number).load(SeqCst))?;
        }
    }
    holds(
        saved.iter().flatten().any(|&count| count != 0),
        "they wrote",
    )
}

pub fn truncation_is_a_bus_error() -> Outcome {
    let paged = Paged::new(4)?;
    paged.supply(0, 4)?;
    for page in [2, 3] {
        let pid = spawn(|| {
            let (shared, copied) = (paged.share()?, paged.map(RW, MapFlags::PRIVATE)?);
            (0..4).for_each(|page| copied.write(page, shared.read(page)));
            ipc::call(paged.port, Tag::SHORT, [0; 4])?;
            equal((shared.read(1), copied.read(1)), (content(1), content(1)))?;
            shared.read(page);
            Ok(())
        })?;
        let call = paged.call()?;
        memory::object_resize(paged.object, 2 * PAGE_SIZE - 5)?;
        equal(memory::object_size(paged.object)?, 2 * PAGE_SIZE - 5)?;
        ipc::reply(call.token, Tag::SHORT, [0; 4])?;
        equal(status_of(pid)?, SIGBUS)?;
        // Grown again, the pages are absent.
        memory::object_resize(paged.object, 4 * PAGE_SIZE)?;
        equal(paged.supply(0, 4)?, 2)?;
    }
    memory::object_resize(paged.object, 0)?;
    let pid = spawn(|| touch(paged, 0))?;
    equal(status_of(pid)?, SIGBUS)
}

pub fn truncation_ends_waits() -> Outcome {
    let paged = Paged::new(4)?;
    let pid = spawn(|| touch(paged, 3))?;
    equal(paged.request()?.page, 3)?;
    memory::object_resize(paged.object, PAGE_SIZE)?;
    equal(status_of(pid)?, SIGBUS)
}

pub fn clean_pages_are_taken_back() -> Outcome {
    let paged = Paged::new(8)?;
    paged.supply(0, 8)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        read_all(pages);
        pages.write(2, 22);
        ipc::call(paged.port, Tag::SHORT, [0; 4])?;
        equal((pages.read(2), pages.read(5)), (22, content(5)))?;
        paged.finish()
    })?;
    let call = paged.call()?;
    equal(memory::object_discard(paged.object, 0, 8)?, 7)?;
    equal(memory::object_discard(paged.object, 0, 8)?, 0)?;
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    equal(paged.request()?.page, 5)?;
    paged.supply(5, 1)?;
    paged.serve(1)?;
    succeeded(pid)?;
    equal(paged.clean()?, 0b100)?;
    equal(memory::object_discard(paged.object, 0, 8)?, 2)
}

/// Once: each touch is told one time, and the pager's own are not.
pub fn touched_pages_are_told() -> Outcome {
    let paged = Paged::new(8)?;
    paged.supply(0, 8)?;
    let told = || {
        let mut bitmap = [0];
        memory::referenced(paged.object, 0, 8, &mut bitmap)?;
        Ok::<u64, Failure>(bitmap[0])
    };
    equal(told()?, 0)?;
    let (go_on, pages) = (Pages::shared(1)?, paged.share()?);
    (0..8).for_each(|page| _ = paged.view.read(page));
    equal(told()?, 0)?;
    let client = spawn(|| {
        let mut seen = 0;
        for bits in [0b1000_0001, 0b10] {
            let each = (0..8).filter(|page| bits >> page & 1 != 0);
            each.for_each(|page| _ = pages.read(page));
            go_on.futex().fetch_add(1, SeqCst);
            wake_all(go_on.futex())?;
            seen += 2;
            while go_on.futex().load(SeqCst) != seen {
                wait_while(go_on.futex(), seen - 1);
            }
        }
        Ok(())
    })?;
    let wait_for = |value| {
        while go_on.futex().load(SeqCst) != value {
            wait_while(go_on.futex(), value - 1);
        }
    };
    wait_for(1);
    equal(told()? & 0b1000_0001, 0b1000_0001)?;
    go_on.futex().store(2, SeqCst);
    wake_all(go_on.futex())?;
    wait_for(3);
    equal(told()? & 0b1000_0010, 0b10)?;
    go_on.futex().store(4, SeqCst);
    wake_all(go_on.futex())?;
    succeeded(client)
}

pub fn anonymous_objects() -> Outcome {
    let object = memory::object_create(0)?;
    memory::object_resize(object, 3 * PAGE_SIZE)?;
    let pages = map(object, 3, RW, MapFlags::empty())?;
    (0..3).for_each(|page| pages.write(page, page + 1));
    let pid = spawn(|| {
        equal((pages.read(0), pages.read(2)), (1, 3))?;
        memory::object_resize(object, PAGE_SIZE)?;
        equal(pages.read(0), 1)?;
        pages.read(1);
        Ok(())
    })?;
    equal(status_of(pid)?, SIGBUS)?;
    memory::object_resize(object, 3 * PAGE_SIZE)?;
    equal((pages.read(0), pages.read(1), pages.read(2)), (1, 0, 0))?;
    pages.write(1, 9);
    equal(memory::object_discard(object, 0, 2)?, 2)?;
    equal((pages.read(0), pages.read(1)), (0, 0))
}
