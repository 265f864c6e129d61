//! Signals.

use super::raw::{call6, call6_pair, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::signal::{Disposition, MaskHow, SignalInfo, SignalSet};

/// Whom a signal is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Target {
    /// As the pid argument of `kill` says: a process, a group, all.
    Process = 0,
    /// A thread.
    Thread = 1,
}

/// Sets a disposition; the old one's number.
pub fn set_action(signal: u32, disposition: Disposition) -> Result<u8> {
    plain(Call::SigAction, [signal.into(), disposition as u64]).map(|old| old as u8)
}

/// Changes the mask; the old one.
pub fn mask(how: MaskHow, set: SignalSet) -> Result<SignalSet> {
    // SAFETY: numbers only.
    unsafe { call6_pair(Call::SigMask, [how as u64, set, 0, 0, 0, 0]) }.map(|(_, old)| old)
}

/// The pending set.
pub fn pending() -> Result<SignalSet> {
    // SAFETY: numbers only.
    unsafe { call6_pair(Call::SigPending, [0; 6]) }.map(|(_, set)| set)
}

/// Waits under a mask until a caught signal is there.
pub fn suspend(mask: SignalSet) -> Result<()> {
    plain(Call::SigSuspend, [mask]).map(drop)
}

/// The next deliverable caught signal, with the mask to restore after its handler.
pub fn take() -> Result<Option<(SignalInfo, SignalSet)>> {
    let mut info = SignalInfo::default();
    let mut mask: SignalSet = 0;
    let args = [&raw mut info as u64, &raw mut mask as u64, 0, 0, 0, 0];
    // SAFETY: the kernel writes one `SignalInfo` and one 64-bit mask.
    let taken = unsafe { call6(Call::SigTake, args) }?;
    Ok((taken != 0).then_some((info, mask)))
}

/// Waits for one of a set of (blocked) signals.
pub fn wait(set: SignalSet, deadline: u64) -> Result<SignalInfo> {
    let mut info = SignalInfo::default();
    // SAFETY: the kernel writes one `SignalInfo`.
    unsafe {
        call6(
            Call::SigWait,
            [set, &raw mut info as u64, deadline, 0, 0, 0],
        )
    }?;
    Ok(info)
}

/// Sends a signal.
pub fn send(target: Target, id: i32, info: &SignalInfo) -> Result<()> {
    let args = [
        id as i64 as u64,
        &raw const *info as u64,
        target as u64,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads one `SignalInfo`.
    unsafe { call6(Call::SigSend, args) }.map(drop)
}
