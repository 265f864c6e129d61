//! Memory: vectors and structures, and ranges of addresses, of which what is wrong has other errors.

use super::sys;
use crate::env::Env;
use crate::places::{GOOD, Kind, SCRATCH, bits};
use crate::raw::PAGE;
use crate::row::{Outcomes, Row, Use};
use libc::{EFAULT, EINVAL, ENOMEM, EPERM};

/// Not at the begin of a page.
const ODD: &[Kind] = &[Kind::Small, Kind::Low, Kind::End, Kind::Wrapping, Kind::Odd];
/// Where no program has memory.
const OUTSIDE: &[Kind] = &[
    Kind::Kernel,
    Kind::KernelText,
    Kind::NotCanonical,
    Kind::Top,
    Kind::Personality,
    Kind::PersonalData,
    Kind::Window,
    Kind::Utcb,
    Kind::Information,
];
const OUTSIDE_AND_LOW: &[Kind] = &[
    Kind::Small,
    Kind::Low,
    Kind::Kernel,
    Kind::KernelText,
    Kind::NotCanonical,
    Kind::Top,
    Kind::Personality,
    Kind::PersonalData,
    Kind::Window,
    Kind::Utcb,
    Kind::Information,
];
const INVALID: Outcomes = &[EINVAL];
const NO_MEMORY: Outcomes = &[ENOMEM];
const DONE: Outcomes = &[0];
/// Linux cannot make a page present that nobody may touch; Ferrix need not.
const NOT_PRESENT: Outcomes = &[ENOMEM, 0];
/// Nothing is mapped there.
const NOTHING: &[Kind] = &[Kind::Null, Kind::Hole];
/// Something is.
const SOMETHING: &[Kind] = &[Kind::Hidden, Kind::Beyond];
const FIXED: usize = (libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
const MOVE_TO: usize = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as usize;

/// A row about a range of one page.
const fn range(call: (i64, &'static str), args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(call, "range", Use::Range, args)
}

/// These calls take the page around an address.
const fn locks(call: (i64, &'static str)) -> Row {
    range(call, |_, p| [p, PAGE, 0, 0, 0, 0])
        .at(&[Kind::End, Kind::Wrapping], INVALID)
        .at(&[Kind::Odd], DONE)
        .at(NOTHING, NO_MEMORY)
        .at(OUTSIDE_AND_LOW, NO_MEMORY)
}

/// A segment of shared memory, for one call.
fn make_segment(env: &Env) {
    // SAFETY: numbers only.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, PAGE, 0o600) };
    env.own.set(id as usize);
}

fn remove_segment(env: &Env, _: usize, result: isize) {
    if result > 0 {
        // SAFETY: `shmat` mapped it; nobody uses it.
        unsafe { libc::shmdt(result as *const _) };
    }
    // SAFETY: no structure is needed to remove it.
    unsafe { libc::shmctl(env.own.get() as i32, libc::IPC_RMID, std::ptr::null_mut()) };
}

const fn segment(what: &'static str, how: Use, args: fn(&Env, usize) -> [usize; 6]) -> Row {
    Row::new(sys!(SYS_shmctl), what, how, args)
        .before(make_segment)
        .after(remove_segment)
}

/// The rows.
pub const ROWS: &[Row] = &[
    Row::new(sys!(SYS_mincore), "vector", Use::Write(4), |_, p| {
        [GOOD, 4 * PAGE, p, 0, 0, 0]
    }),
    segment("IPC_STAT", Use::Write(112), |e, p| {
        [e.own.get(), libc::IPC_STAT as usize, p, 0, 0, 0]
    }),
    segment("IPC_SET", Use::Read(112), |e, p| {
        [e.own.get(), libc::IPC_SET as usize, p, 0, 0, 0]
    }),
    segment("IPC_INFO", Use::Write(72), |_, p| {
        [0, libc::IPC_INFO as usize, p, 0, 0, 0]
    }),
    segment("SHM_INFO", Use::Write(48), |_, p| [0, 14, p, 0, 0, 0]),
    range(sys!(SYS_munmap), |_, p| [p, PAGE, 0, 0, 0, 0])
        .at(ODD, INVALID)
        .at(OUTSIDE, INVALID)
        .at(&[Kind::Null], &[0, EINVAL])
        .everywhere(DONE),
    range(sys!(SYS_mprotect), |_, p| [p, PAGE, 0, 0, 0, 0])
        .at(ODD, INVALID)
        .at(OUTSIDE, NO_MEMORY)
        .at(NOTHING, NO_MEMORY)
        .at(SOMETHING, DONE),
    range(sys!(SYS_madvise), |_, p| {
        [p, PAGE, libc::MADV_DONTNEED as usize, 0, 0, 0]
    })
    .at(ODD, INVALID)
    .at(OUTSIDE, NO_MEMORY)
    .at(NOTHING, NO_MEMORY)
    .at(SOMETHING, DONE),
    range(sys!(SYS_msync), |_, p| {
        [p, PAGE, libc::MS_SYNC as usize, 0, 0, 0]
    })
    .at(ODD, INVALID)
    .at(OUTSIDE, NO_MEMORY)
    .at(NOTHING, NO_MEMORY)
    .at(SOMETHING, DONE),
    range(sys!(SYS_mincore), |_, p| [p, PAGE, SCRATCH, 0, 0, 0])
        .at(ODD, INVALID)
        .at(OUTSIDE, NO_MEMORY)
        .at(NOTHING, NO_MEMORY)
        .at(SOMETHING, DONE),
    range(sys!(SYS_mremap), |_, p| [p, PAGE, 2 * PAGE, 1, 0, 0])
        .at(ODD, INVALID)
        .at(SOMETHING, DONE)
        .everywhere(&[EFAULT]),
    Row::new(sys!(SYS_mremap), "target", Use::Range, |_, p| {
        [GOOD + 3 * PAGE, PAGE, PAGE, MOVE_TO, p, 0]
    })
    .without(bits(NOTHING) | bits(SOMETHING))
    .at(&[Kind::Odd], INVALID)
    .everywhere(INVALID),
    Row::new(sys!(SYS_mmap), "fixed range", Use::Range, |_, p| {
        [p, PAGE, 3, FIXED, usize::MAX, 0]
    })
    .without(Kind::Null.bit())
    .at(&[Kind::Small, Kind::Low, Kind::Odd], INVALID)
    .at(&[Kind::End, Kind::Wrapping], &[EINVAL, EPERM])
    .at(OUTSIDE, NO_MEMORY)
    .everywhere(DONE),
    Row::new(sys!(SYS_mmap), "hint", Use::Range, |_, p| {
        [p, PAGE, 3, FIXED & !0x10, usize::MAX, 0]
    })
    .at(&[Kind::Odd], DONE)
    .at(&[Kind::End, Kind::Wrapping], &[0, EINVAL])
    .at(OUTSIDE, &[0, ENOMEM])
    .everywhere(DONE),
    locks(sys!(SYS_mlock))
        .at(&[Kind::Hidden], NOT_PRESENT)
        .at(SOMETHING, NO_MEMORY),
    locks(sys!(SYS_mlock2))
        .at(&[Kind::Hidden], NOT_PRESENT)
        .at(SOMETHING, NO_MEMORY),
    locks(sys!(SYS_munlock)).at(SOMETHING, DONE),
    // The break stays where it is.
    range(sys!(SYS_brk), |_, p| [p, 0, 0, 0, 0, 0])
        .everywhere(DONE)
        .at(&[Kind::Odd], DONE),
    Row::new(sys!(SYS_shmat), "address", Use::Range, |e, p| {
        [e.own.get(), p, 0, 0, 0, 0]
    })
    .before(make_segment)
    .after(remove_segment)
    .at(ODD, INVALID)
    .at(SOMETHING, INVALID)
    .at(OUTSIDE, &[EINVAL, ENOMEM])
    .everywhere(DONE),
    Row::new(sys!(SYS_shmdt), "address", Use::Range, |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .at(&[Kind::Odd], INVALID)
    .everywhere(INVALID),
    Row::new(sys!(SYS_arch_prctl), "FS base", Use::Range, |_, p| {
        [0x1002, p, 0, 0, 0, 0]
    })
    .only_wrong()
    .without(!bits(OUTSIDE))
    .everywhere(&[EPERM]),
];
