//! Messages whose page ranges are refused: nothing changes hands.

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{MapItem, MapMode, Tag};
use ferrix_abi::layout::{PAGE_SIZE, USER_TOP};
use ferrix_abi::vm::{MapFlags, Prot, RemapFlags};
use ferrix_rt::sys::memory::{self, SELF};
use ferrix_rt::sys::{ipc, process};

use super::ONE;
use crate::pager::{Paged, content};
use crate::support::*;

/// A server that must not notice the failing calls, until one with word 1 comes.
fn undisturbed(port: Handle) -> Result<u32, Failure> {
    let pid = spawn(|| {
        let call = ipc::receive(port, Tag::SHORT)?;
        equal(call.words[0], 1)?;
        Ok(ipc::reply(call.token, Tag::SHORT, [0; 4])?)
    })?;
    until_asleep(pid)?;
    Ok(pid)
}

pub fn malformed_ranges() -> Outcome {
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
pub fn all_or_none() -> Outcome {
    let port = ipc::port_create()?;
    let pid = undisturbed(port)?;
    let before = process::next(pid - 1)?.virtual_bytes;
    let (first, second) = (Pages::new(1)?, Pages::new(2)?);
    first.write(0, 21);
    second.unmap()?;
    put_map(0, first.item(MapMode::MOVE));
    put_map(1, second.item(MapMode::MOVE));
    let two = Tag::new(0, 0, 2);
    fails(ipc::call(port, two, [0; 4]), Error::Fault)?;
    equal(first.read(0), 21)?;
    let after = process::next(pid - 1)?.virtual_bytes;
    equal(after, before)?;
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    succeeded(pid)
}

/// Memory that is to be shared becomes an object first, which neither moves nor drops its pages: not if a later
/// range is refused for any reason.
pub fn nothing_is_shared_in_vain() -> Outcome {
    let port = ipc::port_create()?;
    let pid = undisturbed(port)?;
    let paged = Paged::new(2)?;
    paged.supply(0, 1)?;
    let file = paged.map(Prot::READ | Prot::WRITE, MapFlags::PRIVATE)?;
    let (hole, guarded) = (Pages::new(3)?, Pages::new(2)?);
    // SAFETY: only raw accesses use the pages.
    unsafe { memory::unmap(SELF, hole.address + PAGE_SIZE, PAGE_SIZE) }?;
    guarded.protect(Prot::READ)?;
    for (second, error) in [
        (hole.item(MapMode::COPY), Error::Fault),
        (hole.item(MapMode::SHARE_WRITE), Error::Fault),
        (guarded.item(MapMode::SHARE_WRITE), Error::AccessDenied),
        (guarded.item(MapMode(9)), Error::Invalid),
        (file.item(MapMode::SHARE_READ), Error::Fault),
    ] {
        let first = Pages::new(2)?;
        (0..2).for_each(|page| first.write(page, 60 + page));
        put_map(0, first.item(MapMode::SHARE_WRITE));
        put_map(1, second);
        fails(ipc::call(port, Tag::new(0, 0, 2), [0; 4]), error)?;
        // It still moves, and is zero again when dropped, as private memory is.
        let moves = RemapFlags::MAY_MOVE;
        // SAFETY: as above.
        let address =
            unsafe { memory::remap(first.address, first.length, 3 * PAGE_SIZE, moves, 0) }?;
        let moved = Pages {
            address,
            length: 3 * PAGE_SIZE,
        };
        equal((moved.read(0), moved.read(1), moved.read(2)), (60, 61, 0))?;
        // SAFETY: as above.
        unsafe { memory::discard(moved.address, PAGE_SIZE) }?;
        equal((moved.read(0), moved.read(1)), (0, 61))?;
        moved.unmap()?;
    }
    // The file's page is still the file's.
    paged.view.write(0, 1234);
    equal(file.read(0), 1234)?;
    file.write(0, content(0));
    ipc::call(port, Tag::SHORT, [1, 0, 0, 0])?;
    succeeded(pid)
}
