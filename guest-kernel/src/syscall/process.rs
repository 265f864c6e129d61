//! Processes.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::layout::USER_TOP;
use ferrix_abi::process::{Personality, ProcessInfo};

use super::{read_arguments, unlocked};
use crate::arch::TrapFrame;
use crate::arch::trace_point::trace_point;
use crate::mm::uaccess::UserPtr;
use crate::mm::{AddressSpace, Usage};
use crate::object::Object;
use crate::object::core_lock::lock;
use crate::process::{self, Life, PIDS};
use crate::sched::{self, Next, Parameters};
use crate::signal;
use crate::thread::{self, ANY_CPU, Start, current, current_process};
use crate::trace;

/// `ProcessCreate`.
pub fn create(frame: &mut TrapFrame) -> Next {
    let [text, length, resource, ..] = frame.arguments();
    let result = make(text, length, Handle(resource as u32));
    Next::result(frame, result)
}

fn make(text: u64, length: u64, resource: Handle) -> Result<u64> {
    let parent = current_process();
    parent.check_resource(&lock(), resource, Rights::PROCESS)?;
    let (arguments, space) =
        unlocked(|| Ok((read_arguments(text, length)?, AddressSpace::new()?)))?;
    let mut core = lock();
    parent.handles.get_mut(&mut core).reserve(1)?;
    let child = process::create_empty(&mut core, Some(parent), space, &arguments)?;
    child.is_first.set(&core, true);
    process::apply_limits(&mut core, child);
    let rights = Rights::READ | Rights::WRITE | Rights::DUP | Rights::TRANSFER;
    let handle = parent.share_handle(&mut core, Object::Process(child), rights)?;
    Ok(handle.0 as u64 | (child.pid.get(&core) as u64) << 32)
}

/// `ProcessStart`.
pub fn start(frame: &mut TrapFrame) -> Next {
    let [process, entry, stack, argument, priority, ..] = frame.arguments();
    let first = TrapFrame::user(entry, stack, argument);
    let result = begin(Handle(process as u32), &first, priority);
    Next::result(frame, result)
}

fn begin(handle: Handle, first: &TrapFrame, priority: u64) -> Result<u64> {
    let stack = thread::new_stack()?;
    let mut core = lock();
    let target = current_process().process_named(&core, handle, Rights::WRITE)?;
    if target.life.get(&core) != Life::Made {
        return Err(Error::Invalid);
    }
    let valid = first.rip < USER_TOP && first.rsp < USER_TOP;
    let priority = u8::try_from(priority)
        .ok()
        .and_then(Parameters::from_priority);
    let parameters = priority.filter(|_| valid).ok_or(Error::Invalid)?;
    let how = Start {
        parameters,
        affinity: ANY_CPU,
        mask: 0,
    };
    let thread = thread::create(&mut core, target, first, how, stack)?;
    if target.personality.get(&core).is_some() {
        thread
            .arch_mut(&mut core)
            .enable_fpu()
            .inspect_err(|_| thread::dismiss(&mut core, thread))?;
    }
    target.life.set(&core, Life::Alive);
    sched::place(&core, thread);
    Ok(thread.tid.get(&core) as u64)
}

/// `PersonalitySet`.
pub fn set_personality(frame: &mut TrapFrame) -> Next {
    let [source, process, ..] = frame.arguments();
    let result = unlocked(|| UserPtr::<Personality>::new(source).read())
        .and_then(|personality| install(Handle(process as u32), personality));
    Next::result(frame, result.map(|()| 0))
}

fn install(handle: Handle, personality: Personality) -> Result<()> {
    let text = personality.text_begin..personality.text_end;
    let inside = |address| text.contains(&address);
    let entries = [
        personality.syscall_entry,
        personality.signal_entry,
        personality.fault_entry,
    ];
    let exits = personality.exit_begin <= personality.exit_end && inside(personality.exit_begin);
    if text.end > USER_TOP || !entries.into_iter().all(inside) || !exits {
        return Err(Error::Invalid);
    }
    let mut core = lock();
    let target = current_process().process_named(&core, handle, Rights::WRITE)?;
    target.personality.set(&core, Some(personality));
    let mut next = target.threads.first(&core);
    while let Some(thread) = next {
        next = target.threads.after(&core, Some(thread));
        let arch = thread.arch_mut(&mut core);
        arch.set_personality(&personality);
        arch.enable_fpu()?;
    }
    Ok(())
}

/// `Fork`.
pub fn fork(frame: &mut TrapFrame) -> Next {
    let result = process::fork(frame);
    Next::result(frame, result)
}

/// `ExecCommit`.
pub fn exec_commit(frame: &mut TrapFrame) -> Next {
    let [text, length, ..] = frame.arguments();
    let arguments = match unlocked(|| read_arguments(text, length)) {
        Ok(arguments) => arguments,
        Err(error) => return Next::error(frame, error),
    };
    let mut core = lock();
    let (caller, process) = (current(), current_process());
    process.set_arguments(&mut core, &arguments);
    trace_point(|| trace::exec(&core, process));
    process.executed.set(&core, true);
    caller.name.set(&core, [0; 2]);
    core = process::end_others(core, caller);
    let mut dispositions = process.signals.dispositions.get(&core);
    dispositions.reset_caught();
    process.signals.dispositions.set(&core, dispositions);
    caller.saved_mask.set(&core, None);
    signal::settle(&mut core, caller);
    Next::result(frame, Ok(0))
}

/// `Exit`.
pub fn exit(frame: &mut TrapFrame) -> Next {
    process::exit(frame.rdi as u32 & 0xffff)
}

/// `ProcessNext`.
pub fn next(frame: &mut TrapFrame) -> Next {
    let [previous, target, ..] = frame.arguments();
    let result = describe_next(previous as u32).and_then(|info| {
        unlocked(|| UserPtr::<ProcessInfo>::new(target).write(&info))?;
        Ok(info.pid as u64)
    });
    Next::result(frame, result)
}

fn describe_next(previous: u32) -> Result<ProcessInfo> {
    let core = lock();
    let (pid, process) = PIDS.next_used(&core, previous).ok_or(Error::NotFound)?;
    let space = process.share_space(&core);
    drop(core);
    let usage = unlocked(|| Ok(space.map_or(Usage::default(), |space| space.usage())))?;
    let core = lock();
    // It may have ended meanwhile; the object stays one, and says what it says.
    let mut info = process::describe(&core, process, usage);
    info.pid = pid;
    Ok(info)
}
