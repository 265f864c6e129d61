//! Memory objects and mappings.

use super::ipc::handle;
use super::raw::{call6, call6_pair, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::process::{MemoryInfo, MemoryLimit};
use ferrix_abi::vm::{BY_PID, Inheritance, MapFlags, ObjectKind, Prot, Region, RemapFlags};

/// The calling process, where a process is asked for.
pub const SELF: Handle = Handle::NONE;

/// Makes an anonymous object of `bytes`.
pub fn object_create(bytes: u64) -> Result<Handle> {
    plain(
        Call::ObjectCreate,
        [ObjectKind::Anonymous as u64, bytes, 0, 0],
    )
    .map(handle)
}

/// Makes an object of physically contiguous pages.
pub fn object_contiguous(bytes: u64, resource: Handle) -> Result<Handle> {
    let args = [ObjectKind::Contiguous as u64, bytes, 0, resource.0.into()];
    plain(Call::ObjectCreate, args).map(handle)
}

/// Makes an object of the physical addresses from `base` (device registers).
pub fn object_physical(base: u64, bytes: u64, resource: Handle) -> Result<Handle> {
    let args = [ObjectKind::Physical as u64, bytes, base, resource.0.into()];
    plain(Call::ObjectCreate, args).map(handle)
}

/// Physical address of a page of a contiguous or physical object.
pub fn physical_address(object: Handle, offset: u64, resource: Handle) -> Result<u64> {
    plain(
        Call::ObjectPhysical,
        [object.0.into(), offset, resource.0.into()],
    )
}

/// Size of an object in bytes.
pub fn object_size(object: Handle) -> Result<u64> {
    plain(Call::ObjectSize, [object.0.into()])
}

/// Makes a paged object: requests for its pages come to `port` with `badge`; `timeout_ns` bounds how long
/// a thread waits for a page (0: 30 s).
pub fn paged_create(port: Handle, badge: u32, bytes: u64, timeout_ns: u64) -> Result<Handle> {
    let args = [port.0.into(), badge.into(), bytes, timeout_ns];
    plain(Call::PagedCreate, args).map(handle)
}

/// Moves `count` pages of private memory at `source` into a paged object, from page `first` on; returns
/// how many were absent there.
///
/// # Safety
/// Rust code expects nothing of the old contents at `source`: it reads as zero afterwards.
pub unsafe fn supply(object: Handle, first: u64, count: u64, source: u64) -> Result<u64> {
    // SAFETY: the caller's condition.
    unsafe {
        call6(
            Call::ObjectSupply,
            [object.0.into(), first, count, source, 0, 0],
        )
    }
}

/// Threads that wait for these pages get SIGBUS.
pub fn fail(object: Handle, first: u64, count: u64) -> Result<()> {
    plain(Call::ObjectFail, [object.0.into(), first, count]).map(drop)
}

/// Which of the pages from `first` on, as many as `bitmap` has bits, were written by others since the
/// last time; how many.
pub fn clean(object: Handle, first: u64, count: u64, bitmap: &mut [u64]) -> Result<u64> {
    bits(Call::ObjectClean, object, first, count, bitmap)
}

/// Changes the size of a paged or anonymous object.
pub fn object_resize(object: Handle, bytes: u64) -> Result<()> {
    plain(Call::ObjectResize, [object.0.into(), bytes]).map(drop)
}

/// Takes pages back: clean ones of a paged object, any of an anonymous one; how many.
pub fn object_discard(object: Handle, first: u64, count: u64) -> Result<u64> {
    plain(Call::ObjectDiscard, [object.0.into(), first, count])
}

/// The same; the bitmap tells which pages went.
pub fn object_reclaim(object: Handle, first: u64, count: u64, bitmap: &mut [u64]) -> Result<u64> {
    bits(Call::ObjectDiscard, object, first, count, bitmap)
}

/// Which pages of a paged object were touched through mappings of others since the last time; how many.
pub fn referenced(object: Handle, first: u64, count: u64, bitmap: &mut [u64]) -> Result<u64> {
    bits(Call::ObjectReferenced, object, first, count, bitmap)
}

/// A call on pages of an object that answers with a bit for each.
fn bits(call: Call, object: Handle, first: u64, count: u64, bitmap: &mut [u64]) -> Result<u64> {
    assert!(
        count <= bitmap.len() as u64 * 64,
        "the bitmap has a bit for each page"
    );
    let address = bitmap.as_mut_ptr() as u64;
    let args = [object.0.into(), first, count, address, 0, 0];
    // SAFETY: the kernel writes as many words as `count` pages need, which the slice has.
    unsafe { call6(call, args) }
}

/// Puts an anonymous object under the quota of another, of so many pages (or, with [`Handle::NONE`], under none);
/// how many pages are in use under it.
pub fn object_quota(object: Handle, leader: Handle, pages: u64) -> Result<u64> {
    plain(Call::ObjectQuota, [object.0.into(), leader.0.into(), pages])
}

/// Asks for one `MEMORY_LOW` on a port; answers the last one with how many pages were given back.
pub fn watch(port: Handle, given_back: u64) -> Result<()> {
    plain(Call::MemoryWatch, [port.0.into(), given_back]).map(drop)
}

/// Waits until so many pages are free, or no server can give any back; how many are.
pub fn wait_for_pages(wanted: u64) -> u64 {
    plain(Call::MemoryWait, [wanted]).unwrap_or(0)
}

/// Makes pages present and keeps them so.
pub fn lock(address: u64, length: u64) -> Result<()> {
    plain(Call::VmLock, [address, length, 1]).map(drop)
}

/// Undoes [`lock`].
pub fn unlock(address: u64, length: u64) -> Result<()> {
    plain(Call::VmLock, [address, length, 0]).map(drop)
}

/// One byte for each page from `address` on: 1 if it is present.
pub fn resident(address: u64, pages: &mut [u8]) -> Result<()> {
    let args = [
        address,
        pages.len() as u64 * PAGE_SIZE,
        pages.as_mut_ptr() as u64,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel writes one byte a page.
    unsafe { call6(Call::VmResident, args) }.map(drop)
}

/// What a process's memory is (pid 0: the caller's).
pub fn info(pid: u32) -> Result<MemoryInfo> {
    let mut info = MemoryInfo::default();
    let args = [pid.into(), &raw mut info as u64, 0, 0, 0, 0];
    // SAFETY: the kernel writes one `MemoryInfo`.
    unsafe { call6(Call::MemoryInfo, args) }.map(|_| info)
}

/// The most memory used is counted anew.
pub fn forget_most() {
    // It cannot fail.
    let _ = plain(Call::MemoryForget, []);
}

/// Limits a process's memory (`u64::MAX`: no longer).
pub fn limit(process: Handle, which: MemoryLimit, value: u64) -> Result<()> {
    plain(Call::MemoryLimit, [process.0.into(), which as u64, value]).map(drop)
}

/// What an object uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectUsage {
    /// Pages present.
    pub pages: u64,
    /// Handles and mappings, those of the caller included.
    pub users: u64,
}

/// What an object uses.
pub fn object_usage(object: Handle) -> Result<ObjectUsage> {
    // SAFETY: no argument is a pointer, and the call does not change memory.
    let (_, usage) = unsafe { call6_pair(Call::ObjectSize, [object.0.into(), 0, 0, 0, 0, 0]) }?;
    Ok(ObjectUsage {
        pages: usage & ((1 << 40) - 1),
        users: usage >> 40,
    })
}

/// What to map where.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// Whose address space ([`SELF`], or a process handle).
    pub process: Handle,
    /// Address, as `flags` say; 0 for any.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// Protection.
    pub prot: Prot,
    /// How.
    pub flags: MapFlags,
    /// The object, or [`Handle::NONE`] for fresh memory.
    pub object: Handle,
    /// Offset in the object in bytes.
    pub offset: u64,
}

impl Mapping {
    /// Fresh private memory anywhere.
    pub const fn anonymous(length: u64, prot: Prot) -> Mapping {
        let (process, object) = (SELF, Handle::NONE);
        Mapping {
            process,
            address: 0,
            length,
            prot,
            flags: MapFlags::PRIVATE,
            object,
            offset: 0,
        }
    }

    /// All of an object, shared, anywhere.
    pub const fn shared(object: Handle, length: u64, prot: Prot) -> Mapping {
        let process = SELF;
        Mapping {
            process,
            address: 0,
            length,
            prot,
            flags: MapFlags::empty(),
            object,
            offset: 0,
        }
    }
}

/// Maps; returns the address.
///
/// # Safety
/// With [`MapFlags::FIXED`] in the own address space: Rust code uses nothing that the mapping replaces.
pub unsafe fn map(mapping: &Mapping) -> Result<u64> {
    let mode = u64::from(mapping.prot.bits()) | u64::from(mapping.flags.bits()) << 32;
    let Mapping {
        process,
        address,
        length,
        object,
        offset,
        ..
    } = *mapping;
    let args = [
        process.0.into(),
        address,
        length,
        mode,
        object.0.into(),
        offset,
    ];
    // SAFETY: the caller's condition.
    unsafe { call6(Call::VmMap, args) }
}

/// Maps where it can replace nothing: the kernel picks the place, or the process is another one.
///
/// # Panics
/// If the request is a `FIXED` one for the own address space.
pub fn map_anywhere(mapping: &Mapping) -> Result<u64> {
    assert!(mapping.process != SELF || !mapping.flags.contains(MapFlags::FIXED));
    // SAFETY: nothing of this address space is replaced.
    unsafe { map(mapping) }
}

/// Unmaps.
///
/// # Safety
/// Rust code no longer uses the range (if it is the own address space).
pub unsafe fn unmap(process: Handle, address: u64, length: u64) -> Result<()> {
    // SAFETY: the caller's condition.
    unsafe { call6(Call::VmUnmap, [process.0.into(), address, length, 0, 0, 0]) }.map(drop)
}

/// Changes protection.
///
/// # Safety
/// Rust code uses the range only as the new protection allows.
pub unsafe fn protect(process: Handle, address: u64, length: u64, prot: Prot) -> Result<()> {
    let args = [process.0.into(), address, length, prot.bits().into(), 0, 0];
    // SAFETY: the caller's condition.
    unsafe { call6(Call::VmProtect, args) }.map(drop)
}

/// The first mapping of the process with this pid that ends above the address.
pub fn query_pid(pid: u32, address: u64) -> Result<Region> {
    let mut region = Region::default();
    let process = u64::from(pid) | BY_PID;
    let args = [process, address, &raw mut region as u64, 0, 0, 0];
    // SAFETY: the kernel writes one `Region` to where `region` is.
    unsafe { call6(Call::VmQuery, args) }.map(|_| region)
}

/// The first mapping that ends above the address.
pub fn query(process: Handle, address: u64) -> Result<Region> {
    let mut region = Region::default();
    let args = [process.0.into(), address, &raw mut region as u64, 0, 0, 0];
    // SAFETY: the kernel writes one `Region` to where `region` is.
    unsafe { call6(Call::VmQuery, args) }.map(|_| region)
}

/// Grows, shrinks or moves a mapping; returns the address.
///
/// # Safety
/// Rust code no longer uses what is cut off or moved away.
pub unsafe fn remap(address: u64, old: u64, new: u64, how: RemapFlags, to: u64) -> Result<u64> {
    let args = [address, old, new, how.bits().into(), to, 0];
    // SAFETY: the caller's condition.
    unsafe { call6(Call::VmRemap, args) }
}

/// Says what a forked child gets of a range.
pub fn inherit(address: u64, length: u64, what: Inheritance) -> Result<()> {
    plain(Call::VmInherit, [address, length, what as u64]).map(drop)
}

/// Drops the pages of private anonymous memory; they read as zero again.
///
/// # Safety
/// Rust code expects nothing of the old contents.
pub unsafe fn discard(address: u64, length: u64) -> Result<()> {
    // SAFETY: the caller's condition.
    unsafe { call6(Call::VmDiscard, [address, length, 0, 0, 0, 0]) }.map(drop)
}
