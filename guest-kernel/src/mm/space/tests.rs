use ferrix_abi::error::Error;
use ferrix_abi::ipc::{MapItem, MapMode};
use ferrix_abi::layout::{MMAP_BASE, PAGE_SIZE, STACK_TOP, UTCB_BASE};
use ferrix_abi::vm::{MapFlags, Prot};

use super::*;
use crate::mm::object::VmObject;
use crate::mm::{frame, host};

mod model;
mod scarce;
mod share;

const RW: Prot = Prot::READ.union(Prot::WRITE);

fn request(length: u64, prot: Prot, flags: MapFlags) -> MapRequest {
    MapRequest {
        address: 0,
        length,
        prot,
        max: Prot::all(),
        flags,
        object: None,
        offset: 0,
    }
}

fn private(space: &AddressSpace, pages: u64) -> u64 {
    space
        .map(request(pages * PAGE_SIZE, RW, MapFlags::PRIVATE))
        .unwrap()
}

fn byte(space: &AddressSpace, address: u64) -> u8 {
    let mut value = [0];
    space.read(address, &mut value).unwrap();
    value[0]
}

fn free() -> u64 {
    frame::statistics().0
}

#[test]
fn a_private_page_is_copied_once_and_then_reused() {
    let _memory = host::memory();
    let parent = AddressSpace::new().unwrap();
    let address = private(&parent, 1);
    parent.write(address, b"parent").unwrap();
    let child = parent.fork().unwrap();
    let before = free();
    child.write(address, b"child").unwrap();
    assert_eq!(free(), before - 1, "the first writer copies");
    parent.write(address, b"PARENT").unwrap();
    assert_eq!(free(), before - 1, "the last owner does not");
    assert_eq!(byte(&parent, address), b'P');
    assert_eq!(byte(&child, address), b'c');
}

#[test]
fn everything_is_given_back() {
    let _memory = host::memory();
    let before = free();
    let tables = crate::mm::pmap::table_pages();
    let parent = AddressSpace::new().unwrap();
    let address = private(&parent, 600);
    (0..600)
        .step_by(7)
        .for_each(|page| parent.write(address + page * PAGE_SIZE, b"x").unwrap());
    parent.utcb_allocate().unwrap();
    let child = parent.fork().unwrap();
    (0..600)
        .step_by(5)
        .for_each(|page| child.write(address + page * PAGE_SIZE, b"y").unwrap());
    drop(parent);
    assert_eq!(byte(&child, address + 7 * PAGE_SIZE), b'x');
    child.unmap(address, 600 * PAGE_SIZE).unwrap();
    assert_eq!(child.usage().mapped_bytes, 0);
    drop(child);
    assert_eq!(free(), before);
    assert_eq!(crate::mm::pmap::table_pages(), tables);
}

#[test]
fn freed_tables_are_really_zero() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let address = private(&space, 700);
    (0..700).for_each(|page| space.write(address + page * PAGE_SIZE, b"x").unwrap());
    drop(space.fork().unwrap());
    drop(space);
    let zeroed: Vec<_> = core::iter::repeat_with(|| frame::alloc_zeroed().unwrap())
        .take(40)
        .collect();
    for frame in zeroed {
        let mut bytes = [0; 4096];
        frame.read(0, &mut bytes);
        assert!(bytes.iter().all(|&byte| byte == 0));
        frame::free_zeroed(frame);
    }
}

#[test]
fn a_stack_grows_down_to_its_limit() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let mut stack = request(
        PAGE_SIZE,
        RW,
        MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::GROWS_DOWN,
    );
    stack.address = STACK_TOP - PAGE_SIZE;
    space.map(stack).unwrap();
    assert_eq!(
        space.fault(STACK_TOP - 100 * PAGE_SIZE, Access::Write),
        Ok(())
    );
    assert_eq!(space.usage().mapped_bytes, 100 * PAGE_SIZE);
    assert_eq!(space.query(0).unwrap().start, STACK_TOP - 100 * PAGE_SIZE);
    let limit = STACK_TOP - (8 << 20);
    assert_eq!(
        space.fault(limit - 1, Access::Write),
        Err(FaultError::Unmapped)
    );
    assert_eq!(space.fault(limit, Access::Write), Ok(()));
}

#[test]
fn faults_name_their_reason() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let read_only = space
        .map(request(PAGE_SIZE, Prot::READ, MapFlags::PRIVATE))
        .unwrap();
    let guard = space
        .map(request(PAGE_SIZE, Prot::empty(), MapFlags::PRIVATE))
        .unwrap();
    let object = VmObject::anonymous(PAGE_SIZE).unwrap();
    let mut beyond = request(2 * PAGE_SIZE, RW, MapFlags::empty());
    beyond.object = Some(object);
    let beyond = space.map(beyond).unwrap() + PAGE_SIZE;
    assert_eq!(space.fault(0, Access::Read), Err(FaultError::Unmapped));
    assert_eq!(
        space.fault(UTCB_BASE, Access::Read),
        Err(FaultError::Unmapped)
    );
    assert_eq!(
        space.fault(read_only, Access::Write),
        Err(FaultError::Protection)
    );
    assert_eq!(
        space.fault(read_only, Access::Execute),
        Err(FaultError::Protection)
    );
    assert_eq!(
        space.fault(guard, Access::Read),
        Err(FaultError::Protection)
    );
    assert_eq!(
        space.fault(beyond, Access::Read),
        Err(FaultError::BeyondObject)
    );
}

#[test]
fn placement_flags_are_obeyed() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let first = private(&space, 4);
    space.write(first, b"old").unwrap();
    let at = |address, flags| MapRequest {
        address,
        ..request(PAGE_SIZE, RW, flags | MapFlags::PRIVATE)
    };
    assert_eq!(
        space.map(at(first, MapFlags::NO_REPLACE)),
        Err(Error::Exists)
    );
    assert_ne!(space.map(at(first, MapFlags::HINT)), Ok(first));
    assert_eq!(
        space.map(at(first + 0x10_0000, MapFlags::HINT)),
        Ok(first + 0x10_0000)
    );
    assert_eq!(space.map(at(first, MapFlags::FIXED)), Ok(first));
    assert_eq!(byte(&space, first), 0);
    let system = space.map(at(0, MapFlags::SYSTEM)).unwrap();
    assert_eq!(system, ferrix_abi::layout::SYSTEM_MMAP_BASE);
    assert_eq!(
        space.map(at(UTCB_BASE, MapFlags::FIXED)),
        Err(Error::Invalid)
    );
}

#[test]
fn protection_none_keeps_the_pages() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let address = private(&space, 3);
    space.write(address + PAGE_SIZE, b"kept").unwrap();
    space
        .protect(address, 3 * PAGE_SIZE, Prot::empty())
        .unwrap();
    assert_eq!(space.read(address + PAGE_SIZE, &mut [0]), Err(Error::Fault));
    space.protect(address, 3 * PAGE_SIZE, Prot::READ).unwrap();
    assert_eq!(byte(&space, address + PAGE_SIZE), b'k');
    assert_eq!(
        space.protect(address, 4 * PAGE_SIZE, RW),
        Err(Error::NoMemory)
    );
}

#[test]
fn a_shared_mapping_is_never_writable_and_executable() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let all = request(PAGE_SIZE, Prot::all(), MapFlags::empty());
    assert_eq!(space.map(all), Err(Error::AccessDenied));
    let shared = space
        .map(request(PAGE_SIZE, RW, MapFlags::empty()))
        .unwrap();
    assert_eq!(
        space.protect(shared, PAGE_SIZE, Prot::all()),
        Err(Error::AccessDenied)
    );
    assert!(
        space
            .map(request(PAGE_SIZE, Prot::all(), MapFlags::PRIVATE))
            .is_ok()
    );
}

#[test]
fn the_limit_counts_violations() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    space.set_limit(Bound::Mapped, 4 * PAGE_SIZE);
    private(&space, 4);
    let more = request(PAGE_SIZE, RW, MapFlags::PRIVATE);
    assert_eq!(space.map(more), Err(Error::NoMemory));
    assert_eq!(space.memory_info().violations, [1, 0, 0]);
}

#[test]
#[cfg_attr(miri, ignore = "takes every frame")]
fn running_out_of_memory_is_an_error_and_leaves_the_reserve() {
    let _memory = host::memory();
    let before = free();
    let space = AddressSpace::new().unwrap();
    let address = private(&space, u64::from(host::PAGES));
    let failed = (0..u64::from(host::PAGES))
        .map(|page| space.fault(address + page * PAGE_SIZE, Access::Write))
        .find(|result| result.is_err());
    assert_eq!(failed, Some(Err(FaultError::NoMemory)));
    assert_eq!(space.fork().map(drop), Err(Error::NoMemory));
    assert_eq!(
        VmObject::anonymous(PAGE_SIZE).map(drop),
        Err(Error::NoMemory)
    );
    assert!(free() >= frame::RESERVE - 1);
    drop(space);
    assert_eq!(free(), before);
}

#[test]
fn a_message_maps_all_its_ranges_or_none() {
    let _memory = host::memory();
    let (sender, receiver) = (AddressSpace::new().unwrap(), AddressSpace::new().unwrap());
    let address = private(&sender, 2);
    sender.write(address, b"a").unwrap();
    let item = |address, mode: MapMode| MapItem {
        address,
        length: PAGE_SIZE,
        mode: mode.0,
        reserved: 0,
    };
    let bad = [
        item(address, MapMode::MOVE),
        item(address + 2 * PAGE_SIZE, MapMode::COPY),
    ];
    assert_eq!(
        sender.share_ranges(&receiver, &bad).map(drop),
        Err(Error::Fault)
    );
    assert_eq!(receiver.usage().mapped_bytes, 0);
    assert_eq!(byte(&sender, address), b'a');
    let good = [
        item(address, MapMode::SHARE_WRITE),
        item(address + PAGE_SIZE, MapMode::MOVE),
    ];
    let there = sender.share_ranges(&receiver, &good).unwrap();
    receiver.write(there[0], b"b").unwrap();
    assert_eq!(byte(&sender, address), b'b');
    assert_eq!(sender.usage().mapped_bytes, PAGE_SIZE);
    assert_eq!(byte(&receiver, there[1]), 0);
}

#[test]
fn memory_lent_to_a_server_is_still_private_to_a_child() {
    let _memory = host::memory();
    let (sender, server) = (AddressSpace::new().unwrap(), AddressSpace::new().unwrap());
    let address = private(&sender, 1);
    sender.write(address, b"1").unwrap();
    let item = MapItem {
        address,
        length: PAGE_SIZE,
        mode: MapMode::SHARE_WRITE.0,
        reserved: 0,
    };
    let there = sender.share_range(&server, &item).unwrap();
    let child = sender.fork().unwrap();
    server.write(there, b"2").unwrap();
    assert_eq!(
        (byte(&sender, address), byte(&child, address)),
        (b'2', b'1')
    );
}

#[test]
fn what_is_lent_already_is_lent_again_without_a_change() {
    let _memory = host::memory();
    let (sender, server) = (AddressSpace::new().unwrap(), AddressSpace::new().unwrap());
    let address = private(&sender, 3);
    sender.write(address + PAGE_SIZE, b"1").unwrap();
    let item = |page, pages, mode: MapMode| MapItem {
        address: address + page * PAGE_SIZE,
        length: pages * PAGE_SIZE,
        mode: mode.0,
        reserved: 0,
    };
    let all = item(0, 3, MapMode::SHARE_WRITE);
    sender.share_range(&server, &all).unwrap();
    let entries = sender.lock().map.entries().len();
    let middle = item(1, 1, MapMode::SHARE_READ);
    let there = sender.share_range(&server, &middle).unwrap();
    assert_eq!(
        sender.lock().map.entries().len(),
        entries,
        "nothing was split"
    );
    assert_eq!(byte(&server, there), b'1');
    sender.write(address + PAGE_SIZE, b"2").unwrap();
    assert_eq!(byte(&server, there), b'2');
    assert_eq!(server.write(there, b"3"), Err(Error::Fault));
    let beyond = item(2, 2, MapMode::SHARE_READ);
    assert_eq!(sender.share_range(&server, &beyond), Err(Error::Fault));
}

#[test]
fn a_fault_shows_the_resident_neighbours() {
    let _memory = host::memory();
    let object = VmObject::contiguous(40 * PAGE_SIZE).unwrap();
    let space = AddressSpace::new().unwrap();
    let text = space
        .map(MapRequest {
            object: Some(object),
            ..request(40 * PAGE_SIZE, Prot::READ | Prot::EXEC, MapFlags::PRIVATE)
        })
        .unwrap();
    assert_eq!(text, MMAP_BASE);
    space.fault(text + 20 * PAGE_SIZE, Access::Execute).unwrap();
    assert_eq!(space.usage().resident_pages, 16);
    space.fault(text + 39 * PAGE_SIZE, Access::Read).unwrap();
    assert_eq!(space.usage().resident_pages, 16 + 8);
}

#[test]
fn utcb_slots_are_recycled() {
    let _memory = host::memory();
    let space = AddressSpace::new().unwrap();
    let (first, second) = (
        space.utcb_allocate().unwrap(),
        space.utcb_allocate().unwrap(),
    );
    assert_eq!(
        (first.address, second.address),
        (UTCB_BASE, UTCB_BASE + PAGE_SIZE)
    );
    space.utcb_free(first.number);
    let again = space.utcb_allocate().unwrap();
    assert_eq!((again.address, again.kernel), (first.address, first.kernel));
}
