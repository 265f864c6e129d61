//! Pointers that point nowhere: every call that takes one answers `Fault`, and nothing else happens.

use alloc::format;

use ferrix_abi::ipc::FOREVER;
use ferrix_abi::layout::{KERNEL_INFO, PAGE_SIZE, USER_TOP};
use ferrix_abi::process::{Identity, WaitFor, wait};
use ferrix_abi::signal::number::SIGUSR1;
use ferrix_abi::signal::{Disposition, MaskHow};
use ferrix_abi::vm::Prot;
use ferrix_abi::{Call, Error};
use ferrix_rt::sys::raw::call6;
use ferrix_rt::sys::{process, signal, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("nothing_is_read", nothing_is_read),
    ("nothing_is_written", nothing_is_written),
    ("addresses_of_threads", addresses_of_threads),
];

/// Addresses that a process may neither read nor write.
fn nowhere() -> Result<[u64; 10], Failure> {
    let hole = Pages::new(1)?;
    hole.unmap()?;
    let hidden = Pages::new(1)?;
    hidden.protect(Prot::empty())?;
    // Begins well, ends in a hole.
    let split = Pages::new(2)?;
    let second = Pages {
        address: split.address + PAGE_SIZE,
        length: PAGE_SIZE,
    };
    second.unmap()?;
    Ok([
        0,
        8,
        hole.address,
        hidden.address,
        split.address + PAGE_SIZE - 4,
        USER_TOP,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8010_0000,
        u64::MAX - 3,
    ])
}

#[track_caller]
fn faults(call: Call, pointer: u64, args: [u64; 6]) -> Outcome {
    // SAFETY: the kernel finds the pointer wrong and touches nothing.
    let result = unsafe { call6(call, args) };
    match result {
        Err(Error::Fault) => Ok(()),
        other => Err(Failure(format!(
            "{call:?} with {pointer:#x}: {other:?} instead of Fault"
        ))),
    }
}

fn nothing_is_read() -> Outcome {
    let good = Pages::new(1)?;
    let user = Identity::default();
    let before = process::identity(0)?;
    equal(before, user)?;
    for pointer in nowhere()? {
        let me = u64::from(utcb::pid());
        for (call, args) in [
            (Call::Log, [pointer, 16, 0, 0, 0, 0]),
            (Call::SigSend, [me, pointer, 0, 0, 0, 0]),
            (Call::SetIdentity, [pointer, 0, 0, 0, 0, 0]),
            (Call::ExecCommit, [pointer, 16, 0, 0, 0, 0]),
            (Call::PersonalitySet, [pointer, 0, 0, 0, 0, 0]),
            (
                Call::ProcessCreate,
                [pointer, 16, resource().0.into(), 0, 0, 0],
            ),
            (Call::WaitMany, [pointer, 1, 0, 0, 0, 0]),
        ] {
            faults(call, pointer, args)?;
        }
        // The word at the end of the split pages is there, and one address is odd.
        if pointer % PAGE_SIZE == 0 || pointer == 8 {
            let futex = [pointer, 0, 0, 1, 0, 0];
            faults(Call::FutexWait, pointer, futex)?;
            let compared = [pointer, 1, 1, good.address, 1 << 32, 0];
            faults(Call::FutexRequeue, pointer, compared)?;
        }
    }
    equal(process::identity(0)?, before)
}

/// Also not where reading is allowed.
fn nothing_is_written() -> Outcome {
    signal::set_action(SIGUSR1, Disposition::Catch)?;
    let read_only = Pages::new(1)?;
    read_only.protect(Prot::READ)?;
    for pointer in nowhere()?
        .into_iter()
        .chain([KERNEL_INFO, read_only.address])
    {
        for (call, args) in [
            (Call::SystemStats, [pointer, 0, 0, 0, 0, 0]),
            (Call::ProcessNext, [0, pointer, 0, 0, 0, 0]),
            (Call::GetIdentity, [0, pointer, 0, 0, 0, 0]),
            (Call::VmQuery, [0, 0, pointer, 0, 0, 0]),
        ] {
            faults(call, pointer, args)?;
        }
        let pid = spawn(|| Ok(()))?;
        let asked = u64::from(wait::EXITED | wait::NO_WAIT);
        let which = WaitFor::Pid as u64;
        faults(
            Call::Wait,
            pointer,
            [which, pid.into(), asked, pointer, 0, 0],
        )?;
        succeeded(pid)?;
        takes_no_signal(pointer)?;
    }
    equal(read_only.read(0), 0)
}

fn takes_no_signal(pointer: u64) -> Outcome {
    let mut word = 0u64;
    signal::mask(MaskHow::Block, set_of(SIGUSR1))?;
    kill(utcb::pid() as i32, SIGUSR1)?;
    let args = [set_of(SIGUSR1), pointer, FOREVER, 0, 0, 0];
    faults(Call::SigWait, pointer, args)?;
    kill(utcb::pid() as i32, SIGUSR1)?;
    signal::mask(MaskHow::Set, 0)?;
    let args = [pointer, &raw mut word as u64, 0, 0, 0, 0];
    faults(Call::SigTake, pointer, args)?;
    // Whether the failed call used it up is not promised.
    while signal::take()?.is_some() {}
    Ok(())
}

fn addresses_of_threads() -> Outcome {
    for (entry, stack) in [
        (USER_TOP, 0x40_0000),
        (0x40_0000, USER_TOP),
        (u64::MAX, 0),
        (0, u64::MAX),
        (0x8000_0000_0000, 0x8000_0000_0000),
    ] {
        // SAFETY: the kernel refuses the addresses.
        let result = unsafe { ferrix_rt::sys::thread::create(entry, stack, 0, 0) };
        fails(result, Error::Invalid)?;
    }
    for base in [USER_TOP, 0x8000_0000_0000, u64::MAX] {
        fails(ferrix_rt::sys::thread::set_fs_base(base), Error::Invalid)?;
    }
    Ok(())
}
