//! User memory as the kernel may touch it: checked, and safe to fault.
//!
//! An untrusted pointer is a [`UserPtr`] or [`UserSlice`]; reading and writing through them is the
//! only way in. All copying is done by one routine of a few instructions; a page fault inside it
//! that cannot be resolved continues at its fix-up, which reports the failure.

use core::arch::{asm, global_asm};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};
use ferrix_abi::info::{CpuInfo, SlabInfo, SystemStats};
use ferrix_abi::ipc::WaitItem;
use ferrix_abi::layout::USER_TOP;
use ferrix_abi::limit::{Limit, LimitInfo};
use ferrix_abi::process::{Identity, MemoryInfo, Personality, ProcessInfo, WaitResult};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::thread::ThreadInfo;
use ferrix_abi::vm::Region;

use crate::object::Core;

// `copy_user(to, from, count) -> 0`, or what the fault's handler left in RAX. A `rep` instruction that faults can be
// continued or given up at any element. `peek_user(from) -> the 32-bit value`, or -1 after a fault.
// `swap_user(word, expected, new) -> the 32-bit value before`, or -1; `touch_user(word)` as `copy_user`.
global_asm!(
    ".global copy_user, copy_user_end, copy_user_fixup",
    ".global peek_user, peek_user_end, peek_user_fixup",
    ".global swap_user, swap_user_end, swap_user_fixup",
    ".global touch_user, touch_user_end, touch_user_fixup",
    "copy_user:",
    "mov rcx, rdx",
    "shr rcx, 3",
    "rep movsq",
    "mov ecx, edx",
    "and ecx, 7",
    "rep movsb",
    "xor eax, eax",
    "ret",
    "copy_user_end:",
    "copy_user_fixup:",
    "ret",
    "peek_user:",
    "mov eax, [rdi]",
    "ret",
    "peek_user_end:",
    "peek_user_fixup:",
    "mov rax, -1",
    "ret",
    "swap_user:",
    "mov eax, esi",
    "lock cmpxchg [rdi], edx",
    "mov eax, eax",
    "ret",
    "swap_user_end:",
    "swap_user_fixup:",
    "mov rax, -1",
    "ret",
    "touch_user:",
    "lock or dword ptr [rdi], 0",
    "xor eax, eax",
    "ret",
    "touch_user_end:",
    "touch_user_fixup:",
    "ret",
);

unsafe extern "C" {
    fn copy_user(to: *mut u8, from: *const u8, count: usize) -> u64;
    fn copy_user_end();
    fn copy_user_fixup();
    fn peek_user();
    fn peek_user_end();
    fn peek_user_fixup();
    fn swap_user(word: u64, expected: u32, new: u32) -> u64;
    fn swap_user_end();
    fn swap_user_fixup();
    fn touch_user(word: u64) -> u64;
    fn touch_user_end();
    fn touch_user_fixup();
}

/// Whether supervisor access to user pages is trapped unless announced (CR4.SMAP).
static SMAP: AtomicBool = AtomicBool::new(false);

/// Notes that CR4.SMAP is set, from now on, on all CPUs.
pub fn set_smap() {
    SMAP.store(true, Relaxed);
}

/// Where a kernel-mode fault at `rip` continues if it cannot be resolved; `None`: a kernel bug.
pub fn fixup(rip: u64) -> Option<u64> {
    let place = match rip {
        _ if lies(rip, peek_user as *const (), peek_user_end) => peek_user_fixup,
        _ if lies(rip, swap_user as *const (), swap_user_end) => swap_user_fixup,
        _ if lies(rip, touch_user as *const (), touch_user_end) => touch_user_fixup,
        _ if lies(rip, copy_user as *const (), copy_user_end) => copy_user_fixup,
        _ => return None,
    };
    Some(place as *const () as u64)
}

/// Whether the kernel-mode fault at `rip` must not wait: the core lock is held there.
pub fn is_peek(rip: u64) -> bool {
    lies(rip, peek_user as *const (), peek_user_end)
        || lies(rip, swap_user as *const (), swap_user_end)
}

/// Whether an instruction is a routine's.
fn lies(rip: u64, routine: *const (), end: unsafe extern "C" fn()) -> bool {
    (routine as u64..end as *const () as u64).contains(&rip)
}

/// Runs `f`, which accesses user memory.
#[inline]
fn with_user_access<R>(f: impl FnOnce() -> R) -> R {
    let smap = SMAP.load(Relaxed);
    if smap {
        // SAFETY: the processor has SMAP, hence STAC; user access is open until CLAC below.
        unsafe { asm!("stac", options(nomem, nostack)) }
    }
    let result = f();
    if smap {
        // SAFETY: as for STAC.
        unsafe { asm!("clac", options(nomem, nostack)) }
    }
    result
}

/// Copies `count` bytes between a kernel buffer and user memory.
///
/// # Safety
/// 1. The user side lies below `USER_TOP`,
/// 2. the kernel side is valid for `count` bytes.
unsafe fn copy(to: *mut u8, from: *const u8, count: usize) -> Result<()> {
    // SAFETY: the kernel side is the caller's promise; faults on the user side are fixed up.
    let failed = with_user_access(|| unsafe { copy_user(to, from, count) });
    match failed {
        0 => Ok(()),
        NO_MEMORY => Err(Error::NoMemory),
        _ => Err(Error::Fault),
    }
}

/// What `copy_user` returns when there was no memory for a page.
const NO_MEMORY: u64 = 2;

/// What `copy_user` returns after a fault with this error.
pub fn outcome(error: Error) -> u64 {
    match error {
        Error::NoMemory => NO_MEMORY,
        _ => 1,
    }
}

#[inline]
fn check(address: u64, length: usize) -> Result<()> {
    match address.checked_add(length as u64) {
        Some(end) if end <= USER_TOP => Ok(()),
        _ => Err(Error::Fault),
    }
}

/// Copies user memory into `bytes`.
pub fn copy_from_user(bytes: &mut [u8], address: u64) -> Result<()> {
    check(address, bytes.len())?;
    // SAFETY: 1. checked; 2. a slice.
    unsafe { copy(bytes.as_mut_ptr(), address as *const u8, bytes.len()) }
}

/// Copies `bytes` into user memory.
pub fn copy_to_user(address: u64, bytes: &[u8]) -> Result<()> {
    check(address, bytes.len())?;
    // SAFETY: 1. checked; 2. a slice.
    unsafe { copy(address as *mut u8, bytes.as_ptr(), bytes.len()) }
}

/// Types that any bytes are a value of, and whose bytes may be shown to programs.
///
/// # Safety
/// Every bit pattern is a valid value, and there is no padding.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($type:ty),*) => {
        $(
            // SAFETY: integers, or a `repr(C)` record of integers that declares its padding.
            unsafe impl Plain for $type {}
        )*
    };
}
plain!(u8, u16, u32, u64, i32, i64, usize);
plain!(
    Region,
    WaitItem,
    Identity,
    Limit,
    LimitInfo,
    MemoryInfo,
    Personality,
    ProcessInfo,
    WaitResult,
    SignalInfo,
    SlabInfo,
    SystemStats,
    CpuInfo,
    ThreadInfo
);

/// The user address of a `T`.
#[derive(Debug)]
pub struct UserPtr<T> {
    address: u64,
    target: PhantomData<T>,
}

impl<T: Plain> UserPtr<T> {
    /// A pointer from a system call's argument; checked when it is used.
    pub const fn new(address: u64) -> UserPtr<T> {
        UserPtr {
            address,
            target: PhantomData,
        }
    }

    /// Whether it is the null pointer, which calls may give a meaning to.
    pub const fn is_null(&self) -> bool {
        self.address == 0
    }

    /// Reads the value.
    pub fn read(&self) -> Result<T> {
        check(self.address, size_of::<T>())?;
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: 1. checked; 2. `value` has room for a `T`.
        unsafe {
            copy(
                value.as_mut_ptr().cast(),
                self.address as *const u8,
                size_of::<T>(),
            )?
        };
        // SAFETY: all bytes are written, and any bytes are a `T`.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes the value.
    pub fn write(&self, value: &T) -> Result<()> {
        check(self.address, size_of::<T>())?;
        let from = core::ptr::from_ref(value).cast::<u8>();
        // SAFETY: 1. checked; 2. `value` is a `T`, without padding.
        unsafe { copy(self.address as *mut u8, from, size_of::<T>()) }
    }
}

impl UserPtr<u32> {
    /// Reads the value while the core lock is held; nothing if that is not possible without waiting for its
    /// page, or at all: then [`read`](Self::read) without the lock tells, or waits.
    pub fn peek(&self, _: &Core) -> Option<u32> {
        check(self.address, size_of::<u32>()).ok()?;
        // SAFETY: it lies below `USER_TOP`; faults are fixed up.
        let value = with_user_access(|| unsafe {
            let value: u64;
            asm!("call {}", sym peek_user, in("rdi") self.address, out("rax") value, options(preserves_flags));
            value
        });
        u32::try_from(value).ok()
    }

    /// Makes the value `new` if it is `expected`, while the core lock is held; what it was. Nothing if that is not
    /// possible without waiting for its page, or at all: then [`touch`](Self::touch) without the lock tells, or waits.
    pub fn swap(&self, _: &Core, expected: u32, new: u32) -> Option<u32> {
        check(self.address, size_of::<u32>()).ok()?;
        // SAFETY: it lies below `USER_TOP`; faults are fixed up.
        let before = with_user_access(|| unsafe { swap_user(self.address, expected, new) });
        u32::try_from(before).ok()
    }

    /// Makes its page present and writable; the value stays as it is.
    pub fn touch(&self) -> Result<()> {
        check(self.address, size_of::<u32>())?;
        // SAFETY: it lies below `USER_TOP`; faults are fixed up.
        match with_user_access(|| unsafe { touch_user(self.address) }) {
            0 => Ok(()),
            NO_MEMORY => Err(Error::NoMemory),
            _ => Err(Error::Fault),
        }
    }
}

/// The user address of `length` values of type `T`.
#[derive(Debug)]
pub struct UserSlice<T> {
    address: u64,
    length: usize,
    target: PhantomData<T>,
}

impl<T: Plain> UserSlice<T> {
    /// A slice from a system call's arguments; checked when it is used.
    pub const fn new(address: u64, length: usize) -> UserSlice<T> {
        UserSlice {
            address,
            length,
            target: PhantomData,
        }
    }

    /// Values in the slice.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The n-th value; `Fault` beyond the end.
    pub fn get(&self, index: usize) -> Result<UserPtr<T>> {
        if index >= self.length {
            return Err(Error::Fault);
        }
        let offset = (index as u64)
            .checked_mul(size_of::<T>() as u64)
            .ok_or(Error::Fault)?;
        self.address
            .checked_add(offset)
            .map(UserPtr::new)
            .ok_or(Error::Fault)
    }

    /// Reads the first values into `values`, which is at most as long as the slice.
    pub fn read(&self, values: &mut [T]) -> Result<()> {
        if values.len() > self.length {
            return Err(Error::Fault);
        }
        check(self.address, size_of_val(values))?;
        let (to, count) = (values.as_mut_ptr().cast(), size_of_val(values));
        // SAFETY: 1. checked; 2. a slice of values that any bytes are valid for.
        unsafe { copy(to, self.address as *const u8, count) }
    }

    /// Writes `values`, at most as many as the slice is long, to its start.
    pub fn write(&self, values: &[T]) -> Result<()> {
        if values.len() > self.length {
            return Err(Error::Fault);
        }
        check(self.address, size_of_val(values))?;
        let (from, count) = (values.as_ptr().cast(), size_of_val(values));
        // SAFETY: 1. checked; 2. a slice of values without padding.
        unsafe { copy(self.address as *mut u8, from, count) }
    }
}
