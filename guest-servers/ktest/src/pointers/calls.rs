//! Which arguments of which call are addresses.

mod data;
mod ranges;

use ferrix_abi::Call;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_rt::sys::{ipc, memory, process, utcb};

use crate::support::*;

/// What a call does with an address; sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Reads.
    Read(u64),
    /// Writes.
    Write(u64),
    /// Writes if there is something to write.
    Perhaps(u64),
    /// Reads, then writes.
    Both(u64),
    /// Reads, if it is not null.
    ReadOrNull(u64),
    /// Writes, if it is not null.
    WriteOrNull(u64),
    /// Reads a futex's word: an aligned one.
    Word,
    /// Looks for waiters on a futex: the word itself is not touched.
    Key,
    /// Begin of a range of pages.
    Range,
    /// Length of a range of pages.
    Length,
    /// Loads into a register of a thread: must be a user address.
    Code,
}

impl Use {
    /// Bytes touched.
    pub fn size(self) -> u64 {
        match self {
            Use::Read(size)
            | Use::Write(size)
            | Use::Perhaps(size)
            | Use::Both(size)
            | Use::ReadOrNull(size)
            | Use::WriteOrNull(size) => size,
            Use::Word | Use::Key => 4,
            Use::Range | Use::Length | Use::Code => 0,
        }
    }

    /// Whether it has to be writable.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Use::Write(_) | Use::WriteOrNull(_) | Use::Perhaps(_) | Use::Both(_)
        )
    }
}

/// One argument of a call.
pub struct Row {
    /// Its name.
    pub what: &'static str,
    /// What is done with it.
    pub how: Use,
    /// All arguments, with this one's value given.
    pub args: fn(&Good, u64) -> [u64; 6],
    /// Done before each call.
    pub before: fn(&Good) -> Outcome,
    /// Done after each call.
    pub after: fn(&Good) -> Outcome,
}

const fn row(what: &'static str, how: Use, args: fn(&Good, u64) -> [u64; 6]) -> Row {
    Row {
        what,
        how,
        args,
        before: clear,
        after: |_| Ok(()),
    }
}

/// What the arguments that are right name.
pub struct Good {
    /// The process that calls.
    pub own_pid: u32,
    /// Memory.
    pub pages: Pages,
    /// A session, of which nothing is ready.
    pub session: Handle,
    /// A paged object of this process's.
    paged: Handle,
    /// A process that has not begun.
    process: Handle,
    /// A child that has ended.
    child: u32,
}

impl Good {
    /// Makes it all.
    pub fn new() -> Result<Good, Failure> {
        let port = ipc::port_create()?;
        Ok(Good {
            own_pid: utcb::pid(),
            pages: Pages::new(3)?,
            session: ipc::session_create(port, 1, 0)?,
            paged: memory::paged_create(port, 2, 64 * PAGE_SIZE, 0)?,
            process: process::create(b"never", resource())?.0,
            child: spawn(|| Ok(()))?,
        })
    }

    fn fill(&self, byte: u8) {
        let bytes = self.pages.length as usize;
        // SAFETY: the pages are this test's, and writable.
        unsafe { core::ptr::write_bytes(self.pages.address as *mut u8, byte, bytes) };
    }
}

fn clear(good: &Good) -> Outcome {
    good.fill(0);
    Ok(())
}

/// The arguments of a call that are addresses; `None`: nobody has said it yet of this call.
pub fn rows(call: Call) -> Option<&'static [Row]> {
    Some(match call {
        Call::ObjectClean | Call::ObjectReferenced | Call::ObjectSupply | Call::VmQuery => {
            data::of_objects(call)
        }
        Call::ProcessCreate | Call::ProcessStart | Call::PersonalitySet | Call::ExecCommit => {
            data::of_new_processes(call)
        }
        Call::Wait | Call::ProcessNext | Call::GetIdentity | Call::SetIdentity => {
            data::of_processes(call)
        }
        Call::WaitMany | Call::LogTake | Call::Log | Call::SystemStats | Call::MemoryInfo => {
            data::of_the_system(call)
        }
        Call::LimitSet | Call::LimitInfo | Call::SlabInfo => data::of_limits(call),
        Call::SigTake | Call::SigWait | Call::SigSend => data::of_signals(call),
        Call::FutexWait
        | Call::FutexWake
        | Call::FutexRequeue
        | Call::FutexLockPi
        | Call::FutexUnlockPi
        | Call::FutexWaitRequeuePi
        | Call::FutexRequeuePi => data::of_futexes(call),
        Call::ThreadNext | Call::CpuInfo => data::of_threads(call),
        Call::ThreadCreate | Call::SetFsBase => ranges::of_threads(call),
        Call::VmMap
        | Call::VmUnmap
        | Call::VmProtect
        | Call::VmRemap
        | Call::VmDiscard
        | Call::VmLock
        | Call::VmResident
        | Call::VmInherit => ranges::of_ranges(call),
        _ if NO_ADDRESSES.contains(&call) => &[],
        _ => return None,
    })
}

/// Calls without an argument that is an address.
const NO_ADDRESSES: &[Call] = &[
    // Its address is that of a word to clear, for which it is too late to fail: see `ends_of_threads`.
    Call::ThreadExit,
    // Its list is named in the UTCB; `robustcheck` names wrong ones.
    Call::FutexRelease,
    Call::MemoryForget,
    // What travels in messages is named in the UTCB: see `ranges_in_messages`.
    Call::Call,
    Call::Send,
    Call::Receive,
    Call::Reply,
    Call::ReplyReceive,
    // Numbers only.
    Call::Null,
    Call::PortCreate,
    Call::SessionCreate,
    Call::SessionSignal,
    Call::PortTimer,
    Call::PortId,
    Call::SessionBadge,
    Call::HandleClose,
    Call::HandleDup,
    Call::HandleGrant,
    Call::ObjectCreate,
    Call::ObjectPhysical,
    Call::ObjectSize,
    Call::PagedCreate,
    Call::ObjectFail,
    Call::ObjectResize,
    Call::ObjectDiscard,
    Call::Fork,
    Call::Exit,
    Call::ParentPid,
    Call::GetGroup,
    Call::SetGroup,
    Call::GetSession,
    Call::NewSession,
    Call::Yield,
    Call::SchedSet,
    Call::SchedGet,
    Call::SchedChange,
    Call::NiceSet,
    Call::NiceGet,
    Call::SetAffinity,
    Call::GetAffinity,
    Call::GetCpu,
    Call::CpuTime,
    Call::ThreadName,
    Call::SigAction,
    Call::SigMask,
    Call::SigPending,
    Call::SigSuspend,
    Call::SleepUntil,
    Call::AlarmSet,
    Call::ClockSet,
    Call::IrqBind,
    Call::IrqAck,
    Call::PortsGrant,
    Call::MsiBind,
    Call::PciConfig,
    Call::PowerOff,
    Call::Milestone,
    Call::MemoryLimit,
    Call::MemoryWatch,
    Call::LimitViolated,
    Call::ObjectQuota,
    Call::MemoryWait,
];
