//! Starting the other CPUs.
//!
//! Each is sent INIT and SIPI; it runs the real-mode trampoline, then the code of the boot CPU's
//! start, draws a ticket that names its stack, and initialises itself.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

use super::cpu::{self, MAX_CPUS};
use super::segment::{BOOT_CS, ExceptionStacks};
use super::{apic, entry, upcalls};
use crate::mm::PhysAddr;
use crate::mm::kstack::{self, KernelStack};
use crate::mm::phys::direct;
use crate::time;

/// Page at which CPUs start: above the BIOS's page, below where any loader puts the boot information
/// (it is still in use).
const TRAMPOLINE: u64 = 0x1000;
const _: () = assert!(TRAMPOLINE < ferrix_machine::memory::PVH_INFO_BASE);
/// How long to wait for CPUs to start before they are asked a second time, and given up.
const PATIENCE_NS: u64 = 1_000_000_000;

global_asm!(
    ".section .boot.trampoline, \"awx\"",
    ".code16",
    ".global trampoline_begin, trampoline_end",
    "trampoline_begin:",
    ".byte 0x2e, 0x0f, 0x01, 0x16", // LGDT CS:[offset]
    ".word trampoline_gdt - trampoline_begin",
    "mov esi, 1",
    "mov cr0, esi",
    ".byte 0x66, 0xea", // Far jump with a 32-bit offset.
    ".long trampoline_32",
    ".word {boot_cs}",
    "trampoline_gdt: .word 4 * 8 - 1",
    ".long boot_gdt",
    "trampoline_end:",
    ".code32",
    "trampoline_32:",
    "mov eax, {boot_ds}",
    "mov ds, eax",
    "jmp start_application_cpu",
    ".code64",
    ".text",
    boot_cs = const BOOT_CS,
    boot_ds = const super::segment::KERNEL_SS,
);

unsafe extern "C" {
    static trampoline_begin: u8;
    static trampoline_end: u8;
}

/// The next CPU's index into [`STACKS`].
#[unsafe(export_name = "smp_ticket")]
static TICKET: AtomicU32 = AtomicU32::new(0);
/// CPUs that have initialised themselves, the boot CPU excluded.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// Tops of the stacks of the CPUs to come.
#[repr(C)]
struct Stacks(UnsafeCell<[u64; MAX_CPUS]>);

// SAFETY: written before the CPUs are started; each reads its own word.
unsafe impl Sync for Stacks {}

#[unsafe(export_name = "smp_stacks")]
static STACKS: Stacks = Stacks(UnsafeCell::new([0; MAX_CPUS]));

/// Their exception stacks, by ticket as well.
static EXCEPTION_STACKS: Stacks = Stacks(UnsafeCell::new([0; MAX_CPUS]));

/// Starts the CPUs with these local APIC ids (this one's is passed over); they enter
/// [`upcalls::application_cpu`]. Returns how many CPUs run then.
pub fn start(apic_ids: &[u32]) -> usize {
    let own = cpu::this_cpu().apic_id.load(Relaxed);
    let others = || {
        apic_ids
            .iter()
            .copied()
            .filter(|&id| id != own)
            .take(MAX_CPUS - 1)
    };
    let wanted = others().count();
    if wanted == 0 {
        return 1;
    }
    place_trampoline();
    for index in 0..wanted {
        set_stack(&STACKS, index);
        set_stack(&EXCEPTION_STACKS, index);
    }
    others().for_each(apic::send_init);
    for attempt in 0..2 {
        others().for_each(|id| apic::send_startup(id, (TRAMPOLINE >> 12) as u8));
        let deadline = time::now_ns() + PATIENCE_NS;
        while STARTED.load(Acquire) < wanted && time::now_ns() < deadline {
            core::hint::spin_loop();
        }
        if STARTED.load(Acquire) == wanted {
            break;
        }
        if attempt == 1 {
            log!(
                "{} of {wanted} CPUs did not start",
                wanted - STARTED.load(Acquire)
            );
        }
    }
    let running = 1 + STARTED.load(Acquire);
    cpu::set_cpu_count(running);
    running
}

/// Allocates a stack for the CPU to come with this ticket. It is never given back.
fn set_stack(stacks: &Stacks, ticket: usize) {
    let stack = KernelStack::new().expect("memory for another CPU's stacks");
    // SAFETY: no CPU reads this word before it is started.
    unsafe { stacks.0.get().cast::<u64>().add(ticket).write(stack.top()) };
    core::mem::forget(stack);
}

fn place_trampoline() {
    let (begin, end) = (&raw const trampoline_begin, &raw const trampoline_end);
    // SAFETY: the page is RAM that nothing uses , and
    // the code is position-independent and shorter than a page.
    unsafe {
        let length = end.offset_from(begin) as usize;
        let target = direct(PhysAddr(TRAMPOLINE));
        core::ptr::copy_nonoverlapping(direct(PhysAddr(begin as u64)), target, length);
    }
}

/// First Rust code of a started CPU.
pub(super) extern "C" fn application_main(ticket: u64) -> ! {
    let id = ticket as usize + 1;
    // SAFETY: written before this CPU was started, and by nobody since.
    let top = unsafe {
        EXCEPTION_STACKS
            .0
            .get()
            .cast::<u64>()
            .add(ticket as usize)
            .read()
    };
    super::init_cpu(id, ExceptionStacks::split(top - kstack::SIZE, kstack::SIZE));
    entry::init_syscall();
    super::init_features_alike();
    apic::init_cpu();
    STARTED.fetch_add(1, Release);
    upcalls::application_cpu()
}
