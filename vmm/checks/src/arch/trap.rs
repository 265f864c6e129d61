//! The interrupt table: exceptions are turned into failures, interrupts are written down.
//!
//! Every interrupt goes into the log of its CPU with the time of its arrival, then to the
//! [`set_handler`] of the running check, or, without one, straight to its end of interrupt.

use core::arch::{asm, global_asm, naked_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use super::cpu::{self, Msr};
use super::smp::MAX_CPUS;
use super::start::{CODE, DATA, TASK};
use crate::apic;

/// Wakes a CPU that waits for work; not written down.
pub const WAKE: u8 = 0xf0;
/// The spurious interrupt of the local APIC: without end of interrupt.
pub const SPURIOUS: u8 = 0xff;
/// The non-maskable interrupt.
pub const NMI: u8 = 2;
/// Interrupts that are kept of each CPU.
const KEPT: usize = 64;

/// What the entry code pushed.
#[derive(Debug)]
#[repr(C)]
struct Frame {
    registers: [u64; 15],
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

global_asm!(
    ".text",
    ".balign 16",
    "trap_entries:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    // Of the exceptions, 8, 10 to 14, 17, 21, 29 and 30 push an error code.
    ".if (vector < 32) && ((0x60227d00 >> vector) & 1)",
    ".else",
    "push 0",
    ".endif",
    ".byte 0x68",
    ".long vector",
    "jmp trap_common",
    ".set vector, vector + 1",
    ".endr",
    "trap_common:",
    "push rax; push rcx; push rdx; push rbx; push rbp; push rsi; push rdi; push r8",
    "push r9; push r10; push r11; push r12; push r13; push r14; push r15",
    "mov rdi, rsp",
    "cld",
    "call {handle}",
    "pop r15; pop r14; pop r13; pop r12; pop r11; pop r10; pop r9",
    "pop r8; pop rdi; pop rsi; pop rbp; pop rbx; pop rdx; pop rcx; pop rax",
    "add rsp, 16",
    "iretq",
    handle = sym handle,
);

unsafe extern "C" {
    static trap_entries: u8;
    static boot_gdt: u8;
}

#[repr(C, align(16))]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: written by the boot CPU before other CPUs run; the processor reads it.
unsafe impl<T> Sync for Shared<T> {}

static IDT: Shared<[[u64; 2]; 256]> = Shared(UnsafeCell::new([[0; 2]; 256]));
/// The task state segment: only its stack for level 0 is used.
static TSS: Shared<[u32; 26]> = Shared(UnsafeCell::new([0; 26]));
static USER_STACK: Shared<[u8; 4096]> = Shared(UnsafeCell::new([0; 4096]));

/// Fills the table; once, on the boot CPU.
pub fn init() {
    let entries = &raw const trap_entries as u64;
    // SAFETY: nobody uses the table yet.
    let table = unsafe { &mut *IDT.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        let target = entries + 16 * vector as u64;
        // Present, 64-bit interrupt gate.
        let low =
            target & 0xffff | u64::from(CODE) << 16 | 0x8e << 40 | (target >> 16 & 0xffff) << 48;
        *gate = [low, target >> 32];
    }
    load();
    load_task();
}

/// Lets this CPU use the table.
pub fn load() {
    #[repr(C, packed)]
    struct Register(u16, u64);
    let register = Register(256 * 16 - 1, IDT.0.get() as u64);
    // SAFETY: the table lives for ever, and its gates lead to the entries.
    unsafe { asm!("lidt [{}]", in(reg) &register, options(nostack)) }
}

/// Gives the boot CPU a stack for traps from level 3.
fn load_task() {
    let (tss, stack) = (TSS.0.get() as u64, USER_STACK.0.get() as u64 + 4096);
    // SAFETY: nobody uses either yet; the descriptor lies in the table that the entry code loaded.
    unsafe {
        let words = TSS.0.get().cast::<u32>();
        words.add(1).write(stack as u32);
        // An I/O map beyond the limit: no ports for level 3.
        words.add(25).write(104 << 16);
        let descriptor = ((&raw const boot_gdt) as *mut u64).add(usize::from(TASK) / 8);
        descriptor.write(103 | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56);
        descriptor.add(1).write(tss >> 32);
        asm!("ltr {:x}", in(reg) TASK, options(nostack));
    }
}

/// An exception that an instruction raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its vector.
    pub vector: u8,
    /// Its error code, 0 if it has none.
    pub error: u32,
}

/// Where the boot CPU goes on after an exception that is expected; 0: none is.
pub static RECOVERY: AtomicU64 = AtomicU64::new(0);
/// The stack there, if the exception comes from level 3.
pub static RECOVERY_STACK: AtomicU64 = AtomicU64::new(0);
/// The exception that was raised: error code and vector + 1; 0 without one.
pub static RAISED: AtomicU64 = AtomicU64::new(0);
/// Stack of [`guard`] while it runs.
static GUARD_STACK: AtomicU64 = AtomicU64::new(0);

/// Takes the exception that was raised.
pub fn take_exception() -> Option<Exception> {
    match RAISED.swap(0, SeqCst) {
        0 => None,
        raised => Some(Exception {
            vector: (raised as u8).wrapping_sub(1),
            error: (raised >> 32) as u32,
        }),
    }
}

/// Calls `body`; an unexpected exception ends it, and nothing else.
pub fn guard(body: &mut dyn FnMut()) -> Result<(), Exception> {
    extern "C" fn call(body: *mut &mut dyn FnMut()) {
        // SAFETY: the address of the local below.
        (unsafe { &mut *body })();
    }
    let mut body = body;
    // SAFETY: the callee's registers are kept by `guarded_call`; checks hold nothing that must be dropped.
    unsafe { guarded_call(&raw mut body, call) };
    GUARD_STACK.store(0, SeqCst);
    match take_exception() {
        None => Ok(()),
        Some(exception) => Err(exception),
    }
}

/// Calls `call(body)`. An exception inside returns from here as if it had returned.
#[unsafe(naked)]
unsafe extern "C" fn guarded_call(
    body: *mut &mut dyn FnMut(),
    call: extern "C" fn(*mut &mut dyn FnMut()),
) {
    naked_asm!(
        "push rbx; push rbp; push r12; push r13; push r14; push r15; push rax",
        "mov [rip + {stack}], rsp",
        "call rsi",
        "guarded_call_end:",
        "mov rsp, [rip + {stack}]",
        "pop rax; pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        stack = sym GUARD_STACK,
    )
}

extern "C" fn handle(frame: &mut Frame) {
    match frame.vector as u8 {
        NMI => interrupt(NMI),
        0..=31 => exception(frame),
        vector => interrupt(vector),
    }
}

fn exception(frame: &mut Frame) {
    unsafe extern "C" {
        static guarded_call_end: u8;
    }
    let raised = frame.error << 32 | (frame.vector + 1);
    let recovery = RECOVERY.swap(0, SeqCst);
    if cpu_number() != 0 || (recovery == 0 && GUARD_STACK.load(SeqCst) == 0) {
        panic!(
            "exception {} (error {:#x}) at {:#x}",
            frame.vector, frame.error, frame.rip
        );
    }
    RAISED.store(raised, SeqCst);
    if recovery == 0 {
        LAST_RIP.store(frame.rip, SeqCst);
        frame.rip = &raw const guarded_call_end as u64;
        frame.rsp = GUARD_STACK.load(SeqCst);
    } else {
        frame.rip = recovery;
    }
    if frame.cs & 3 != 0 {
        (frame.cs, frame.ss) = (CODE.into(), DATA.into());
        frame.rsp = RECOVERY_STACK.load(SeqCst);
    }
}

/// Where the last unexpected exception was raised.
pub static LAST_RIP: AtomicU64 = AtomicU64::new(0);

/// The local APIC id with which this CPU started.
pub fn cpu_number() -> usize {
    cpu::read_msr(Msr::GS_BASE) as usize
}

/// One CPU's interrupts since [`forget`].
struct Log {
    count: AtomicU32,
    vectors: [AtomicU8; KEPT],
    times: [AtomicU64; KEPT],
}

static LOGS: [Log; MAX_CPUS] = [const {
    Log {
        count: AtomicU32::new(0),
        vectors: [const { AtomicU8::new(0) }; KEPT],
        times: [const { AtomicU64::new(0) }; KEPT],
    }
}; MAX_CPUS];

/// What a check does with its interrupts.
pub type Handler = fn(u8);

static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Who handles interrupts from now on: it must send the end of interrupt. None: that is all.
pub fn set_handler(handler: Option<Handler>) {
    HANDLER.store(handler.map_or(0, |handler| handler as usize), SeqCst);
}

fn interrupt(vector: u8) {
    let now = cpu::tsc();
    if vector != WAKE {
        let log = &LOGS[cpu_number()];
        let at = log.count.load(SeqCst) as usize;
        if at < KEPT {
            log.vectors[at].store(vector, SeqCst);
            log.times[at].store(now, SeqCst);
        }
        log.count.store(at as u32 + 1, SeqCst);
    }
    match HANDLER.load(SeqCst) {
        // SAFETY: stored by `set_handler` from this very type.
        address if address != 0 && vector != WAKE => unsafe {
            core::mem::transmute::<usize, Handler>(address)(vector);
        },
        _ if vector == NMI || vector == SPURIOUS => {}
        _ => apic::end_of_interrupt(),
    }
}

/// Empties the log of a CPU.
pub fn forget(cpu: usize) {
    LOGS[cpu].count.store(0, SeqCst);
}

/// Interrupts of a CPU in its log.
pub fn count(cpu: usize) -> u32 {
    LOGS[cpu].count.load(SeqCst)
}

/// Interrupt number `at` of a CPU: vector and time.
pub fn logged(cpu: usize, at: usize) -> Option<(u8, u64)> {
    let log = &LOGS[cpu];
    let there = at < KEPT && at < log.count.load(SeqCst) as usize;
    there.then(|| (log.vectors[at].load(SeqCst), log.times[at].load(SeqCst)))
}
