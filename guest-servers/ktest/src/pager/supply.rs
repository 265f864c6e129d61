//! Pages from a server: on demand, ahead of it, for the kernel, across `fork`.

use core::sync::atomic::Ordering::SeqCst;

use ferrix_abi::Error;
use ferrix_abi::ipc::Tag;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::{SIGBUS, SIGKILL};
use ferrix_abi::vm::MapFlags;
use ferrix_rt::sys::{ipc, thread};

use super::object::{Paged, RW, Request, content, supply};
use super::{word, write_info};
use crate::support::*;

pub fn pages_come_when_touched() -> Outcome {
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

pub fn a_request_says_what_is_wanted() -> Outcome {
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

pub fn own_touch() -> Outcome {
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

pub fn supplying_moves_the_pages() -> Outcome {
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

/// A system call's result in paged memory: the kernel waits for the pager.
pub fn the_kernel_touches_pages_too() -> Outcome {
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

pub fn fork_shares_and_copies() -> Outcome {
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
