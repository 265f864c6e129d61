//! Page ranges in messages.

mod failures;
mod objects;

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{MapMode, Tag};
use ferrix_abi::layout::PAGE_SIZE;
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
    ("of_a_shared_object", objects::of_a_shared_object),
    ("of_a_paged_object", objects::of_a_paged_object),
    ("of_a_private_file", objects::of_a_private_file),
    ("of_device_registers", objects::of_device_registers),
    ("malformed_ranges", failures::malformed_ranges),
    ("all_or_none", failures::all_or_none),
    (
        "nothing_is_shared_in_vain",
        failures::nothing_is_shared_in_vain,
    ),
];

const ONE: Tag = Tag::new(0, 0, 1);

/// A client that sends two pages, of which the first holds 1, in a mode and then looks at them.
fn client(port: Handle, mode: MapMode, afterwards: fn(Pages) -> Outcome) -> Result<u32, Failure> {
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
