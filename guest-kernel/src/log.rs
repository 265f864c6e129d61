//! The kernel log: lines on the 16550 UART.
//!
//! Each byte costs an exit to the monitor, so the log is for what someone should read.
//!
//! The UART can be given away, to the driver of a terminal on it (see [`ports`](crate::ports)). From
//! then on the kernel does not touch it: lines wait in a [`Backlog`], an interrupt tells the owner, and
//! the owner puts them out, whole, between its own output. A panic takes the UART back without
//! asking, and so does the end of the machine.
//!
//! What can come at any instruction (an NMI, a machine check) may have interrupted whoever holds the
//! log, and must not wait for it: its lines go to its CPU's [`ASIDE`], from where the log's holder
//! fetches them when it is done.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering::SeqCst, fence};

use ferrix_machine::port::UART;
use ferrix_machine::uart::{self, ALL_SENT, HAS_ROOM};

use crate::arch::cpu::{self, MAX_CPUS};
use crate::arch::instructions::{in8, out8};
use crate::arch::{Features, features};
use crate::aside::Aside;
use crate::backlog::Backlog;
use crate::irq;
use crate::sync::IrqSpinLock;

const LINE_STATUS: u16 = UART + uart::LINE_STATUS;
const INTERRUPT_ENABLE: u16 = UART + uart::INTERRUPT_ENABLE;
/// A UART that is not ready after so many looks is not there.
const LOOKS_MAX: u32 = 100_000;

struct State {
    /// The UART is a driver's.
    away: bool,
    backlog: Backlog,
}

static LOCK: IrqSpinLock<State> = IrqSpinLock::new(State {
    away: false,
    backlog: Backlog::new(),
});

static ASIDE: [Aside; MAX_CPUS] = [const { Aside::new() }; MAX_CPUS];
/// There is text in [`ASIDE`].
static HAS_ASIDE: AtomicBool = AtomicBool::new(false);

impl State {
    fn add(&mut self, write: impl FnOnce(&mut dyn Write)) {
        if self.away {
            self.backlog.add(write);
        } else {
            write(&mut Uart);
        }
    }

    /// The UART is the kernel's again: puts out what waited.
    fn take_back(&mut self) {
        self.away = false;
        // SAFETY: the UART's register: no interrupts.
        unsafe { out8(INTERRUPT_ENABLE, 0) }
        let mut piece = [0; 64];
        while !self.backlog.is_empty() {
            let count = self.backlog.take(&mut piece);
            piece[..count].iter().copied().for_each(put);
        }
    }
}

struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(put);
        Ok(())
    }
}

fn put(byte: u8) {
    // Ferrix's own monitor takes every byte at once.
    if !features().contains(Features::EXIT_PORT) {
        wait_for(HAS_ROOM);
    }
    // SAFETY: the UART's data register.
    unsafe { out8(UART, byte) }
}

/// Waits for a bit of the line status.
fn wait_for(bit: u8) {
    for _ in 0..LOOKS_MAX {
        // SAFETY: the UART's register; reading it clears error bits at most.
        if unsafe { in8(LINE_STATUS) } & bit != 0 {
            return;
        }
    }
}

/// Has `work` done by the holder of the log, who then fetches what was put aside meanwhile.
fn holding<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let mut state = LOCK.lock();
    let result = work(&mut state);
    drop(state);
    fetch_aside();
    result
}

/// Fetches what was put aside, unless somebody holds the log: who looks here after giving it back.
fn fetch_aside() {
    loop {
        // What was done to the lock, or put aside, comes before the look at the other, in both who
        // holds the log and who cannot have it: else each could miss what the other did.
        fence(SeqCst);
        if !HAS_ASIDE.load(SeqCst) {
            return;
        }
        let Some(mut state) = LOCK.try_lock() else {
            return;
        };
        HAS_ASIDE.store(false, SeqCst);
        for aside in &ASIDE {
            state.add(|sink| aside.take(|byte| sink.write_char(byte.into()).unwrap_or(())));
        }
    }
}

/// Writes text in one piece; what is not UTF-8 of it as replacement characters.
pub fn write(text: &[u8]) {
    holding(|state| {
        state.add(|sink| {
            for chunk in text.utf8_chunks() {
                let _ = sink.write_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    let _ = sink.write_char(char::REPLACEMENT_CHARACTER);
                }
            }
        });
        tell(state);
    });
}

fn put_line(sink: &mut dyn Write, arguments: fmt::Arguments<'_>) {
    // No sink fails.
    let _ = sink.write_fmt(arguments);
    let _ = sink.write_char('\n');
}

/// Writes one line. Use [`log!`](crate::log!).
pub fn line(arguments: fmt::Arguments<'_>) {
    holding(|state| {
        state.add(|sink| put_line(sink, arguments));
        tell(state);
    });
}

/// Tells the UART's owner that there is text. Interrupts are off.
fn tell(state: &State) {
    if state.away {
        irq::log_has_text();
    }
}

/// The UART is a driver's from now on.
pub fn give_away() {
    holding(|state| {
        wait_for(ALL_SENT);
        state.away = true;
    });
}

/// The UART is the kernel's again, if it is not: its driver has gone, or the machine ends.
pub fn take_back() {
    holding(|state| {
        if state.away {
            state.take_back();
        }
    });
}

/// As [`take_back`], for a panic: whoever holds the lock stays behind, but what waits for it comes out.
pub fn seize() {
    if let Some(mut state) = LOCK.try_lock()
        && state.away
    {
        state.take_back();
    }
    ASIDE.iter().for_each(|aside| aside.take(put));
}

/// Takes text that has not come out, for the UART's owner; how many bytes.
pub fn take(target: &mut [u8]) -> usize {
    holding(|state| state.backlog.take(target))
}

/// Writes one line without waiting, for what may have interrupted the log's holder, who writes it
/// then; false: too many wait already.
pub fn line_aside(arguments: fmt::Arguments<'_>) -> bool {
    let added = ASIDE[cpu::cpu_id()].add(|sink| put_line(sink, arguments));
    HAS_ASIDE.store(true, SeqCst);
    fetch_aside();
    added
}

/// Writes one line whoever holds the lock: for a panic.
pub fn line_unlocked(arguments: fmt::Arguments<'_>) {
    let _ = Uart.write_fmt(arguments);
    put(b'\n');
}

/// Writes one line to the kernel log.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::line(format_args!($($argument)*)) };
}
