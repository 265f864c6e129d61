//! What happens when the kernel finds itself broken: it says where, stops all CPUs, and ends the
//! machine with [`exit::PANIC`](ferrix_machine::exit::PANIC).
//!
//! The backtrace is addresses, `#n 0x…`, innermost first; the monitor adds the names.

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::arch::instructions::read_cr2;
use crate::arch::{TrapFrame, apic, cpu, power};
use crate::log::line_unlocked;

/// Longest backtrace.
const DEPTH_MAX: usize = 24;
/// Lowest address of the kernel's half.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// The CPU that panics, plus one.
static PANICKING: AtomicUsize = AtomicUsize::new(0);

macro_rules! say {
    ($($argument:tt)*) => { line_unlocked(format_args!($($argument)*)) };
}

/// Whether a CPU panics; the others are to stop.
pub fn in_progress() -> bool {
    PANICKING.load(Relaxed) != 0
}

/// The first panic speaks. One on another CPU just stops; one within the first ends it.
fn begin() {
    cpu::disable_interrupts();
    let own = cpu::cpu_id() + 1;
    match PANICKING.compare_exchange(0, own, Relaxed, Relaxed) {
        Ok(_) => {}
        Err(panicking) if panicking == own => power::exit_panic(),
        Err(_) => cpu::halt_forever(),
    }
    if cpu::cpu_count() > 1 {
        apic::stop_others();
    }
    crate::log::seize();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin();
    match info.location() {
        Some(place) => say!(
            "\nkernel panic on CPU {} at {place}: {}",
            cpu::cpu_id(),
            info.message()
        ),
        None => say!(
            "\nkernel panic on CPU {}: {}",
            cpu::cpu_id(),
            info.message()
        ),
    }
    let rbp: u64;
    // SAFETY: reading a register has no effect; frame pointers are kept everywhere.
    unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) }
    backtrace(0, rbp);
    power::exit_panic()
}

/// An exception in the kernel itself, which has no other handler.
pub extern "C" fn kernel_exception(frame: &mut TrapFrame) {
    begin();
    let name = match frame.vector {
        1 => "debug exception",
        3 => "breakpoint",
        6 => "invalid instruction",
        8 => "double fault (kernel stack overflow?)",
        13 => "general protection fault",
        14 => "page fault",
        18 => "machine check",
        _ => "exception",
    };
    say!(
        "\nkernel panic on CPU {}: {name} in the kernel",
        cpu::cpu_id()
    );
    registers(frame);
    say!("#0 {:#x}", frame.rip);
    backtrace(1, frame.rbp);
    power::exit_panic()
}

fn registers(frame: &TrapFrame) {
    let f = frame;
    say!(
        "vector {} error {:#x} cr2 {:#x} rip {:#x}",
        f.vector,
        f.error,
        read_cr2(),
        f.rip
    );
    say!(
        "cs {:#x} rflags {:#x} rsp {:#x} rbp {:#x}",
        f.cs,
        f.rflags,
        f.rsp,
        f.rbp
    );
    say!(
        "rax {:#x} rbx {:#x} rcx {:#x} rdx {:#x}",
        f.rax,
        f.rbx,
        f.rcx,
        f.rdx
    );
    say!(
        "rsi {:#x} rdi {:#x} r8 {:#x} r9 {:#x}",
        f.rsi,
        f.rdi,
        f.r8,
        f.r9
    );
    say!(
        "r10 {:#x} r11 {:#x} r12 {:#x} r13 {:#x}",
        f.r10,
        f.r11,
        f.r12,
        f.r13
    );
    say!("r14 {:#x} r15 {:#x}", f.r14, f.r15);
}

/// Prints return addresses from frame `rbp` outward: each frame is (caller's RBP, return address).
fn backtrace(first: usize, mut rbp: u64) {
    for number in first..DEPTH_MAX {
        if rbp < KERNEL_HALF || !rbp.is_multiple_of(8) || rbp > u64::MAX - 16 {
            return;
        }
        // SAFETY: RBP leads from frame to frame on this stack. Should one be broken, the fault's
        // handler finds a panic in progress and stops.
        let (caller, address) = unsafe {
            let frame = rbp as *const u64;
            (frame.read_volatile(), frame.add(1).read_volatile())
        };
        if address < KERNEL_HALF {
            return;
        }
        say!("#{number} {address:#x}");
        if caller <= rbp {
            return;
        }
        rbp = caller;
    }
}
