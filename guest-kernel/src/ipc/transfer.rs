//! What travels besides the words: LONG bytes, handles, page ranges.

use arrayvec::ArrayVec;
use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{HANDLES_MAX, HandleItem, LONG_MAX, MAPS_MAX, MapItem, Tag};

use crate::mm::AddressSpace;
use crate::object::Core;
use crate::object::Object;
use crate::object::kinds::granted;
use crate::thread::Thread;

/// A handle that travels, checked.
struct Travelling {
    object: Object,
    rights: Rights,
    /// The sender's handle, if it leaves the sender.
    moved: Option<Handle>,
}

/// Carries what the tag announces from one UTCB to the other; both threads are in the kernel. On
/// error nothing has changed hands.
#[inline(always)]
pub fn transfer(
    core: &mut Core,
    from: &'static Thread,
    to: &'static Thread,
    tag: Tag,
) -> Result<()> {
    if tag.is_short() {
        Ok(())
    } else {
        transfer_long(core, from, to, tag)
    }
}

#[inline(never)]
fn transfer_long(
    core: &mut Core,
    from: &'static Thread,
    to: &'static Thread,
    tag: Tag,
) -> Result<()> {
    let (bytes, handles, maps) = (tag.bytes(), tag.handles(), tag.maps());
    if bytes > LONG_MAX || handles > HANDLES_MAX || maps > MAPS_MAX {
        return Err(Error::TooBig);
    }
    if handles != 0 {
        let travelling = check_handles(core, from, handles)?;
        to.process().handles.get_mut(core).reserve(handles)?;
        share(core, from, to, maps)?;
        hand_over(core, from, to, travelling);
    } else {
        share(core, from, to, maps)?;
    }
    to.receive_bytes(core, from, bytes);
    Ok(())
}

fn check_handles(
    core: &Core,
    from: &'static Thread,
    count: usize,
) -> Result<ArrayVec<Travelling, HANDLES_MAX>> {
    let mut list: ArrayVec<Travelling, HANDLES_MAX> = ArrayVec::new();
    for index in 0..count {
        let item = from.handle_item(core, index);
        let handle = Handle(item.handle);
        let moves = item.rights & HandleItem::MOVE != 0;
        let needed = if moves { Rights::TRANSFER } else { Rights::DUP };
        let (object, held) = match from.process().handles.get(core).get(handle) {
            Some((object, held)) if held.contains(needed) => (object.clone(), held),
            _ => return Err(Error::BadHandle),
        };
        let rights = granted(held, Rights::from_bits_truncate(item.rights));
        if moves && list.iter().any(|other| other.moved == Some(handle)) {
            return Err(Error::Invalid);
        }
        list.push(Travelling {
            object,
            rights,
            moved: moves.then_some(handle),
        });
    }
    Ok(list)
}

/// The receiver's table has room: this cannot fail.
fn hand_over(
    core: &mut Core,
    from: &'static Thread,
    to: &'static Thread,
    travelling: ArrayVec<Travelling, HANDLES_MAX>,
) {
    for (
        index,
        Travelling {
            object,
            rights,
            moved,
        },
    ) in travelling.into_iter().enumerate()
    {
        object.retain(core, rights);
        if let Some(handle) = moved
            && let Ok((object, rights)) = from.process().take_handle(core, handle)
        {
            object.release(core, rights);
        }
        let handle = to.process().handles.get_mut(core).insert(object, rights);
        to.set_handle_item(
            core,
            index,
            HandleItem {
                handle: handle.0,
                rights: rights.bits(),
            },
        );
    }
}

/// Maps the sender's page ranges into the receiver.
fn share(core: &Core, from: &'static Thread, to: &'static Thread, count: usize) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let (Some(source), Some(target)) = (from.process().space(core), to.process().space(core))
    else {
        return Err(Error::BrokenPipe);
    };
    if count == 1 {
        let item = from.map_item(core, 0);
        let address = source.share_range(target, &item)?;
        to.set_map_item(core, 0, MapItem { address, ..item });
        return Ok(());
    }
    share_several(core, (from, source), (to, target), count)
}

#[inline(never)]
fn share_several(
    core: &Core,
    (from, source): (&'static Thread, &AddressSpace),
    (to, target): (&'static Thread, &AddressSpace),
    count: usize,
) -> Result<()> {
    let items: ArrayVec<MapItem, MAPS_MAX> =
        (0..count).map(|index| from.map_item(core, index)).collect();
    let addresses = source.share_ranges(target, &items)?;
    for (index, (item, address)) in items.iter().zip(addresses).enumerate() {
        to.set_map_item(core, index, MapItem { address, ..*item });
    }
    Ok(())
}
