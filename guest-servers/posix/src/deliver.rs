//! Signal delivery: a handler's frame on the program's stack, and what becomes of the interrupted call.

use crate::state::ACTIONS;
use crate::{fp, local, user};
use ferrix_abi::signal::number::{SIGCHLD, SIGKILL, SIGSEGV};
use ferrix_abi::signal::{Disposition, MaskHow, SignalInfo, SignalSet};
use ferrix_posix::actions::Action;
use ferrix_posix::fp_state::LEGACY;
use ferrix_posix::signal_frame::{self, SignalFrame};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_rt::sys::{process, signal, system};
use linux_raw_sys::general::{SA_RESETHAND, SA_RESTART};

/// The kernel interrupted the program with a signal; it is in the slot.
pub extern "C" fn signal(frame: &mut Frame) {
    let (info, mask) = local::taken_signal();
    handle(frame, &info, mask, &mut None);
    pending(frame);
}

/// Signals came while the personality ran.
pub extern "C" fn pending(frame: &mut Frame) {
    take_all(frame, &mut None);
}

/// A call was interrupted: handlers run, then it is restarted or fails with `EINTR`.
pub fn interrupted(frame: &mut Frame, why: Errno) {
    let mut call = Some(why);
    take_all(frame, &mut call);
    if call.is_some() {
        // No handler ran: the signal was another thread's, or needs none.
        if let Some(mask) = local::take_deferred_mask() {
            set_mask(mask);
        }
        frame.restart();
    }
}

fn take_all(frame: &mut Frame, call: &mut Option<Errno>) {
    while local::signal_pending() {
        match signal::take() {
            Ok(Some((info, mask))) => handle(frame, &info, mask, call),
            _ => break,
        }
    }
}

/// Lets the handler of one signal run next, if there is one; decides the interrupted call first.
fn handle(frame: &mut Frame, info: &SignalInfo, mask: SignalSet, call: &mut Option<Errno>) {
    let Ok(action) = ACTIONS.lock().get(info.signo) else {
        return;
    };
    if !action.is_caught() || action.filters(info) {
        return;
    }
    let mask = local::take_deferred_mask().unwrap_or(mask);
    if let Some(why) = call.take() {
        resolve(frame, why, &action);
    }
    if push(frame, &action, info, mask).is_err() {
        // No room for the frame: as on Linux, the program cannot go on.
        process::exit(SIGSEGV);
    }
    must_be_canonical(frame.rip);
    set_mask(action.mask_during(info.signo, mask));
    if action.has(SA_RESETHAND) {
        reset(info.signo);
    }
}

/// A jump to any other address would fault here, and not in the program.
fn must_be_canonical(address: u64) {
    if (address as i64) << 16 >> 16 != address as i64 {
        process::exit(SIGSEGV);
    }
}

fn resolve(frame: &mut Frame, why: Errno, action: &Action) {
    if why == Errno::RESTART_ALWAYS || why == Errno::RESTART && action.has(SA_RESTART) {
        frame.restart();
    } else {
        frame.rax = Errno::EINTR.to_rax();
    }
}

fn push(frame: &mut Frame, action: &Action, info: &SignalInfo, mask: SignalSet) -> Result<()> {
    let alternate = local::get().alternate;
    let fp_size = fp::layout().in_frame();
    let place = signal_frame::place(frame, action, &alternate, fp_size).ok_or(Errno::EFAULT)?;
    user::write_bytes(place.fp, &fp::save().0[..fp_size])?;
    let built = signal_frame::build(frame, action, info, mask, &alternate, place);
    user::write(place.frame, &built)?;
    signal_frame::enter(frame, action, info.signo, place);
    Ok(())
}

/// Makes the thread's mask `mask`; a system call only if it differs.
pub fn set_mask(mask: SignalSet) {
    if local::get().mask != mask {
        // The call has no way to fail: the set is any set.
        let _ = signal::mask(MaskHow::Set, mask);
        local::update(|local| local.mask = mask);
    }
}

fn reset(number: u32) {
    let changed = ACTIONS.lock().set(number, Action::default());
    if let Ok(Some(disposition)) = changed {
        let _ = signal::set_action(number, disposition);
    }
}

/// `rt_sigreturn`: RSP is 8 above the frame (the handler's return took the address).
pub fn sigreturn(frame: &mut Frame) -> Result<u64> {
    let saved: SignalFrame =
        user::read(frame.rsp.wrapping_sub(8)).unwrap_or_else(|_| process::exit(SIGSEGV));
    if saved.context.fpstate != 0 {
        restore_fp(saved.context.fpstate);
    }
    *frame = signal_frame::restore(&saved.context);
    must_be_canonical(frame.rip);
    local::update(|local| {
        local.alternate = signal_frame::AltStack {
            flags: 0,
            ..saved.stack
        };
    });
    set_mask(saved.mask & !ferrix_posix::actions::UNBLOCKABLE);
    Ok(frame.rax)
}

/// Loads the floating-point state of a frame. One that a program made may end after its legacy part.
fn restore_fp(at: u64) {
    let mut state = fp::State::empty();
    let read = [fp::layout().in_frame(), LEGACY]
        .into_iter()
        .find(|&size| user::read_bytes(at, &mut state.0[..size]).is_ok());
    match read {
        Some(read) => fp::load(state, read),
        None => process::exit(SIGSEGV),
    }
}

/// A fault of the personality outside the guarded copies: a bug, or a program that jumped into it.
pub extern "C" fn personality_fault() -> ! {
    let (info, _) = local::taken_signal();
    let mut line = arrayvec::ArrayString::<128>::new();
    let rip = local::fault_address();
    // The buffer holds the longest such line.
    let _ = core::fmt::Write::write_fmt(
        &mut line,
        format_args!(
            "posix: fault at rip {rip:#x}, address {:#x}\n",
            info.address
        ),
    );
    system::log(&line);
    // Without memory for a page that the personality needs, nothing else can be done.
    process::exit(if info.signo == SIGKILL {
        SIGKILL
    } else {
        SIGSEGV
    })
}

/// Tells the kernel a disposition.
pub fn tell_kernel(number: u32, disposition: Disposition) -> Result<()> {
    debug_assert!(disposition != Disposition::NoChildWait || number == SIGCHLD);
    signal::set_action(number, disposition)?;
    Ok(())
}
