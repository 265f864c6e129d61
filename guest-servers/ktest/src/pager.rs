//! Paged objects: pages from a server, dirty pages, changes of size, pagers that fail.

mod object;

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HandleItem, Kind, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::{SIGBUS, SIGKILL};
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_abi::{Call, process::ProcessInfo};
use ferrix_rt::sys::raw::call6;
use ferrix_rt::sys::{ipc, memory, thread, utcb};

use crate::support::*;
pub use object::{Paged, content, map};
use object::{RW, Request, supply};

pub const TESTS: &[Test] = &[
    ("pages_come_when_touched", pages_come_when_touched),
    (
        "a_request_says_what_is_wanted",
        a_request_says_what_is_wanted,
    ),
    ("the_pager_must_supply_before_it_touches", own_touch),
    ("supplying_moves_the_pages", supplying_moves_the_pages),
    ("the_kernel_touches_pages_too", the_kernel_touches_pages_too),
    ("written_pages_are_dirty", written_pages_are_dirty),
    ("no_write_is_lost", no_write_is_lost),
    ("truncation_is_a_bus_error", truncation_is_a_bus_error),
    ("truncation_ends_waits", truncation_ends_waits),
    ("a_failed_page_is_asked_for_again", a_failed_page),
    ("a_dead_pager_is_a_bus_error", a_dead_pager),
    ("a_closed_port_is_a_bus_error", a_closed_port),
    ("a_stuck_pager_is_a_bus_error", a_stuck_pager),
    ("a_killed_waiter_leaves_its_request", a_killed_waiter),
    ("fork_shares_and_copies", fork_shares_and_copies),
    ("clean_pages_are_taken_back", clean_pages_are_taken_back),
    ("touched_pages_are_told", touched_pages_are_told),
    ("the_end_of_use_is_told", the_end_of_use_is_told),
    ("only_the_pager_manages", only_the_pager_manages),
    ("anonymous_objects_change_size", anonymous_objects),
];

fn pages_come_when_touched() -> Outcome {
    let paged = Paged::new(8)?;
    let mut clients = [0; 3];
    for (number, client) in clients.iter_mut().enumerate() {
        *client = spawn(move || {
            let pages = paged.share()?;
            for page in (0..8).rev() {
                // The other clients write other words.
                holds(pages.read(page) >= content(page), "the page is supplied")?;
            }
            word(pages, 0, number + 1).store(number as u64 + 5, SeqCst);
            paged.finish()
        })?;
    }
    paged.serve(3)?;
    clients.into_iter().try_for_each(succeeded)?;
    // What they wrote is in the pager's view.
    (0..3).try_for_each(|n| equal(word(paged.view, 0, n + 1).load(SeqCst), n as u64 + 5))?;
    paged.view.write(7, 70);
    let reader = spawn(|| equal(paged.share()?.read(7), 70))?;
    succeeded(reader)
}

fn a_request_says_what_is_wanted() -> Outcome {
    let paged = Paged::new(40)?;
    paged.supply(12, 1)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        pages.read(10);
        pages.write(20, 1);
        Ok(())
    })?;
    let request = |page, count, access| Request {
        pid,
        page,
        count,
        access,
    };
    equal(paged.request()?, request(10, 2, 0))?;
    equal(paged.supply(10, 3)?, 2)?;
    equal(paged.request()?, request(20, 16, 1))?;
    paged.supply(20, 1)?;
    succeeded(pid)
}

fn own_touch() -> Outcome {
    let pid = spawn(|| {
        let paged = Paged::new(2)?;
        paged.supply(0, 1)?;
        equal(paged.view.read(0), content(0))?;
        fails(write_info(paged.view.address + PAGE_SIZE), Error::Fault)?;
        paged.view.read(1);
        Ok(())
    })?;
    equal(status_of(pid)?, SIGBUS)
}

fn supplying_moves_the_pages() -> Outcome {
    let paged = Paged::new(300)?;
    let source = Pages::new(200)?;
    (0..200)
        .step_by(2)
        .for_each(|page| source.write(page, page + 1));
    // A child shares the source copy-on-write: it keeps what it had.
    let (port, reader) = (ipc::port_create()?, Pages::new(1)?);
    let pid = spawn(|| {
        ipc::call(port, Tag::SHORT, [0; 4])?;
        equal(source.read(4), 5)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    paged.supply(7, 1)?;
    equal(supply(paged.object, 0, source)?, 199)?;
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    equal(paged.view.read(7), content(7))?;
    for page in [0, 1, 2, 63, 64, 65, 198] {
        let expected = if page % 2 == 0 { page + 1 } else { 0 };
        equal((paged.view.read(page), source.read(page)), (expected, 0))?;
    }
    reader.unmap()?;
    succeeded(pid)?;
    fails(supply(paged.object, 299, source), Error::Invalid)?;
    fails(supply(paged.object, 200, paged.view), Error::Invalid)?;
    source.unmap()?;
    fails(supply(paged.object, 200, source), Error::Invalid)?;
    let hole = Pages {
        length: PAGE_SIZE,
        ..source
    };
    fails(supply(paged.object, 200, hole), Error::Fault)
}

/// Touches every page.
fn read_all(pages: Pages) {
    for page in 0..pages.length / PAGE_SIZE {
        pages.read(page);
    }
}

/// Touches a page of a mapping of its own.
fn touch(paged: Paged, page: u64) -> Outcome {
    paged.share()?.read(page);
    Ok(())
}

/// A system call's result in paged memory: the kernel waits for the pager.
fn the_kernel_touches_pages_too() -> Outcome {
    let paged = Paged::new(4)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        // Over the boundary of two absent pages.
        let address = pages.address + 2 * PAGE_SIZE - 16;
        equal(write_info(address)?, 1)?;
        paged.finish()
    })?;
    paged.serve(1)?;
    succeeded(pid)?;
    equal(paged.clean()?, 0b110)?;
    // A futex in an absent page: nobody waits with the core lock held.
    let object = Paged::new(1)?;
    let waiter = spawn(|| {
        let word = object.share()?.address;
        fails(thread::futex_wait(word, 0, 1, 1), Error::WouldBlock)?;
        object.finish()
    })?;
    object.serve(1)?;
    succeeded(waiter)?;
    let killed = spawn(|| {
        write_info(paged.share()?.address)?;
        Ok(())
    })?;
    equal(paged.request()?.pid, killed)?;
    kill(killed as i32, SIGKILL)?;
    equal(status_of(killed)?, SIGKILL)
}

/// Lets the kernel write a `ProcessInfo` of process 1.
fn write_info(address: u64) -> Result<u64, Error> {
    let _ = size_of::<ProcessInfo>();
    // SAFETY: the memory is a test's, used by raw accesses only.
    unsafe { call6(Call::ProcessNext, [0, address, 0, 0, 0, 0]) }
}

fn written_pages_are_dirty() -> Outcome {
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
fn no_write_is_lost() -> Outcome {
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
    let deadline = after_ms(1500);
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

fn truncation_is_a_bus_error() -> Outcome {
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

fn truncation_ends_waits() -> Outcome {
    let paged = Paged::new(4)?;
    let pid = spawn(|| touch(paged, 3))?;
    equal(paged.request()?.page, 3)?;
    memory::object_resize(paged.object, PAGE_SIZE)?;
    equal(status_of(pid)?, SIGBUS)
}

fn a_failed_page() -> Outcome {
    let paged = Paged::new(1)?;
    let pid = spawn(|| touch(paged, 0))?;
    paged.request()?;
    memory::fail(paged.object, 0, 1)?;
    equal(status_of(pid)?, SIGBUS)?;
    let pid = spawn(|| {
        equal(paged.share()?.read(0), content(0))?;
        paged.finish()
    })?;
    paged.serve(1)?;
    succeeded(pid)
}

/// A process that makes an object, hands it over and answers no request.
fn silent_pager(port: Handle) -> Result<(u32, Handle), Failure> {
    let pid = spawn(|| {
        let paged = Paged::new(4)?;
        paged.supply(0, 1)?;
        let handle = paged.client_handle()?;
        put_handle(HandleItem {
            handle: handle.0,
            rights: (Rights::READ | Rights::WRITE).bits(),
        });
        ipc::call(port, Tag::new(0, 1, 0), [0; 4])?;
        Ok(())
    })?;
    ipc::receive(port, Tag::SHORT)?;
    Ok((pid, received_handle()))
}

fn a_dead_pager() -> Outcome {
    let (pager, object) = silent_pager(ipc::port_create()?)?;
    let mut clients = [0; 4];
    for (number, client) in clients.iter_mut().enumerate() {
        *client = spawn(|| {
            let pages = map(object, 4, RW, MapFlags::empty())?;
            equal(pages.read(0), content(0))?;
            pages.read(1 + number as u64 / 2);
            Ok(())
        })?;
        until_asleep(*client)?;
    }
    kill(pager as i32, SIGKILL)?;
    equal(status_of(pager)?, SIGKILL)?;
    for client in clients {
        equal(status_of(client)?, SIGBUS)?;
    }
    // What is there stays; what is not never comes.
    let pages = map(object, 4, RW, MapFlags::empty())?;
    equal(pages.read(0), content(0))?;
    let pid = spawn(|| {
        pages.read(1);
        Ok(())
    })?;
    equal(status_of(pid)?, SIGBUS)
}

fn a_closed_port() -> Outcome {
    let paged = Paged::new(1)?;
    let pid = spawn(|| {
        let pages = paged.share()?;
        ipc::close(paged.port)?;
        pages.read(0);
        Ok(())
    })?;
    paged.request()?;
    ipc::close(paged.port)?;
    equal(status_of(pid)?, SIGBUS)
}

fn a_stuck_pager() -> Outcome {
    let paged = Paged::with_timeout(4, 50_000_000)?;
    let before = after_ms(0);
    let first = spawn(|| touch(paged, 0))?;
    let second = spawn(|| touch(paged, 1))?;
    equal(status_of(first)?, SIGBUS)?;
    equal(status_of(second)?, SIGBUS)?;
    holds(after_ms(0) - before >= 50_000_000, "they waited")?;
    // Nobody waits again, until the pager answers.
    let third = spawn(|| touch(paged, 2))?;
    equal(status_of(third)?, SIGBUS)?;
    paged.supply(3, 1)?;
    let last = spawn(|| touch(paged, 2))?;
    until_asleep(last)?;
    equal(paged.request()?.page, 2)?;
    paged.supply(0, 4)?;
    succeeded(last)
}

/// Two wait for the same page; the first is killed before the pager has received its request.
fn a_killed_waiter() -> Outcome {
    let paged = Paged::new(2)?;
    let mut clients = [0; 2];
    for client in &mut clients {
        *client = spawn(|| equal(paged.share()?.read(0), content(0)))?;
        until_asleep(*client)?;
    }
    kill(clients[0] as i32, SIGKILL)?;
    equal(status_of(clients[0])?, SIGKILL)?;
    equal(paged.request()?.pid, clients[1])?;
    paged.supply(0, 1)?;
    succeeded(clients[1])?;
    // It was asked once.
    equal(
        ipc::receive(paged.port, Tag::SHORT)?.kind,
        Kind::OBJECT_UNUSED,
    )
}

fn fork_shares_and_copies() -> Outcome {
    let paged = Paged::new(4)?;
    let pid = spawn(|| {
        let (shared, copied) = (paged.share()?, paged.map(RW, MapFlags::PRIVATE)?);
        copied.write(0, 1);
        let child = spawn(|| {
            equal((shared.read(0), copied.read(0)), (content(0), 1))?;
            shared.write(1, 5);
            copied.write(0, 2);
            equal(copied.read(1), 5)?;
            copied.write(1, 6);
            equal((shared.read(1), copied.read(1)), (5, 6))
        })?;
        succeeded(child)?;
        equal((shared.read(1), copied.read(1), copied.read(0)), (5, 5, 1))?;
        shared.write(2, 7);
        equal(copied.read(2), 7)?;
        paged.finish()
    })?;
    paged.serve(1)?;
    succeeded(pid)?;
    equal((paged.clean()?, paged.view.read(0)), (0b110, content(0)))
}

fn clean_pages_are_taken_back() -> Outcome {
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
fn touched_pages_are_told() -> Outcome {
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

fn the_end_of_use_is_told() -> Outcome {
    let paged = Paged::new(2)?;
    paged.supply(0, 2)?;
    let none = || {
        let tag = Tag::SHORT.with(Tag::NON_BLOCKING);
        fails(ipc::receive(paged.port, tag), Error::WouldBlock)
    };
    let unused = || {
        let event = ipc::receive(paged.port, Tag::SHORT)?;
        equal(
            (event.kind, event.badge),
            (Kind::OBJECT_UNUSED, object::BADGE),
        )
    };
    for _ in 0..2 {
        let handle = paged.client_handle()?;
        none()?;
        ipc::close(handle)?;
        unused()?;
        none()?;
    }
    // A mapping is a use, and so is its child's.
    let pid = spawn(|| {
        let pages = paged.share()?;
        ipc::call(paged.port, Tag::SHORT, [0; 4])?;
        let child = spawn(|| {
            pages.read(0);
            ipc::call(paged.port, Tag::SHORT, [0; 4])?;
            Ok(())
        })?;
        pages.unmap()?;
        succeeded(child)?;
        ipc::call(paged.port, Tag::SHORT, [0; 4])?;
        Ok(())
    })?;
    let first = ipc::receive(paged.port, Tag::SHORT)?;
    ipc::reply(first.token, Tag::SHORT, [0; 4])?;
    let child = ipc::receive(paged.port, Tag::SHORT)?;
    equal(child.kind, Kind::CALL)?;
    none()?;
    ipc::reply(child.token, Tag::SHORT, [0; 4])?;
    unused()?;
    let last = ipc::receive(paged.port, Tag::SHORT)?;
    equal(last.kind, Kind::CALL)?;
    ipc::reply(last.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)?;
    none()
}

fn only_the_pager_manages() -> Outcome {
    let paged = Paged::new(2)?;
    let handle = paged.client_handle()?;
    let page = Pages::new(1)?;
    fails(supply(handle, 0, page), Error::NotPermitted)?;
    fails(memory::fail(handle, 0, 1), Error::NotPermitted)?;
    fails(memory::clean(handle, 0, 1, &mut [0]), Error::NotPermitted)?;
    fails(memory::object_resize(handle, 1), Error::NotPermitted)?;
    fails(memory::object_discard(handle, 0, 1), Error::NotPermitted)?;
    fails(supply(paged.object, 2, page), Error::Invalid)?;
    fails(supply(paged.object, u64::MAX, page), Error::Invalid)?;
    fails(memory::clean(paged.object, 1, 2, &mut [0]), Error::Invalid)?;
    fails(memory::object_discard(paged.object, 0, 0), Error::Invalid)?;
    fails(
        memory::object_resize(paged.object, u64::MAX),
        Error::Invalid,
    )?;
    let sender = ipc::duplicate(paged.port, Rights::SEND)?;
    fails(memory::paged_create(sender, 1, 1, 0), Error::BadHandle)?;
    let anonymous = memory::object_create(PAGE_SIZE)?;
    fails(supply(anonymous, 0, page), Error::Invalid)
}

fn anonymous_objects() -> Outcome {
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

/// Puts a handle into the message.
fn put_handle(item: HandleItem) {
    // SAFETY: the UTCB is this thread's own and always there.
    unsafe { (*utcb::utcb()).handles[0] = item };
}

/// The received handle.
fn received_handle() -> Handle {
    // SAFETY: as in `put_handle`.
    Handle(unsafe { (*utcb::utcb()).handles[0] }.handle)
}

/// A word of a page, for processes that write at the same time.
fn word(pages: Pages, page: u64, index: usize) -> &'static AtomicU64 {
    assert!(page * PAGE_SIZE < pages.length && index < 512);
    let address = pages.address + page * PAGE_SIZE + index as u64 * 8;
    // SAFETY: aligned, mapped as long as the test uses it, and used atomically only.
    unsafe { &*(address as *const AtomicU64) }
}
