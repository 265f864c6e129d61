//! From the boot loader to 64-bit code at the kernel's own addresses.
//!
//! PVH (xen `docs/misc/pvh.pandoc`) enters in 32-bit protected mode without paging, EBX = address of
//! the start information. Application processors arrive in the same mode from the real-mode
//! trampoline of [`smp`](super::smp). All of this is linked where it is loaded (`.boot`), and so are
//! the boot page tables, most of which the linker fills:
//!
//! | root entry | addresses | |
//! |---|---|---|
//! | 0 | first 2 MiB, identical | until all CPUs run; open to user mode for [`probe`](super::entry) |
//! | 256 | `0xffff_8000_0000_0000` | direct map: first GiB, completed by [`map_ram`] |
//! | 511 | `0xffff_ffff_8000_0000` | the kernel, by pages of 4 KiB: text, constants and data apart |

use core::arch::global_asm;

use super::features::{Features, features};
use super::segment::{BOOT_CS, GDT, KERNEL_CS, KERNEL_SS};
use super::{fpu, requirements, smp};
use crate::mm::PhysAddr;
use crate::mm::phys::direct;

/// Bytes of the boot CPU's first stack, which becomes its idle thread's.
pub const BOOT_STACK: usize = 16 << 10;
/// The kernel's image ends below this physical address: two page tables map it.
const IMAGE_END: u64 = 4 << 20;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
/// Accessed and dirty, so that the processor need not set them.
const USED: u64 = 3 << 5;
const NO_EXECUTE: u64 = 1 << 63;
const GIB: u64 = 1 << 30;
const LARGE_PAGE: u64 = 2 << 20;

global_asm!(
    ".section .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18", // XEN_ELFNOTE_PHYS32_ENTRY
    ".asciz \"Xen\"",
    ".quad _start",
    //
    ".section .boot.text, \"awx\"",
    ".code32",
    ".global _start",
    "_start:",
    // The kernel does not go on without certain features.
    "mov ebp, ebx",
    "mov eax, 0x80000001",
    "cpuid",
    "mov edi, offset extended_features",
    "and edx, {extended}",
    "xor edx, {extended}",
    "jnz cpu_lacks",
    "mov eax, 1",
    "cpuid",
    "mov edi, offset basic_features",
    "and edx, {basic}",
    "xor edx, {basic}",
    "jnz cpu_lacks",
    "mov ebx, ebp",
    "xor esi, esi",
    ".global start_application_cpu",
    "start_application_cpu:", // ESI = 1
    "mov eax, {cr4}",
    "mov cr4, eax",
    "mov eax, offset boot_root",
    "mov cr3, eax",
    "mov ecx, {efer_msr}",
    "mov eax, {efer}",
    "xor edx, edx",
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    "lgdt [boot_gdt_register]",
    ".byte 0xea", // Far jump.
    ".long 2f",
    ".word {kernel_cs}",
    //
    ".code64",
    "2:",
    "mov eax, {kernel_ss}",
    "mov ss, eax",
    "test esi, esi",
    "jnz 5f",
    // The kernel's pages: present from its first to its last, with the rights of their part.
    "mov rdi, offset __first_page",
    "mov rax, offset __boot_end + {text}",
    "mov ecx, offset __text_pages",
    "3: stosq",
    "add rax, 4096",
    "loop 3b",
    "movabs rdx, {constants} - {text}",
    "add rax, rdx",
    "mov ecx, offset __rodata_pages",
    "4: stosq",
    "add rax, 4096",
    "loop 4b",
    "add rax, {data} - {constants}",
    "mov ecx, offset __data_pages",
    "6: stosq",
    "add rax, 4096",
    "loop 6b",
    "mov rsp, offset boot_stack + {boot_stack}",
    "mov edi, ebx",
    "movabs rax, offset kernel_main",
    "call rax",
    "5:",
    "mov edi, esi",
    "lock xadd [smp_ticket], edi",
    "mov rsp, [smp_stacks + 8 * rdi]",
    "movabs rax, offset {application_main}",
    "call rax",
    //
    // In user mode, for the probe.
    ".global boot_user_syscall",
    "boot_user_syscall: syscall",
    "ud2",
    //
    ".balign 8",
    "boot_gdt: .quad {gdt0}, {gdt1}, {gdt2}, {gdt3}",
    ".global boot_gdt_register",
    "boot_gdt_register: .word 4 * 8 - 1",
    ".long boot_gdt",
    //
    ".section .boot.tables, \"aw\"",
    ".balign 4096",
    ".global boot_root",
    "boot_root: .quad boot_low + {table_user}",
    ".fill 255, 8, 0",
    ".quad boot_direct + {table} + {no_execute}",
    ".fill 254, 8, 0",
    ".quad boot_kernel + {table}",
    "boot_low: .quad boot_low_large + {table_user}",
    ".fill 511, 8, 0",
    "boot_low_large: .quad {low}",
    ".fill 511, 8, 0",
    ".global boot_direct",
    "boot_direct: .quad boot_direct_large + {table}",
    ".fill 511, 8, 0",
    "boot_direct_large:",
    ".set page, 0",
    ".rept 512",
    ".quad page + {large}",
    ".set page, page + {large_page}",
    ".endr",
    "boot_kernel: .fill 510, 8, 0",
    ".quad boot_kernel_large + {table}, 0",
    "boot_kernel_large: .quad boot_kernel_pages + {table}, boot_kernel_pages + 4096 + {table}",
    ".fill 510, 8, 0",
    ".global boot_kernel_pages",
    "boot_kernel_pages: .fill 1024, 8, 0",
    ".text",
    extended = const requirements::EXTENDED,
    basic = const requirements::BASIC,
    cr4 = const CR4_START,
    efer_msr = const super::msr::EFER,
    efer = const EFER,
    cr0 = const fpu::CR0,
    kernel_cs = const KERNEL_CS,
    kernel_ss = const KERNEL_SS,
    text = const PRESENT | GLOBAL | USED,
    constants = const PRESENT | GLOBAL | USED | NO_EXECUTE,
    data = const PRESENT | WRITE | GLOBAL | USED | NO_EXECUTE,
    boot_stack = const BOOT_STACK,
    application_main = sym smp::application_main,
    gdt0 = const GDT[0],
    gdt1 = const GDT[BOOT_CS as usize / 8],
    gdt2 = const GDT[KERNEL_CS as usize / 8],
    gdt3 = const GDT[KERNEL_SS as usize / 8],
    table = const PRESENT | WRITE | USED,
    table_user = const PRESENT | WRITE | USER | USED,
    no_execute = const NO_EXECUTE,
    low = const PRESENT | WRITE | USER | USED | LARGE,
    large = const PRESENT | WRITE | GLOBAL | USED | LARGE,
    large_page = const LARGE_PAGE,
);

/// PAE, and FXSAVE with SSE exceptions for programs.
const CR4_START: u32 = 1 << 5 | 1 << 9 | 1 << 10;
/// SCE, LME, NXE.
const EFER: u32 = 1 | 1 << 8 | 1 << 11;

#[repr(C, align(4096))]
struct BootStack(core::cell::UnsafeCell<[u8; BOOT_STACK]>);

// SAFETY: only the boot CPU uses it, as its stack.
unsafe impl Sync for BootStack {}

#[unsafe(export_name = "boot_stack")]
static STACK: BootStack = BootStack(core::cell::UnsafeCell::new([0; BOOT_STACK]));

unsafe extern "C" {
    static boot_root: u8;
    static boot_direct: u8;
    static boot_user_syscall: u8;
    static __boot_begin: u8;
    static __kernel_end: u8;
}

/// Root of the boot page tables; later the kernel's own.
pub fn root() -> PhysAddr {
    PhysAddr(&raw const boot_root as u64)
}

/// Address of a SYSCALL instruction that user mode can execute until [`close_low`].
pub(super) fn user_syscall() -> u64 {
    &raw const boot_user_syscall as u64
}

/// Physical addresses of the kernel's image: first, and one past the last.
pub fn image() -> (u64, u64) {
    let end = (&raw const __kernel_end as u64) & 0x7fff_ffff;
    (&raw const __boot_begin as u64, end)
}

fn table(address: u64) -> *mut u64 {
    direct(PhysAddr(address)).cast()
}

/// Completes the direct map for RAM at `start..end` beyond the first GiB: with pages of 1 GiB
/// where the processor has them and all of it is RAM, else of 2 MiB in tables from `allocate` (zeroed pages in the first
/// GiB).
pub fn map_ram(start: u64, end: u64, mut allocate: impl FnMut() -> PhysAddr) {
    let directory = table(&raw const boot_direct as u64);
    for gib in start.max(GIB) / GIB..end.div_ceil(GIB).min(512) {
        // SAFETY: the direct map's own table; an entry changes from nothing to a mapping.
        let entry = unsafe { &mut *directory.add(gib as usize) };
        let whole = start <= gib * GIB && (gib + 1) * GIB <= end;
        if whole && features().contains(Features::GIGABYTE_PAGES) {
            *entry = (gib * GIB) | PRESENT | WRITE | GLOBAL | USED | LARGE;
            continue;
        }
        if *entry == 0 {
            *entry = allocate().0 | PRESENT | WRITE | USED;
        }
        let pages = table(*entry & !0xfff);
        let first = start.max(gib * GIB) / LARGE_PAGE;
        for page in first..end.min((gib + 1) * GIB).div_ceil(LARGE_PAGE) {
            // SAFETY: within the new table of this GiB.
            unsafe {
                let entry = pages.add(page as usize % 512);
                *entry = (page * LARGE_PAGE) | PRESENT | WRITE | GLOBAL | USED | LARGE;
            }
        }
    }
}

/// Unmaps the low addresses: no CPU needs them any more.
pub fn close_low() {
    // SAFETY: the boot root's first entry; all code runs at the kernel's addresses. Other CPUs
    // forget the mapping when they first load another root, before they enter user mode.
    unsafe {
        table(root().0).write_volatile(0);
        crate::mm::paging::load_root(root());
    }
}

const _: () = assert!(IMAGE_END == 2 * LARGE_PAGE);

/// Physical address of an object in the kernel's image.
pub fn image_address<T>(object: *const T) -> u64 {
    object as u64 & 0x7fff_ffff
}
