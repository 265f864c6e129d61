//! Processes.

use super::raw::{call6, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::process::{Identity, Personality, ProcessInfo, WaitFor, WaitResult};

/// Makes an empty child process with NUL-separated `arguments` for `/proc`; its handle and pid.
pub fn create(arguments: &[u8], resource: Handle) -> Result<(Handle, u32)> {
    let args = [
        arguments.as_ptr() as u64,
        arguments.len() as u64,
        resource.0.into(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the slice.
    let value = unsafe { call6(Call::ProcessCreate, args) }?;
    Ok((Handle(value as u32), (value >> 32) as u32))
}

/// Starts its first thread; RDI = `argument`.
pub fn start(process: Handle, entry: u64, stack: u64, argument: u64, priority: u8) -> Result<u32> {
    let args = [process.0.into(), entry, stack, argument, priority.into()];
    plain(Call::ProcessStart, args).map(|tid| tid as u32)
}

/// Gives a process a personality.
pub fn set_personality(process: Handle, personality: &Personality) -> Result<()> {
    let args = [&raw const *personality as u64, process.0.into(), 0, 0, 0, 0];
    // SAFETY: the kernel reads one `Personality`.
    unsafe { call6(Call::PersonalitySet, args) }.map(drop)
}

/// Copies the process: the child's pid, or 0 in the child.
///
/// # Safety
/// The child has only the calling thread: locks that other threads hold stay locked for ever there.
pub unsafe fn fork() -> Result<u32> {
    // SAFETY: the caller's condition; memory is copied, not taken.
    unsafe { call6(Call::Fork, [0; 6]) }.map(|pid| pid as u32)
}

/// The kernel's part of `exec`.
pub fn exec_commit(arguments: &[u8]) -> Result<()> {
    let args = [
        arguments.as_ptr() as u64,
        arguments.len() as u64,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the slice.
    unsafe { call6(Call::ExecCommit, args) }.map(drop)
}

/// Ends the process; `status` as `wait4` encodes it.
pub fn exit(status: u32) -> ! {
    let _ = plain(Call::Exit, [status.into()]);
    unreachable!("the kernel does not return from Exit")
}

/// Waits for a child; `None` with `NO_HANG` when there is nothing to report.
pub fn wait(which: WaitFor, id: u32, options: u32) -> Result<Option<WaitResult>> {
    let mut result = WaitResult::default();
    let args = [
        which as u64,
        id.into(),
        options.into(),
        &raw mut result as u64,
        0,
        0,
    ];
    // SAFETY: the kernel writes one `WaitResult`.
    let pid = unsafe { call6(Call::Wait, args) }?;
    Ok((pid != 0).then_some(result))
}

/// Parent of a process (0: the caller).
pub fn parent(pid: u32) -> Result<u32> {
    plain(Call::ParentPid, [pid.into()]).map(|pid| pid as u32)
}

/// Process group of a process (0: the caller).
pub fn group(pid: u32) -> Result<u32> {
    plain(Call::GetGroup, [pid.into()]).map(|id| id as u32)
}

/// Moves a process to a group.
pub fn set_group(pid: u32, group: u32) -> Result<()> {
    plain(Call::SetGroup, [pid.into(), group.into()]).map(drop)
}

/// Session of a process (0: the caller).
pub fn session(pid: u32) -> Result<u32> {
    plain(Call::GetSession, [pid.into()]).map(|id| id as u32)
}

/// Starts a new session.
pub fn new_session() -> Result<u32> {
    plain(Call::NewSession, []).map(|id| id as u32)
}

/// The live process with the smallest pid above `previous`.
pub fn next(previous: u32) -> Result<ProcessInfo> {
    let mut info = core::mem::MaybeUninit::<ProcessInfo>::zeroed();
    // SAFETY: the kernel writes one `ProcessInfo`.
    unsafe {
        call6(
            Call::ProcessNext,
            [previous.into(), info.as_mut_ptr() as u64, 0, 0, 0, 0],
        )
    }?;
    // SAFETY: integers and byte arrays only: zeroed or written, it is a valid value.
    Ok(unsafe { info.assume_init() })
}

/// User and group ids of a process (0: the caller).
pub fn identity(pid: u32) -> Result<Identity> {
    let mut identity = Identity::default();
    // SAFETY: the kernel writes one `Identity`.
    unsafe {
        call6(
            Call::GetIdentity,
            [pid.into(), &raw mut identity as u64, 0, 0, 0, 0],
        )
    }?;
    Ok(identity)
}

/// Changes the caller's ids.
pub fn set_identity(identity: &Identity) -> Result<()> {
    // SAFETY: the kernel reads one `Identity`.
    unsafe {
        call6(
            Call::SetIdentity,
            [&raw const *identity as u64, 0, 0, 0, 0, 0],
        )
    }
    .map(drop)
}
