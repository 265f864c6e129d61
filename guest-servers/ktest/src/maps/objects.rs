//! Page ranges of mapped objects in messages.

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{MapItem, MapMode, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::signal::number::SIGSEGV;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::ipc;
use ferrix_rt::sys::memory::object_physical;

use super::ONE;
use crate::pager::{Paged, content, map};
use crate::support::*;

const RW: Prot = Prot::READ.union(Prot::WRITE);
const MODES: [MapMode; 4] = [
    MapMode::SHARE_READ,
    MapMode::SHARE_WRITE,
    MapMode::MOVE,
    MapMode::COPY,
];

/// A server that hands the range of each call to `look`, together with the call's first word, until one comes
/// without a range.
fn receiver(
    port: Handle,
    look: impl FnOnce(&mut dyn FnMut() -> Result<Option<Pages>, Failure>) -> Outcome,
) -> Result<u32, Failure> {
    spawn(|| {
        let mut open = None;
        let mut next = || {
            let call = match open.take() {
                Some(token) => ipc::reply_receive(port, token, Tag::SHORT, [0; 4])?,
                None => ipc::receive(port, Tag::SHORT)?,
            };
            open = Some(call.token);
            Ok((call.tag.maps() != 0).then(|| received_map(0)))
        };
        look(&mut next)?;
        match open {
            Some(token) => Ok(ipc::reply(token, Tag::SHORT, [0; 4])?),
            None => Ok(()),
        }
    })
}

fn send(port: Handle, item: MapItem) -> Result<(), Error> {
    put_map(0, item);
    ipc::call(port, ONE, [0; 4]).map(drop)
}

/// Every mode, of a mapping that is shared already.
pub fn of_a_shared_object() -> Outcome {
    let port = ipc::port_create()?;
    let pid = receiver(port, |next| {
        let [read, write, moved, copy] = [
            some(next()?)?,
            some(next()?)?,
            some(next()?)?,
            some(next()?)?,
        ];
        fails(read.protect(RW), Error::AccessDenied)?;
        write.write(1, 11);
        equal((read.read(1), moved.read(1), copy.read(1)), (11, 11, 11))?;
        copy.write(1, 12);
        moved.write(1, 13);
        equal((read.read(1), write.read(1), copy.read(1)), (13, 13, 12))
    })?;
    let pages = Pages::shared(2)?;
    for mode in [MapMode::SHARE_READ, MapMode::SHARE_WRITE] {
        send(port, pages.item(mode))?;
    }
    let twin = again(pages)?;
    send(port, twin.item(MapMode::MOVE))?;
    send(port, pages.item(MapMode::COPY))?;
    succeeded(pid)?;
    equal(pages.read(1), 13)?;
    let gone = spawn(|| {
        twin.read(0);
        Ok(())
    })?;
    equal(status_of(gone)?, SIGSEGV)
}

/// The pages of a shared mapping, mapped a second time.
fn again(pages: Pages) -> Result<Pages, Failure> {
    use ferrix_abi::vm::RemapFlags;
    use ferrix_rt::sys::memory::remap;
    // SAFETY: nothing is moved.
    let address = unsafe { remap(pages.address, 0, pages.length, RemapFlags::MAY_MOVE, 0) }?;
    Ok(Pages { address, ..pages })
}

/// The receiver's touches ask the pager, its writes are the file's, and a copy is its own.
pub fn of_a_paged_object() -> Outcome {
    let paged = Paged::new(8)?;
    paged.supply(1, 1)?;
    let port = ipc::port_create()?;
    let reader = receiver(port, |next| {
        for (page, mode) in (2..).zip(MODES) {
            let pages = some(next()?)?;
            equal(
                (pages.read(1), pages.read(page)),
                (content(1), content(page)),
            )?;
            if mode == MapMode::COPY || mode == MapMode::SHARE_WRITE {
                pages.write(page, 7);
            }
        }
        paged.finish()
    })?;
    let sender = spawn(|| {
        MODES.iter().try_for_each(|&mode| {
            let pages = paged.share()?;
            Ok(send(port, pages.item(mode))?)
        })
    })?;
    paged.serve(1)?;
    succeeded(reader)?;
    succeeded(sender)?;
    // Written was the page of SHARE_WRITE alone.
    equal(paged.clean()?, 1 << 3)?;
    equal((paged.view.read(3), paged.view.read(5)), (7, content(5)))
}

/// A private mapping of a file: shared only when its pages are there, and then cut off from the file.
pub fn of_a_private_file() -> Outcome {
    let paged = Paged::new(2)?;
    paged.supply(0, 1)?;
    let file = paged.map(RW, MapFlags::PRIVATE)?;
    let port = ipc::port_create()?;
    let pid = receiver(port, |next| {
        let (shared, copy) = (some(next()?)?, some(next()?)?);
        equal((shared.read(0), copy.read(1)), (content(0), 5))?;
        shared.write(0, 8);
        copy.write(1, 9);
        Ok(())
    })?;
    for mode in [MapMode::SHARE_READ, MapMode::SHARE_WRITE] {
        fails(send(port, file.item(mode)), Error::Fault)?;
    }
    paged.supply(1, 1)?;
    send(port, file.item(MapMode::SHARE_WRITE))?;
    file.write(1, 5);
    send(port, file.item(MapMode::COPY))?;
    succeeded(pid)?;
    equal((file.read(0), file.read(1)), (8, 5))?;
    equal(paged.view.read(0), content(0))?;
    equal(paged.clean()?, 0)
}

/// Registers can be shared and moved, but a copy of them would be none.
pub fn of_device_registers() -> Outcome {
    let device = object_physical(0xf000_0000, PAGE_SIZE, resource())?;
    let port = ipc::port_create()?;
    let pid = receiver(port, |next| {
        for _ in 0..3 {
            let registers = some(next()?)?;
            equal(registers.length, PAGE_SIZE)?;
            registers.unmap()?;
        }
        Ok(())
    })?;
    let registers = map(device, 1, RW, MapFlags::UNCACHED)?;
    fails(send(port, registers.item(MapMode::COPY)), Error::Invalid)?;
    send(port, registers.item(MapMode::SHARE_READ))?;
    send(port, registers.item(MapMode::SHARE_WRITE))?;
    send(port, registers.item(MapMode::MOVE))?;
    succeeded(pid)
}
