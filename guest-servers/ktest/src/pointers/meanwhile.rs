//! Memory that goes while the kernel copies to or from it: another thread unmaps it, or takes the right.
//!
//! `rounds=N` on the command line makes N times as many calls.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::memory::{Mapping, SELF, map};
use ferrix_rt::sys::raw::call6;
use ferrix_rt::sys::thread;

use super::unexpected;
use super::{Place, resource};
use crate::options;
use crate::support::*;

/// Rounds of one test, each a few calls.
const ROUNDS: u64 = 6;

/// Length of a pause between two changes: some ten microseconds.
const PAUSE: u64 = 500;

const RW: Prot = Prot::READ.union(Prot::WRITE);

static STOP: AtomicU32 = AtomicU32::new(0);

/// One thread calls; the other changes the second of two pages.
fn race(change: fn(Pages) -> Outcome) -> Outcome {
    let both = Pages::new(2)?;
    let second = Pages {
        address: both.address + PAGE_SIZE,
        length: PAGE_SIZE,
    };
    STOP.store(0, SeqCst);
    let other = start_thread(move || {
        while STOP.load(SeqCst) == 0 {
            change(second)?;
            thread::yield_now();
            // A lock that is taken again at once, the other never gets.
            (0..PAUSE).for_each(|_| core::hint::spin_loop());
        }
        Ok(())
    })?;
    let result = (0..ROUNDS * options::rounds()).try_for_each(|_| calls(second.address));
    STOP.store(1, SeqCst);
    other.join()?;
    result
}

/// The page at `at`, and the one before it, are read and written.
fn calls(at: u64) -> Outcome {
    for address in [at, at - 8] {
        for (call, args) in [
            (Call::SystemStats, [address, 0, 0, 0, 0, 0]),
            (Call::GetIdentity, [0, address, 0, 0, 0, 0]),
            (Call::VmQuery, [0, 0, address, 0, 0, 0]),
            (Call::SigSend, [0, address, 2, 0, 0, 0]),
            (Call::PersonalitySet, [address, 0, 0, 0, 0, 0]),
            (Call::ProcessCreate, [address, 64, 0, 0, 0, 0]),
            (Call::FutexWait, [address, 1, 0, 1, 0, 0]),
            (Call::FutexWake, [address, 1, 1, 0, 0, 0]),
            (Call::LogTake, [address, 64, resource().0.into(), 0, 0, 0]),
        ] {
            // SAFETY: what the calls write lies in pages of which nothing is expected.
            match unsafe { call6(call, args) } {
                // What is said of the arguments once they are read; nobody waits; the word differs.
                Ok(_)
                | Err(
                    Error::Fault
                    | Error::Invalid
                    | Error::WouldBlock
                    | Error::BadHandle
                    | Error::NotPermitted,
                ) => {}
                result => {
                    let what = "memory that comes and goes";
                    let is_mapped = true;
                    return Err(unexpected(
                        &Place {
                            what,
                            address,
                            is_mapped,
                        },
                        result,
                    ));
                }
            }
        }
    }
    Ok(())
}

pub fn unmapped() -> Outcome {
    race(|page| {
        page.unmap()?;
        let again = Mapping {
            address: page.address,
            flags: MapFlags::FIXED | MapFlags::PRIVATE,
            ..Mapping::anonymous(PAGE_SIZE, RW)
        };
        // SAFETY: only raw accesses use the page.
        unsafe {
            map(&Mapping {
                process: SELF,
                ..again
            })
        }?;
        Ok(())
    })
}

pub fn protected() -> Outcome {
    race(|page| {
        page.protect(Prot::empty())?;
        page.protect(Prot::READ)?;
        Ok(page.protect(RW)?)
    })
}
