//! Resource limits.

use super::raw::{call6, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::limit::{Limit, LimitInfo, Resource};

/// Sets a limit of a process (0: the caller) if there is a new one; the old one.
pub fn set(pid: u32, which: Resource, new: Option<&Limit>) -> Result<Limit> {
    let mut old = Limit::default();
    let from = new.map_or(0, |new| &raw const *new as u64);
    let args = [pid.into(), which as u64, from, &raw mut old as u64, 0, 0];
    // SAFETY: the kernel reads one `Limit` and writes one.
    unsafe { call6(Call::LimitSet, args) }?;
    Ok(old)
}

/// Limits, use and violations of a process (0: the caller).
pub fn info(pid: u32) -> Result<LimitInfo> {
    let mut info = LimitInfo::default();
    // SAFETY: the kernel writes one `LimitInfo`.
    unsafe {
        call6(
            Call::LimitInfo,
            [pid.into(), &raw mut info as u64, 0, 0, 0, 0],
        )
    }?;
    Ok(info)
}

/// Counts a violation that the caller has found.
pub fn violated(which: Resource) {
    // The resource exists: nothing can fail.
    let _ = plain(Call::LimitViolated, [which as u64]);
}
