//! Pointers that point nowhere: every call, with every argument that is an address, answers with an error, and
//! nothing else happens.
//!
//! [`calls`] says of each call which arguments those are (a call that it does not know does not compile), [`places`]
//! what is wrong with an address.

mod calls;
mod meanwhile;
mod places;

use alloc::format;
use alloc::string::String;

use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{MapItem, MapMode, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::state;
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::raw::call6;
use ferrix_rt::sys::{ipc, process, thread, utcb};

use crate::support::*;
use calls::{Good, Row, Use, rows};
use places::{Place, Places};

pub const TESTS: &[Test] = &[
    ("every_call", every_call),
    ("ranges_in_messages", ranges_in_messages),
    ("ends_of_threads", ends_of_threads),
    ("unmapped_meanwhile", meanwhile::unmapped),
    ("protected_meanwhile", meanwhile::protected),
];

/// What a call may say of a range that is no program's to map.
const REFUSALS: [Error; 5] = [
    Error::Invalid,
    Error::Fault,
    Error::NoMemory,
    Error::AccessDenied,
    Error::NotFound,
];

fn every_call() -> Outcome {
    let good = Good::new()?;
    let places = Places::new(good.session)?;
    let mut swept = 0;
    for call in (0..=u8::MAX).filter_map(|number| Call::try_from(number).ok()) {
        let rows = rows(call).ok_or_else(|| {
            Failure(format!(
                "{call:?} has no entry: name its addresses in pointers/calls.rs"
            ))
        })?;
        for row in rows {
            swept += sweep(call, row, &places, &good)
                .map_err(|why| Failure(format!("{call:?}, {}: {}", row.what, why.0)))?;
        }
    }
    // Whoever makes the table empty shall notice.
    holds(swept > 500, "hundreds of combinations")?;
    equal(utcb::pid(), good.own_pid)
}

/// Tries every place for one argument; how many.
fn sweep(call: Call, row: &Row, places: &Places, good: &Good) -> Result<usize, Failure> {
    let places = places.wrong(row.how);
    for place in &places {
        let result = attempt(call, row, good, place.address)?;
        let as_expected = match (row.how, result) {
            (Use::Range | Use::Length | Use::Code, Err(error)) => REFUSALS.contains(&error),
            (Use::Word | Use::Key, Err(Error::Invalid)) => !place.address.is_multiple_of(4),
            (_, Err(Error::Fault)) => true,
            (Use::Key, Ok(_)) => place.is_mapped,
            (Use::Perhaps(_), Ok(0)) => true,
            _ => false,
        };
        if !as_expected {
            return Err(unexpected(place, result));
        }
    }
    for place in fitting(row.how, good) {
        if attempt(call, row, good, place.address)? == Err(Error::Fault) {
            return Err(unexpected(&place, Err(Error::Fault)));
        }
    }
    Ok(places.len())
}

fn attempt(
    call: Call,
    row: &Row,
    good: &Good,
    pointer: u64,
) -> Result<Result<u64, Error>, Failure> {
    (row.before)(good)?;
    let args = (row.args)(good, pointer);
    // SAFETY: the pointer is wrong, and the kernel touches nothing; or it is that of a page of this test's.
    let result = unsafe { call6(call, args) };
    (row.after)(good)?;
    Ok(result)
}

fn unexpected(place: &Place, result: Result<u64, Error>) -> Failure {
    let Place { what, address, .. } = place;
    Failure(format!("{result:?} with {what} ({address:#x})"))
}

/// The same call with a pointer that is right is another matter: that shows that the pointer was what was wrong.
/// Data may be at any address, aligned or not, and cross pages.
fn fitting(how: Use, good: &Good) -> impl Iterator<Item = Place> {
    let start = good.pages.address;
    let offsets: &[u64] = match how {
        Use::Range | Use::Length | Use::Code | Use::Word | Use::Key => &[],
        _ => &[0, 1, PAGE_SIZE - 1],
    };
    offsets.iter().map(move |offset| Place {
        what: "a good place",
        address: start + offset,
        is_mapped: true,
    })
}

/// A message with a page range that is not the sender's to give.
fn ranges_in_messages() -> Outcome {
    let port = ipc::port_create()?;
    let receiver = start_thread(move || {
        loop {
            let call = ipc::receive(port, Tag::SHORT)?;
            if call.words[0] == 1 {
                return Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?);
            }
            ipc::reply(call.token, Tag::SHORT, [0; 4])?;
        }
    })?;
    let places = Places::new(Handle::NONE)?;
    for mode in [
        MapMode::SHARE_WRITE,
        MapMode::SHARE_READ,
        MapMode::MOVE,
        MapMode::COPY,
    ] {
        for place in places.wrong(Use::Range) {
            let item = MapItem {
                address: place.address,
                length: PAGE_SIZE,
                mode: mode.0,
                reserved: 0,
            };
            put_map(0, item);
            let result = ipc::call(port, Tag::new(0, 0, 1), [0; 4]).map(|_| 0);
            match result {
                Err(error) if REFUSALS.contains(&error) => {}
                _ => return Err(unexpected(&place, result)),
            }
        }
    }
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    receiver.join()
}

/// A thread's last words are written where it said, if that is possible.
fn ends_of_threads() -> Outcome {
    for place in Places::new(Handle::NONE)?.wrong(Use::Write(4)) {
        let address = place.address;
        start_thread(move || {
            // SAFETY: the place is one that the kernel cannot write to.
            unsafe { thread::exit(address) }
        })?;
        until_alone()?;
    }
    Ok(())
}

fn until_alone() -> Outcome {
    for _ in 0..5000 {
        let own = process::next(utcb::pid() - 1)?;
        equal(own.state == state::ZOMBIE, false)?;
        if own.threads == 1 {
            return Ok(());
        }
        sleep_ms(1);
    }
    Err(Failure(String::from("a thread does not end")))
}
