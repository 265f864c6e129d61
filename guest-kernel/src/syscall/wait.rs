//! Waiting for children, and for readiness of sessions. The results go to user memory, so these calls
//! are made again when the wait ends.

use alloc::vec::Vec;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::ipc::{FOREVER, WaitItem};
use ferrix_abi::process::{WaitFor, WaitResult, wait};

use super::unlocked;
use crate::arch::TrapFrame;
use crate::ipc;
use crate::mm::uaccess::{UserPtr, UserSlice};
use crate::object::Core;
use crate::object::core_lock::lock;
use crate::process::waiting::{Report, Search, search};
use crate::process::{self, Life, Process};
use crate::sched::Next;
use crate::thread::{self, State, current, current_process};
use crate::time;

/// Most items of `WaitMany`.
const ITEMS_MAX: u64 = 4096;
/// So many are held on the stack.
const FEW_ITEMS: usize = 4;

/// `WaitMany`.
pub fn wait_many(frame: &mut TrapFrame) -> Next {
    let [address, count, ..] = frame.arguments();
    let items = UserSlice::<WaitItem>::new(address, count as usize);
    if count <= FEW_ITEMS as u64 {
        let mut few = [WaitItem::default(); FEW_ITEMS];
        let few = &mut few[..count as usize];
        return match unlocked(|| items.read(few)) {
            Ok(()) => wait_for(frame, &items, few),
            Err(error) => Next::error(frame, error),
        };
    }
    match unlocked(|| read_many(&items, count)) {
        Ok(mut many) => wait_for(frame, &items, &mut many),
        Err(error) => Next::error(frame, error),
    }
}

/// Waits for `items`, which were read from `place`.
#[inline(always)]
fn wait_for(frame: &mut TrapFrame, place: &UserSlice<WaitItem>, items: &mut [WaitItem]) -> Next {
    let [_, _, deadline, ..] = frame.arguments();
    let expired = deadline != FOREVER && time::now_ns() >= deadline;
    let mut core = lock();
    let caller = current();
    let waits = !expired && !thread::is_interrupted(&core, caller, true);
    let found = ipc::poll(&mut core, current_process(), items, waits.then_some(caller));
    if found == Ok(0) && !expired {
        return thread::wait(core, caller, frame, State::Poll, deadline);
    }
    drop(core);
    let result = found.and_then(|count| unlocked(|| place.write(items)).map(|()| count));
    Next::result(frame, result)
}

fn read_many(place: &UserSlice<WaitItem>, count: u64) -> Result<Vec<WaitItem>> {
    if count > ITEMS_MAX {
        return Err(Error::Invalid);
    }
    let mut items = Vec::new();
    items
        .try_reserve_exact(count as usize)
        .map_err(|_| Error::NoMemory)?;
    items.resize(count as usize, WaitItem::default());
    place.read(&mut items)?;
    Ok(items)
}

/// `Wait`.
pub fn wait_child(frame: &mut TrapFrame) -> Next {
    let [which, id, options, target, ..] = frame.arguments();
    let (id, options) = (id as u32, options as u32);
    let Some(which) = u8::try_from(which)
        .ok()
        .and_then(|which| WaitFor::try_from(which).ok())
    else {
        return Next::error(frame, Error::Invalid);
    };
    let mut core = lock();
    let caller = current();
    match find(&core, current_process(), which, id, options) {
        Search::NoChild => Next::error(frame, Error::NoChild),
        Search::Wait if options & wait::NO_HANG != 0 => Next::result(frame, Ok(0)),
        Search::Wait => thread::wait(core, caller, frame, State::Child, FOREVER),
        Search::Found(child, report) => {
            let found = describe(&core, child, report);
            if options & wait::NO_WAIT == 0 {
                take_note(&mut core, child, report);
            }
            drop(core);
            let written = unlocked(|| UserPtr::<WaitResult>::new(target).write(&found));
            Next::result(frame, written.map(|()| found.pid as u64))
        }
    }
}

fn find(
    core: &Core,
    parent: &'static Process,
    which: WaitFor,
    id: u32,
    options: u32,
) -> Search<&'static Process> {
    let children = parent.children.iter(core).map(|child| {
        (
            child,
            child.pid.get(core),
            child.group.get(core),
            report_of(core, child),
        )
    });
    search(children, which, id, options)
}

/// What a child has to report now: its end only once it is complete.
fn report_of(core: &Core, child: &Process) -> Option<Report> {
    let report = child.report.get(core);
    match report {
        Some(Report::Ended(_)) if child.life.get(core) != Life::Zombie => None,
        _ => report,
    }
}

fn describe(core: &Core, child: &'static Process, report: Report) -> WaitResult {
    let (all, system) = process::times(core, child);
    let (all_below, system_below) = child.child_cycles.get(core);
    let system_ns = time::cycles_to_ns(system + system_below);
    WaitResult {
        pid: child.pid.get(core),
        uid: child.identity.get(core).ruid,
        status: report.status(),
        reserved: 0,
        user_ns: time::cycles_to_ns(all + all_below).saturating_sub(system_ns),
        system_ns,
    }
}

fn take_note(core: &mut Core, child: &'static Process, report: Report) {
    match report {
        Report::Ended(_) => process::reap(core, child),
        Report::Stopped(_) | Report::Continued => child.report.set(core, None),
    }
    thread::reap(core);
}
