//! The table: one line for each call.

use ferrix_abi::Call;

use super::dispatch::{finish, unknown};
use super::*;
use crate::ipc;

/// As many as a byte can name.
const CALLS: usize = 256;

/// Makes what the entries call of each handler, in one function with it.
macro_rules! table {
    ([$((Call::$call:ident, $handler:path)),* $(,)?]) => {
        table(&[$((Call::$call, {
            extern "C" fn entry(frame: &mut TrapFrame) {
                finish($handler(frame))
            }
            entry as Entry
        })),*])
    };
}

/// What the entries call, by number.
pub static TABLE: [Entry; CALLS] = table!([
    (Call::Null, machine::null),
    (Call::Call, ipc::call),
    (Call::Send, ipc::send),
    (Call::Receive, ipc::receive),
    (Call::Reply, ipc::reply),
    (Call::ReplyReceive, ipc::reply_receive),
    (Call::PortCreate, port::create),
    (Call::SessionCreate, port::session_create),
    (Call::SessionSignal, port::session_signal),
    (Call::WaitMany, wait::wait_many),
    (Call::PortTimer, port::timer),
    (Call::PortId, port::id),
    (Call::SessionBadge, port::session_badge),
    (Call::HandleClose, handle::close),
    (Call::HandleDup, handle::duplicate),
    (Call::HandleGrant, handle::grant),
    (Call::ObjectCreate, memory::object_create),
    (Call::ObjectPhysical, memory::object_physical),
    (Call::ObjectSize, memory::object_size),
    (Call::PagedCreate, paging::create),
    (Call::ObjectSupply, paging::supply),
    (Call::ObjectFail, paging::fail),
    (Call::ObjectClean, paging::clean),
    (Call::ObjectResize, paging::resize),
    (Call::ObjectDiscard, paging::discard),
    (Call::ObjectReferenced, paging::referenced),
    (Call::ObjectQuota, paging::quota),
    (Call::MemoryWatch, paging::watch),
    (Call::MemoryWait, paging::wait),
    (Call::VmMap, memory::map),
    (Call::VmUnmap, memory::unmap),
    (Call::VmProtect, memory::protect),
    (Call::VmQuery, memory::query),
    (Call::VmRemap, memory::remap),
    (Call::VmDiscard, memory::discard),
    (Call::VmLock, resident::lock_range),
    (Call::VmResident, resident::resident),
    (Call::VmInherit, resident::inherit),
    (Call::MemoryInfo, resident::info),
    (Call::MemoryLimit, resident::limit),
    (Call::MemoryForget, resident::forget),
    (Call::LimitSet, limit::set),
    (Call::LimitInfo, limit::info),
    (Call::LimitViolated, limit::violated),
    (Call::SlabInfo, limit::slab_info),
    (Call::ProcessCreate, process::create),
    (Call::ProcessStart, process::start),
    (Call::PersonalitySet, process::set_personality),
    (Call::Fork, process::fork),
    (Call::ExecCommit, process::exec_commit),
    (Call::Exit, process::exit),
    (Call::Wait, wait::wait_child),
    (Call::ParentPid, identity::parent),
    (Call::GetGroup, identity::group),
    (Call::SetGroup, identity::set_group),
    (Call::GetSession, identity::session),
    (Call::NewSession, identity::new_session),
    (Call::ProcessNext, process::next),
    (Call::GetIdentity, identity::get),
    (Call::SetIdentity, identity::set),
    (Call::ThreadCreate, thread::create),
    (Call::ThreadExit, thread::exit),
    (Call::SetFsBase, thread::set_fs_base),
    (Call::Yield, schedule::yield_slice),
    (Call::SchedSet, schedule::set),
    (Call::SchedGet, schedule::get),
    (Call::SchedChange, schedule::change_linux),
    (Call::NiceSet, permission::set_nice),
    (Call::NiceGet, permission::get_nice),
    (Call::SetAffinity, schedule::set_affinity),
    (Call::GetAffinity, schedule::get_affinity),
    (Call::GetCpu, schedule::cpu),
    (Call::CpuTime, schedule::cpu_time),
    (Call::SigAction, signal::action),
    (Call::SigMask, signal::mask),
    (Call::SigPending, signal::pending),
    (Call::SigSuspend, signal::suspend),
    (Call::SigTake, signal::take),
    (Call::SigWait, signal::wait),
    (Call::SigSend, signal::send),
    (Call::FutexWait, thread::futex_wait),
    (Call::FutexWake, thread::futex_wake),
    (Call::FutexRequeue, thread::futex_requeue),
    (Call::FutexLockPi, thread::futex_lock_pi),
    (Call::FutexUnlockPi, thread::futex_unlock_pi),
    (Call::FutexWaitRequeuePi, thread::futex_wait_requeue_pi),
    (Call::FutexRequeuePi, thread::futex_requeue_pi),
    (Call::ThreadNext, inspect::next_thread),
    (Call::ThreadName, inspect::name_thread),
    (Call::CpuInfo, inspect::cpu_info),
    (Call::FutexRelease, thread::futex_release),
    (Call::SleepUntil, time::sleep_until),
    (Call::AlarmSet, time::set_alarm),
    (Call::ClockSet, time::set_clock),
    (Call::IrqBind, machine::bind_irq),
    (Call::IrqAck, machine::acknowledge_irq),
    (Call::MsiBind, machine::bind_message),
    (Call::PciConfig, machine::pci_config),
    (Call::PortsGrant, machine::grant_ports),
    (Call::LogTake, machine::take_log),
    (Call::Log, machine::log),
    (Call::PowerOff, machine::power_off),
    (Call::Milestone, machine::milestone),
    (Call::SystemStats, machine::statistics),
]);

/// Puts the handlers at their numbers.
const fn table(handlers: &[(Call, Entry)]) -> [Entry; CALLS] {
    let mut table = [unknown as Entry; CALLS];
    let mut index = 0;
    while index < handlers.len() {
        table[handlers[index].0 as usize] = handlers[index].1;
        index += 1;
    }
    table
}
