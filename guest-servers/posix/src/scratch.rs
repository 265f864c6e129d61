//! Room for a list of any length: on the stack while it is short, in memory that is mapped for the while when it is not.

use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::Result;
use ferrix_rt::sys::memory;

/// Up to so many take little of the stack: each page of it that is touched is one more that `fork` has to copy.
const FEW: usize = 16;
const BEYOND_FEW: usize = FEW + 1;
/// Up to so many are on the stack.
const MANY: usize = 256;

/// Lends room for `count` values, all of them the default.
///
/// # Errors
/// `ENOMEM` when there is no memory for a long list; what `work` says.
pub fn with<T: Default, R>(count: usize, work: impl FnOnce(&mut [T]) -> Result<R>) -> Result<R> {
    match count {
        ..=FEW => on_stack::<FEW, T, R>(count, work),
        BEYOND_FEW..=MANY => on_stack::<MANY, T, R>(count, work),
        _ => work(&mut Mapped::new(count)?),
    }
}

#[inline(never)]
fn on_stack<const N: usize, T: Default, R>(
    count: usize,
    work: impl FnOnce(&mut [T]) -> Result<R>,
) -> Result<R> {
    let mut room: [T; N] = core::array::from_fn(|_| T::default());
    work(&mut room[..count])
}

/// Values in pages of their own.
struct Mapped<T> {
    address: *mut T,
    count: usize,
}

impl<T: Default> Mapped<T> {
    fn new(count: usize) -> Result<Mapped<T>> {
        let mut mapping = memory::Mapping::anonymous(
            (count * size_of::<T>()).next_multiple_of(4096) as u64,
            Prot::READ | Prot::WRITE,
        );
        mapping.flags = MapFlags::PRIVATE | MapFlags::SYSTEM | MapFlags::INHERIT_NONE;
        let address = memory::map_anywhere(&mapping)? as *mut T;
        for index in 0..count {
            // SAFETY: in the mapping, which is as long as all values; pages are aligned for any type.
            unsafe { address.add(index).write(T::default()) };
        }
        Ok(Mapped { address, count })
    }
}

impl<T> core::ops::Deref for Mapped<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: all values were written, and the mapping lives as long as `self`.
        unsafe { core::slice::from_raw_parts(self.address, self.count) }
    }
}

impl<T> core::ops::DerefMut for Mapped<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; nobody else has the mapping.
        unsafe { core::slice::from_raw_parts_mut(self.address, self.count) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        let length = (self.count * size_of::<T>()).next_multiple_of(4096) as u64;
        // SAFETY: mapped by `new`, and no reference to it is left. The values need no drop of their own.
        let _ = unsafe { memory::unmap(memory::SELF, self.address as u64, length) };
    }
}

/// Values that are pushed into lent room.
#[derive(Debug)]
pub struct Filled<'a, T> {
    room: &'a mut [T],
    used: usize,
}

impl<'a, T> Filled<'a, T> {
    /// None yet.
    pub fn new(room: &'a mut [T]) -> Filled<'a, T> {
        Filled { room, used: 0 }
    }

    /// Adds one; false when there is no room.
    pub fn push(&mut self, value: T) -> bool {
        let free = self.room.get_mut(self.used);
        let fits = free.is_some();
        if let Some(free) = free {
            *free = value;
            self.used += 1;
        }
        fits
    }

    /// Those that are there.
    pub fn all(&mut self) -> &mut [T] {
        &mut self.room[..self.used]
    }
}
