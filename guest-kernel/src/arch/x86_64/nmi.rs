//! Non-maskable interrupts: another CPU panics and wants this one to stop, or the monitor asks what the
//! machine is doing (QEMU's `nmi`), to which each CPU answers with a line in the log.
//!
//! An NMI can come at any instruction, so nothing here waits: an answer that finds the log in use is
//! put aside for its holder, and answers are rare however many NMIs come.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::cpu::{self, MAX_CPUS};
use super::frame::TrapFrame;
use super::machine_check;
use crate::log;
use crate::time;

/// A CPU answers once in this time.
const QUIET_NS: u64 = 1_000_000_000;

struct Answers {
    /// When the CPU answers again, in monotonic nanoseconds.
    next: AtomicU64,
    /// NMIs since its last answer.
    unanswered: AtomicU32,
}

static ANSWERS: [Answers; MAX_CPUS] = [const {
    Answers {
        next: AtomicU64::new(0),
        unanswered: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// The handler, on a stack of its own.
pub(super) extern "C" fn handle(frame: &mut TrapFrame) {
    if crate::panic::in_progress() {
        cpu::halt_forever();
    }
    let answers = &ANSWERS[cpu::cpu_id()];
    let now = time::now_ns();
    if now < answers.next.load(Relaxed) || !answer(frame, answers.unanswered.load(Relaxed)) {
        answers.unanswered.fetch_add(1, Relaxed);
        return;
    }
    machine_check::report_corrected();
    answers.unanswered.store(0, Relaxed);
    answers.next.store(now + QUIET_NS, Relaxed);
}

/// Says where the CPU is; false: too many lines wait for the log's holder.
fn answer(frame: &TrapFrame, unanswered: u32) -> bool {
    let mode = if frame.is_user() { "user" } else { "kernel" };
    log::line_aside(format_args!(
        "NMI on CPU {}: {mode} mode, rip {:#x}, rsp {:#x}, {unanswered} others since the last answer",
        cpu::cpu_id(),
        frame.rip,
        frame.rsp
    ))
}
