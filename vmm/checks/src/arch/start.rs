//! From the PVH entry (32-bit, no paging) or a SIPI (real mode) to 64-bit Rust code.
//!
//! The first 16 GiB are mapped where they are, by 2 MiB pages; everything may be written and
//! executed. A CPU's stack follows from its local APIC id.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use super::smp::{self, MAX_CPUS};

/// Bytes of each CPU's stack.
const STACK: usize = 16 << 10;
/// GiB that are mapped.
pub const MAPPED_GIB: u64 = 16;
/// 64-bit code.
pub const CODE: u16 = 0x08;
/// Flat data.
pub const DATA: u16 = 0x10;
/// Code of level 3, with the level in its lowest bits.
pub const USER_CODE: u16 = 0x2b;
/// Data of level 3.
pub const USER_DATA: u16 = 0x23;
/// The task state segment of the boot CPU.
pub const TASK: u16 = 0x30;

/// PRESENT, WRITE, ACCESSED, DIRTY, LARGE.
const LARGE_PAGE: u64 = 0xe3;
/// PRESENT, WRITE, USER, ACCESSED, DIRTY: the pages decide.
const TABLE: u64 = 0x67;

#[repr(C, align(4096))]
struct Tables([[u64; 512]; MAPPED_GIB as usize]);

/// All page directories: consecutive 2 MiB pages.
#[unsafe(export_name = "boot_directories")]
static mut DIRECTORIES: Tables = Tables(directories());

const fn directories() -> [[u64; 512]; MAPPED_GIB as usize] {
    let mut tables = [[0; 512]; MAPPED_GIB as usize];
    let mut page = 0;
    while page < 512 * MAPPED_GIB as usize {
        tables[page / 512][page % 512] = (page as u64) << 21 | LARGE_PAGE;
        page += 1;
    }
    tables
}

#[repr(C, align(4096))]
struct Stacks(UnsafeCell<[[u8; STACK]; MAX_CPUS]>);

// SAFETY: each CPU uses its own element as its stack, and nobody else touches it.
unsafe impl Sync for Stacks {}

#[unsafe(export_name = "boot_stacks")]
static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK]; MAX_CPUS]));

/// The state in which the loader entered, before anything changed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EntryState {
    /// EBX: the start information.
    pub start_info: u32,
    /// CR0.
    pub cr0: u32,
    /// CR4.
    pub cr4: u32,
    /// EFLAGS.
    pub eflags: u32,
}

#[unsafe(export_name = "boot_entry_state")]
static mut ENTRY: EntryState = EntryState {
    start_info: 0,
    cr0: 0,
    cr4: 0,
    eflags: 0,
};

/// What the loader passed.
pub fn entry_state() -> EntryState {
    // SAFETY: written once, by the first instructions.
    unsafe { (&raw const ENTRY).read() }
}

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
    "mov [boot_entry_state], ebx",
    "mov eax, cr0",
    "mov [boot_entry_state + 4], eax",
    "mov eax, cr4",
    "mov [boot_entry_state + 8], eax",
    "mov esp, offset boot_stacks + {stack}",
    "pushfd",
    "pop dword ptr [boot_entry_state + 12]",
    "mov eax, offset boot_pointers",
    "mov ecx, offset boot_directories + {table}",
    "5: mov [eax], ecx",
    "add eax, 8",
    "add ecx, 4096",
    "cmp eax, offset boot_pointers + 8 * {gib}",
    "jb 5b",
    "xor esi, esi",
    //
    "start_common:", // ESI = 0 on the boot CPU
    "mov eax, {cr4}",
    "mov cr4, eax",
    "mov eax, offset boot_root",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "xor edx, edx",
    "mov eax, {efer}",
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    "lgdt [boot_gdt_register]",
    ".byte 0xea", // Far jump.
    ".long 2f",
    ".word {code}",
    //
    ".code64",
    "2: mov eax, {data}",
    "mov ss, eax",
    "mov ds, eax",
    "mov es, eax",
    "xor ebp, ebp",
    "test esi, esi",
    "jnz 3f",
    "mov esp, offset boot_stacks + {stack}",
    "call {main}",
    "3: mov eax, 1",
    "cpuid",
    "shr ebx, 24",
    "cmp ebx, {max_cpus}",
    "jae 4f",
    "mov edi, ebx",
    "inc ebx",
    "imul esp, ebx, {stack}",
    "add rsp, offset boot_stacks",
    "call {other_cpu}",
    "4: cli",
    "hlt",
    "jmp 4b",
    //
    // Copied to a page below 1 MiB; CS:0 is its beginning.
    ".code16",
    ".global trampoline_begin, trampoline_end",
    "trampoline_begin:",
    "cli",
    ".byte 0x2e, 0x66, 0x0f, 0x01, 0x16", // LGDT CS:[offset], 32-bit base
    ".word trampoline_gdt - trampoline_begin",
    "mov esi, 1",
    "mov cr0, esi",
    ".byte 0x66, 0xea", // Far jump with a 32-bit offset.
    ".long trampoline_32",
    ".word 0x18",
    "trampoline_gdt: .word 8 * 8 - 1",
    ".long boot_gdt",
    "trampoline_end:",
    ".code32",
    "trampoline_32:",
    "mov eax, {data}",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "jmp start_common",
    //
    ".balign 8",
    // None; code, data, 32-bit code; user data, user code; task state.
    ".global boot_gdt",
    "boot_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff",
    ".quad 0x00cff3000000ffff, 0x00affb000000ffff, 0, 0",
    "boot_gdt_register: .word 8 * 8 - 1",
    ".long boot_gdt",
    //
    ".data",
    ".balign 4096",
    ".global boot_root",
    "boot_root: .quad boot_pointers + {table}",
    ".fill 511, 8, 0",
    "boot_pointers: .fill 512, 8, 0",
    ".text",
    ".code64",
    stack = const STACK,
    gib = const MAPPED_GIB,
    table = const TABLE,
    cr4 = const 1 << 5 | 1 << 9 | 1 << 10, // PAE, FXSAVE, SSE exceptions
    efer = const 1 << 8 | 1 << 11, // LME, NXE
    cr0 = const 0x8001_0033u32, // PG, WP, NE, ET, MP, PE
    code = const CODE,
    data = const DATA,
    max_cpus = const MAX_CPUS,
    main = sym crate::boot_cpu,
    other_cpu = sym smp::other_cpu,
);

unsafe extern "C" {
    static __image_begin: u8;
    static __image_end: u8;
    static __arena_begin: u8;
    static __arena_end: u8;
}

/// Addresses of the loaded program, first and one past the last.
pub fn image() -> core::ops::Range<u64> {
    &raw const __image_begin as u64..&raw const __image_end as u64
}

/// The part of the image that is free for devices.
pub fn arena() -> core::ops::Range<u64> {
    &raw const __arena_begin as u64..&raw const __arena_end as u64
}

/// Opens the 2 MiB page at `address` to level 3, or closes it again.
pub fn set_user_page(address: u64, access: UserAccess) {
    const USER: u64 = 1 << 2;
    let page = (address >> 21) as usize;
    assert!(page < 512 * MAPPED_GIB as usize);
    // SAFETY: an entry of a page directory in use keeps its address; only the rights of level 3
    // change, and this CPU forgets the old ones.
    unsafe {
        let entry = (&raw mut DIRECTORIES).cast::<u64>().add(page);
        let closed = entry.read_volatile() & !USER;
        entry.write_volatile(match access {
            UserAccess::Open => closed | USER,
            UserAccess::Closed => closed,
        });
        core::arch::asm!("invlpg [{}]", in(reg) address);
    }
}

/// Whether level 3 may touch a page.
#[derive(Clone, Copy, Debug)]
pub enum UserAccess {
    /// It may.
    Open,
    /// It may not.
    Closed,
}
