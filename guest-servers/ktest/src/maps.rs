//! Page ranges in messages.

use ferrix_abi::Error;
use ferrix_abi::ipc::{MapItem, MapMode, Tag};
use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};
use ferrix_abi::signal::number::SIGSEGV;
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::ipc;

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("share_for_writing", share_for_writing),
    ("share_for_reading", share_for_reading),
    ("move_away", move_away),
    ("copy_on_write", copy_on_write),
    ("in_a_reply", in_a_reply),
    ("malformed_ranges", malformed_ranges),
    ("all_or_none", all_or_none),
];

const ONE: Tag = Tag::new(0, 0, 1);

/// A client that sends two pages, of which the first holds 1, in a mode and then looks at them.
fn client(
    port: ferrix_abi::handle::Handle,
    mode: MapMode,
    afterwards: fn(Pages) -> Outcome,
) -> Result<u32, Failure> {
    spawn(|| {
        let pages = Pages::new(2)?;
        pages.write(0, 1);
        put_map(0, pages.item(mode));
        ipc::call(port, ONE, [0; 4])?;
        afterwards(pages)
    })
}

fn share_for_writing() -> Outcome {
    let port = ipc::port_create()?;
    let pid = client(port, MapMode::SHARE_WRITE, |pages| {
        equal((pages.read(0), pages.read(1)), (2, 99))
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    equal(call.tag, ONE)?;
    let pages = received_map(0);
    equal((pages.length, pages.read(0)), (2 * PAGE_SIZE, 1))?;
    pages.write(0, 2);
    pages.write(1, 99);
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)?;
    // The pages live on without the sender.
    equal(pages.read(1), 99)?;
    pages.unmap()
}

fn share_for_reading() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let pages = Pages::new(1)?;
        for value in [5, 6] {
            pages.write(0, value);
            let tag = if value == 5 { ONE } else { Tag::SHORT };
            put_map(0, pages.item(MapMode::SHARE_READ));
            ipc::call(port, tag, [0; 4])?;
        }
        Ok(())
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let pages = received_map(0);
    equal(pages.read(0), 5)?;
    fails(pages.protect(Prot::READ | Prot::WRITE), Error::AccessDenied)?;
    let call = ipc::reply_receive(port, call.token, Tag::SHORT, [0; 4])?;
    equal(pages.read(0), 6)?;
    let writer = spawn(|| {
        pages.write(0, 7);
        Ok(())
    })?;
    equal(status_of(writer)?, SIGSEGV)?;
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)
}

fn move_away() -> Outcome {
    let port = ipc::port_create()?;
    let pid = client(port, MapMode::MOVE, |pages| {
        pages.read(0);
        Ok(())
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let pages = received_map(0);
    equal((pages.read(0), pages.read(1)), (1, 0))?;
    pages.write(0, 3);
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    equal(status_of(pid)?, SIGSEGV)?;
    equal(pages.read(0), 3)
}

fn copy_on_write() -> Outcome {
    let port = ipc::port_create()?;
    let pid = client(port, MapMode::COPY, |pages| {
        equal((pages.read(0), pages.read(1)), (1, 0))?;
        pages.write(1, 4);
        Ok(())
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let pages = received_map(0);
    equal(pages.read(0), 1)?;
    pages.write(0, 3);
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)?;
    equal((pages.read(0), pages.read(1)), (3, 0))
}

fn in_a_reply() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let reply = ipc::call(port, Tag::SHORT, [0; 4])?;
        equal(reply.tag, Tag::new(0, 0, 4))?;
        for index in 0..4 {
            equal(received_map(index).read(0), index as u64 + 1)?;
        }
        Ok(())
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    for index in 0..4 {
        let pages = Pages::new(1)?;
        pages.write(0, index as u64 + 1);
        put_map(index, pages.item(MapMode::COPY));
    }
    ipc::reply(call.token, Tag::new(0, 0, 4), [0; 4])?;
    succeeded(pid)
}

/// A server that must not notice the failing calls, until one with word 1 comes.
fn undisturbed(port: ferrix_abi::handle::Handle) -> Result<u32, Failure> {
    let pid = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        equal(call.words[0], 1)?;
        Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
    })?;
    until_asleep(pid)?;
    Ok(pid)
}

fn malformed_ranges() -> Outcome {
    let port = ipc::port_create()?;
    let pid = undisturbed(port)?;
    let pages = Pages::new(1)?;
    let good = pages.item(MapMode::COPY);
    let item = |address, length, mode| MapItem {
        address,
        length,
        mode,
        reserved: 0,
    };
    for wrong in [
        item(good.address + 8, PAGE_SIZE, 3),
        item(good.address, PAGE_SIZE - 8, 3),
        item(good.address, 0, 3),
        item(good.address, PAGE_SIZE, 4),
        item(good.address, PAGE_SIZE, u32::MAX),
        item(good.address, !(PAGE_SIZE - 1), 3),
        item(USER_TOP, PAGE_SIZE, 3),
        item(0xffff_ffff_8000_0000, PAGE_SIZE, 2),
        item(1 << 63, PAGE_SIZE, 1),
        item(0, PAGE_SIZE, 0),
    ] {
        put_map(0, wrong);
        let error = ipc::call(port, ONE, [0; 4]).err();
        holds(
            matches!(error, Some(Error::Invalid | Error::Fault)),
            "the range is refused",
        )?;
    }
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    succeeded(pid)
}

/// The second range is not there: the first stays with the sender.
fn all_or_none() -> Outcome {
    let port = ipc::port_create()?;
    let pid = undisturbed(port)?;
    let before = ferrix_rt::sys::process::next(pid - 1)?.virtual_bytes;
    let (first, second) = (Pages::new(1)?, Pages::new(2)?);
    first.write(0, 21);
    second.unmap()?;
    put_map(0, first.item(MapMode::MOVE));
    put_map(1, second.item(MapMode::MOVE));
    let two = Tag::new(0, 0, 2);
    fails(ipc::call(port, two, [0; 4]), Error::Fault)?;
    equal(first.read(0), 21)?;
    let after = ferrix_rt::sys::process::next(pid - 1)?.virtual_bytes;
    equal(after, before)?;
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    succeeded(pid)
}
