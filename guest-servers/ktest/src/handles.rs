//! Handles: what they allow, and how they travel.

use ferrix_abi::Error;
use ferrix_abi::error::Result;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{FOREVER, Tag, WaitItem};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::memory::{Mapping, map_anywhere, object_create, object_size};
use ferrix_rt::sys::{ipc, process, system, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("numbers_that_name_nothing", numbers_that_name_nothing),
    ("wrong_kind", wrong_kind),
    ("rights_only_shrink", rights_only_shrink),
    ("object_rights", object_rights),
    ("resource_rights", resource_rights),
    ("copied_in_a_message", copied_in_a_message),
    ("moved_in_a_message", moved_in_a_message),
    ("all_or_none_in_a_message", all_or_none_in_a_message),
    ("not_inherited", not_inherited),
    ("granted", granted),
    ("end_of_the_table", end_of_the_table),
];

/// Calls that want a handle, on one that does not fit.
fn refused(handle: Handle) -> [Result<()>; 13] {
    let item = WaitItem {
        handle: handle.0,
        ..Default::default()
    };
    let mapping = Mapping::shared(handle, PAGE_SIZE, Prot::READ);
    [
        ipc::call(handle, Tag::SHORT, [0; 4]).map(drop),
        ipc::send(handle, Tag::SHORT, [0; 4]),
        ipc::receive(handle, Tag::SHORT).map(drop),
        ipc::session_create(handle, 1, 0).map(drop),
        ipc::session_signal(handle, 1, 0, 0),
        ipc::session_badge(handle, handle).map(drop),
        ipc::port_timer(handle, 1, FOREVER),
        ipc::port_id(handle).map(drop),
        ipc::wait_many(&mut [item], 0).map(drop),
        object_size(handle).map(drop),
        map_anywhere(&mapping).map(drop),
        process::start(handle, 0x40_0000, 0x40_0000, 0, 24).map(drop),
        system::irq_ack(handle),
    ]
}

fn numbers_that_name_nothing() -> Outcome {
    let closed = ipc::port_create()?;
    ipc::close(closed)?;
    for number in [closed.0, 9999, 0x1_0000, i32::MAX as u32, u32::MAX] {
        let handle = Handle(number);
        for result in refused(handle) {
            fails(result, Error::BadHandle)?;
        }
        fails(ipc::close(handle), Error::BadHandle)?;
        fails(ipc::duplicate(handle, Rights::all()), Error::BadHandle)?;
    }
    fails(ipc::close(Handle::NONE), Error::BadHandle)?;
    fails(
        ipc::call(Handle::NONE, Tag::SHORT, [0; 4]),
        Error::BadHandle,
    )
}

/// The resource is no port, no session, no object, no process.
fn wrong_kind() -> Outcome {
    for result in refused(resource()) {
        fails(result, Error::BadHandle)?;
    }
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 1, 0)?;
    fails(ipc::receive(session, Tag::SHORT), Error::BadHandle)?;
    fails(ipc::session_create(session, 2, 0), Error::BadHandle)?;
    fails(object_size(port), Error::BadHandle)
}

fn rights_only_shrink() -> Outcome {
    let port = ipc::port_create()?;
    let sender = ipc::duplicate(port, Rights::SEND)?;
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(sender, none), Error::BadHandle)?;
    fails(ipc::session_create(sender, 1, 0), Error::BadHandle)?;
    fails(ipc::port_timer(sender, 1, FOREVER), Error::BadHandle)?;
    fails(ipc::duplicate(sender, Rights::SEND), Error::BadHandle)?;
    equal(ipc::port_id(sender)?, ipc::port_id(port)?)?;
    let receiver = ipc::duplicate(port, Rights::RECEIVE | Rights::DUP)?;
    fails(ipc::call(receiver, none, [0; 4]), Error::BadHandle)?;
    fails(ipc::receive(receiver, none), Error::WouldBlock)?;
    // Asking for more gives no more.
    let more = ipc::duplicate(receiver, Rights::all())?;
    fails(ipc::call(more, none, [0; 4]), Error::BadHandle)
}

fn object_rights() -> Outcome {
    let object = object_create(PAGE_SIZE)?;
    equal(object_size(object)?, PAGE_SIZE)?;
    let reader = ipc::duplicate(object, Rights::READ)?;
    let both = Prot::READ | Prot::WRITE;
    let writable = Mapping::shared(reader, PAGE_SIZE, both);
    fails(map_anywhere(&writable), Error::AccessDenied)?;
    let address = map_anywhere(&Mapping::shared(reader, PAGE_SIZE, Prot::READ))?;
    let shown = Pages {
        address,
        length: PAGE_SIZE,
    };
    fails(shown.protect(both), Error::AccessDenied)?;
    let address = map_anywhere(&Mapping::shared(object, PAGE_SIZE, both))?;
    let length = PAGE_SIZE;
    Pages { address, length }.write(0, 11);
    equal(shown.read(0), 11)
}

fn resource_rights() -> Outcome {
    let none = ipc::duplicate(resource(), Rights::DUP)?;
    let port = ipc::port_create()?;
    for wrong in [none, port, Handle::NONE, Handle(9999)] {
        for result in [
            process::create(b"x", wrong).map(drop),
            system::power_off(3, wrong),
            system::irq_bind(5, port, 1, wrong).map(drop),
            ferrix_rt::sys::memory::object_contiguous(PAGE_SIZE, wrong).map(drop),
            ferrix_rt::sys::memory::object_physical(0xfee0_0000, PAGE_SIZE, wrong).map(drop),
        ] {
            let error = result.err();
            holds(
                matches!(error, Some(Error::NotPermitted | Error::BadHandle)),
                "without the right it is refused",
            )?;
        }
    }
    Ok(())
}

/// The receiver gets no more than what was named; the sender keeps its own.
fn copied_in_a_message() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let own = ipc::port_create()?;
        utcb::put_handle(0, own, Rights::SEND);
        utcb::put_handle(1, own, Rights::SEND | Rights::DUP);
        ipc::call(port, Tag::new(0, 2, 0), [ipc::port_id(own)?, 0, 0, 0])?;
        let sent = ipc::receive(own, Tag::SHORT)?;
        equal(sent.words[0], 12)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    equal(call.tag, Tag::new(0, 2, 0))?;
    let (handle, rights) = utcb::item(0);
    equal(rights, Rights::SEND.bits())?;
    equal(ipc::port_id(handle)?, call.words[0])?;
    fails(ipc::duplicate(handle, Rights::SEND), Error::BadHandle)?;
    let second = utcb::received_handle(1);
    ipc::close(ipc::duplicate(second, Rights::SEND)?)?;
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    ipc::send(handle, Tag::SHORT, [12, 0, 0, 0])?;
    succeeded(pid)
}

fn moved_in_a_message() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let own = ipc::port_create()?;
        utcb::move_handle(0, own, Rights::all());
        ipc::call(port, Tag::new(0, 1, 0), [0; 4])?;
        fails(ipc::port_id(own), Error::BadHandle)
    })?;
    let call = ipc::receive(port, Tag::SHORT)?;
    let moved = utcb::received_handle(0);
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(moved, none), Error::WouldBlock)?;
    ipc::reply(call.token, Tag::SHORT, [0; 4])?;
    succeeded(pid)
}

/// One wrong handle, and none leaves the sender nor reaches the receiver.
fn all_or_none_in_a_message() -> Outcome {
    let port = ipc::port_create()?;
    let pid = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        equal(call.words[0], 1)?;
        Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
    })?;
    until_asleep(pid)?;
    let handles = process::next(pid - 1)?.handles;
    let own = ipc::port_create()?;
    let fixed = ipc::duplicate(own, Rights::SEND | Rights::DUP)?;
    let two = Tag::new(0, 2, 0);
    utcb::move_handle(0, own, Rights::all());
    utcb::put_handle(1, Handle(9999), Rights::all());
    fails(ipc::call(port, two, [0; 4]), Error::BadHandle)?;
    utcb::move_handle(1, fixed, Rights::all());
    fails(ipc::call(port, two, [0; 4]), Error::BadHandle)?;
    utcb::move_handle(1, own, Rights::all());
    fails(ipc::call(port, two, [0; 4]), Error::Invalid)?;
    ipc::port_id(own)?;
    equal(process::next(pid - 1)?.handles, handles)?;
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    succeeded(pid)
}

fn not_inherited() -> Outcome {
    let port = ipc::port_create()?;
    let private = ipc::duplicate(port, Rights::all() | Rights::NO_INHERIT)?;
    let pid = spawn(|| {
        fails(ipc::port_id(private), Error::BadHandle)?;
        ipc::port_id(port)?;
        Ok(())
    })?;
    succeeded(pid)?;
    ipc::port_id(private)?;
    Ok(())
}

/// Into an empty process, which is then ended.
fn granted() -> Outcome {
    let (child, pid) = process::create(b"empty", resource())?;
    let port = ipc::port_create()?;
    ipc::grant(child, port, Rights::SEND)?;
    equal(process::next(pid - 1)?.handles, 1)?;
    let reader = ipc::duplicate(child, Rights::READ)?;
    fails(ipc::grant(reader, port, Rights::SEND), Error::BadHandle)?;
    fails(
        ipc::grant(child, Handle(9999), Rights::SEND),
        Error::BadHandle,
    )?;
    kill(pid as i32, ferrix_abi::signal::number::SIGKILL)?;
    equal(status_of(pid)?, ferrix_abi::signal::number::SIGKILL)?;
    fails(ipc::grant(child, port, Rights::SEND), Error::NoSuchProcess)
}

/// The last handle that fits does, the next is refused, and a closed one makes room again.
fn end_of_the_table() -> Outcome {
    let port = ipc::port_create()?;
    let mut last = port;
    let refused = loop {
        match ipc::duplicate(port, Rights::SEND) {
            Ok(handle) => last = handle,
            Err(error) => break error,
        }
    };
    equal(refused, Error::TooManyHandles)?;
    fails(ipc::port_create(), Error::TooManyHandles)?;
    fails(ipc::session_create(port, 1, 0), Error::TooManyHandles)?;
    ipc::close(last)?;
    ipc::session_create(port, 1, 0)?;
    Ok(())
}
