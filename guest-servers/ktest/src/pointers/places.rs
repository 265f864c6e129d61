//! Addresses that are wrong, and why.

use alloc::vec::Vec;

use ferrix_abi::handle::Handle;
use ferrix_abi::layout::{KERNEL_INFO, MAX_THREADS, PAGE_SIZE, SERVER_BASE, USER_TOP, UTCB_BASE};
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::memory::{self, Mapping, map_anywhere};
use ferrix_rt::sys::{ipc, utcb};

use super::calls::Use;
use crate::support::*;

/// A wrong address.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What is wrong with it.
    pub what: &'static str,
    /// The address.
    pub address: u64,
    /// Whether the process has a mapping there.
    pub is_mapped: bool,
}

/// Memory that is not as it should be.
pub struct Places {
    hole: u64,
    hidden: u64,
    /// One past a page that nothing follows.
    edge: u64,
    /// One past a page that one without access follows.
    fence: u64,
    read_only: u64,
    beyond: u64,
    absent: u64,
}

const RW: Prot = Prot::READ.union(Prot::WRITE);

/// Far from where the kernel maps what names no address: here holes stay holes.
const FAR: u64 = 0x2000_0000_0000;

/// A page that another without access follows, or nothing: where it ends.
fn end_before(at: u64, prot: Option<Prot>) -> Result<u64, Failure> {
    let page = |address, prot| Mapping {
        address,
        flags: MapFlags::NO_REPLACE | MapFlags::PRIVATE,
        ..Mapping::anonymous(PAGE_SIZE, prot)
    };
    map_anywhere(&page(at, RW))?;
    if let Some(prot) = prot {
        map_anywhere(&page(at + PAGE_SIZE, prot))?;
    }
    Ok(at + PAGE_SIZE)
}

impl Places {
    /// Makes them. The read-only page begins with an item that waits for `session`, so that a call which reads
    /// first comes to write.
    pub fn new(session: Handle) -> Result<Places, Failure> {
        let read_only = Pages::new(1)?;
        read_only.write(0, session.0.into());
        read_only.protect(Prot::READ)?;
        // An object that has become smaller than its mapping.
        let object = memory::object_create(PAGE_SIZE)?;
        let beyond = map_anywhere(&Mapping::shared(object, PAGE_SIZE, RW))?;
        memory::object_resize(object, 0)?;
        // A page that its pager, this process, has not supplied.
        let paged = memory::paged_create(ipc::port_create()?, 1, PAGE_SIZE, 0)?;
        let absent = map_anywhere(&Mapping::shared(paged, PAGE_SIZE, RW))?;
        Ok(Places {
            hole: FAR - PAGE_SIZE,
            hidden: end_before(FAR, Some(Prot::empty()))?,
            edge: end_before(FAR + 16 * PAGE_SIZE, None)?,
            fence: end_before(FAR + 32 * PAGE_SIZE, Some(Prot::empty()))?,
            read_only: read_only.address,
            beyond,
            absent,
        })
    }

    /// What is wrong for this use.
    pub fn wrong(&self, how: Use) -> Vec<Place> {
        let mut list = Vec::new();
        let mut add = |what, address, is_mapped| {
            list.push(Place {
                what,
                address,
                is_mapped,
            });
        };
        for (what, address) in beyond_user_space() {
            add(what, address, false);
        }
        match how {
            Use::Code => return list,
            Use::Length => {
                list.clear();
                for address in [u64::MAX, !(PAGE_SIZE - 1), 1 << 63, 1 << 47, USER_TOP] {
                    list.push(Place {
                        what: "a length that leads out of user space",
                        address,
                        is_mapped: false,
                    });
                }
                return list;
            }
            _ => {}
        }
        if !matches!(how, Use::ReadOrNull(_) | Use::WriteOrNull(_)) {
            add("null", 0, false);
        }
        add("the information page", KERNEL_INFO, false);
        let slot = UTCB_BASE + (MAX_THREADS - 1) * PAGE_SIZE;
        add("a UTCB of no thread", slot, false);
        if how == Use::Range {
            add("the caller's UTCB", utcb::utcb() as u64, false);
            return list;
        }
        self.add_data(how, &mut add);
        if matches!(
            how,
            Use::Read(_) | Use::ReadOrNull(_) | Use::Both(_) | Use::Word
        ) {
            // That may be read, and what it holds is no argument.
            list.retain(|place| place.address != KERNEL_INFO);
        }
        list
    }

    fn add_data(&self, how: Use, add: &mut impl FnMut(&'static str, u64, bool)) {
        let size = how.size();
        add("a small number", 8, false);
        add("below the lowest mapping", 0xfff8, false);
        add("a hole", self.hole, false);
        add("no access", self.hidden, true);
        add("beyond the object's end", self.beyond, true);
        add("absent from its object", self.absent, true);
        add("the last address", u64::MAX, false);
        add("around the end", u64::MAX - (size - 1) / 2, false);
        if size > 1 {
            add("the last byte before a hole", self.edge - 1, true);
            add(
                "all but one byte before a hole",
                self.edge - (size - 1),
                true,
            );
            add("before a page without access", self.fence - 1, true);
            add("across the end of user space", USER_TOP - 1, false);
        }
        if how.writes() {
            add("a read-only page", self.read_only, true);
        }
        if matches!(how, Use::Write(_) | Use::WriteOrNull(_) | Use::Perhaps(_)) {
            add("the program's text", SERVER_BASE, true);
        }
    }
}

/// Where no process has anything.
fn beyond_user_space() -> [(&'static str, u64); 9] {
    [
        ("one past user space", USER_TOP),
        ("the end of the lower half", 0x8000_0000_0000),
        ("no canonical address", 0x1234_5678_9abc_d000),
        ("no canonical address, negative", 0xf000_0000_0000_1000),
        ("the kernel's view of RAM", 0xffff_8000_0000_0000),
        ("the kernel's text", 0xffff_ffff_8010_0000),
        ("a kernel stack", 0xffff_ffff_c000_3000),
        ("a device", 0xffff_ffff_e000_0000),
        ("the last page", !(PAGE_SIZE - 1)),
    ]
}
