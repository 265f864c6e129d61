//! Segments: the GDT and the TSS of each CPU.
//!
//! Selectors are Linux's, for what programs see in signal frames: user code 0x33, user data 0x2b.
//! SYSCALL and SYSRET fix their order.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ferrix_abi::machine::PORTS_END;

use super::cpu::PerCpu;
use super::entry::idt::HEADER;
use super::instructions::{lgdt, lldt, ltr};

/// 32-bit kernel code, for starting CPUs.
pub const BOOT_CS: u16 = 0x08;
/// Kernel code.
pub const KERNEL_CS: u16 = 0x10;
/// Kernel data and stack.
pub const KERNEL_SS: u16 = 0x18;
/// Base from which SYSRET computes the user selectors: it adds 16 for CS and 8 for SS.
pub const SYSRET_BASE: u16 = 0x23;
const TSS: u16 = 0x38;
/// Entries of a GDT.
pub const GDT_ENTRIES: usize = 9;

/// Null, boot code, kernel code and data, nothing, user data, user code; the TSS follows.
///
/// Where SYSRET would look for 32-bit user code there is nothing: no far jump leads to
/// compatibility mode, in which AMD's SYSCALL enters the kernel at another address (CSTAR).
/// All are marked accessed, so the processor never writes to the table.
pub const GDT: [u64; 7] = [
    0,
    0x00cf_9b00_0000_ffff,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
];

/// Stack of the double fault handler.
pub const IST_DOUBLE_FAULT: u8 = 1;
/// Stack of the NMI handler.
pub const IST_NMI: u8 = 2;
/// Stack of the debug handler.
pub const IST_DEBUG: u8 = 3;
/// Stack of the machine check handler.
pub const IST_MACHINE_CHECK: u8 = 4;

/// Task state segment (Intel SDM volume 3, 8.7), of which only the stacks and the I/O permission map
/// are of use; in words of 32 bits, because its 64-bit fields are at odd multiples of four.
#[derive(Debug)]
#[repr(C)]
pub struct Tss {
    words: Cell<[u32; TSS_WORDS]>,
    /// In its upper half, the offset of the map; another CPU may close it.
    map_offset: AtomicU32,
    /// A bit for each port, clear if user mode may use it; then the word of ones that the processor
    /// wants to see behind it.
    map: Cell<[u32; MAP_WORDS]>,
    /// Whose ports the map shows: see [`Tss::open`]. Beyond the segment's limit.
    shows: Cell<[u32; 2]>,
}

const TSS_WORDS: usize = 25;
const MAP_WORDS: usize = PORTS_END as usize / 32 + 1;
/// The segment ends with the map.
const TSS_BYTES: usize = (TSS_WORDS + 1 + MAP_WORDS) * 4;
/// [`Tss::map_offset`] while user mode has the ports of the map.
const OPEN: u32 = ((TSS_WORDS as u32 + 1) * 4) << 16;
/// While it has none: the map begins beyond the limit.
const CLOSED: u32 = (TSS_BYTES as u32) << 16;
/// Word of IST 1; the others follow, two words each.
const TSS_IST: usize = 9;
/// Offset of RSP0, the stack of entries from user mode, in bytes.
pub const TSS_RSP0: usize = 4;

impl Tss {
    pub(super) const fn new() -> Tss {
        Tss {
            words: Cell::new([0; TSS_WORDS]),
            map_offset: AtomicU32::new(0),
            map: Cell::new([0; MAP_WORDS]),
            shows: Cell::new([0; 2]),
        }
    }

    /// Gives user mode on this CPU the ports of `ranges` (first port and count), and no others.
    /// `whose` names them: a map that shows them already is used as it is.
    pub(super) fn open(&self, whose: [u32; 2], ranges: impl Iterator<Item = (u16, u16)>) {
        if self.shows.replace(whose) != whose {
            let mut map = [u32::MAX; MAP_WORDS];
            for port in ranges.flat_map(|(first, count)| first..first + count) {
                map[port as usize / 32] &= !(1 << (port % 32));
            }
            self.map.set(map);
        }
        self.map_offset.store(OPEN, Relaxed);
    }

    /// Takes all ports from user mode.
    pub(super) fn close(&self) {
        self.map_offset.store(CLOSED, Relaxed);
    }

    /// Whether user mode has the ports that `whose` names.
    pub(super) fn is_open(&self, whose: [u32; 2]) -> bool {
        self.map_offset.load(Relaxed) == OPEN && self.shows.get() == whose
    }

    /// Sets the exception stacks; user mode gets no I/O ports.
    fn fill(&self, stacks: ExceptionStacks) {
        let mut words = [0; TSS_WORDS];
        let mut set = |ist: u8, stack: u64| {
            words[TSS_IST + 2 * (ist as usize - 1)] = stack as u32;
            words[TSS_IST + 2 * (ist as usize - 1) + 1] = (stack >> 32) as u32;
        };
        set(IST_DOUBLE_FAULT, stacks.double_fault);
        set(IST_NMI, stacks.nmi);
        set(IST_DEBUG, stacks.debug);
        set(IST_MACHINE_CHECK, stacks.machine_check);
        self.words.set(words);
        self.close();
    }
}

/// Highest addresses of a CPU's four exception stacks.
#[derive(Clone, Copy, Debug)]
pub struct ExceptionStacks {
    /// For [`IST_DOUBLE_FAULT`].
    pub double_fault: u64,
    /// For [`IST_NMI`].
    pub nmi: u64,
    /// For [`IST_DEBUG`].
    pub debug: u64,
    /// For [`IST_MACHINE_CHECK`].
    pub machine_check: u64,
}

impl ExceptionStacks {
    /// Divides `size` bytes from `bottom` on among the four, each below a header that names the
    /// CPU (see [`load`]).
    pub fn split(bottom: u64, size: u64) -> ExceptionStacks {
        let top = |quarters: u64| bottom + size / 4 * quarters - HEADER;
        ExceptionStacks {
            debug: top(1),
            nmi: top(2),
            machine_check: top(3),
            double_fault: top(4),
        }
    }
}

/// Gives this CPU its segments and exception stacks.
pub(super) fn load(cpu: &'static PerCpu, stacks: ExceptionStacks) {
    let all = [
        stacks.double_fault,
        stacks.nmi,
        stacks.debug,
        stacks.machine_check,
    ];
    for stack in all {
        // SAFETY: the header above each stack.
        unsafe { (stack as *mut u64).write(cpu as *const PerCpu as u64) }
    }
    cpu.tss.fill(stacks);
    let mut gdt = [0; GDT_ENTRIES];
    gdt[..GDT.len()].copy_from_slice(&GDT);
    let base = &raw const cpu.tss as u64;
    gdt[TSS as usize / 8] =
        (TSS_BYTES as u64 - 1) | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    gdt[TSS as usize / 8 + 1] = base >> 32;
    cpu.gdt.set(gdt);
    // SAFETY: the table is static and filled; CS and SS in use mean the same in it.
    unsafe {
        lgdt(cpu.gdt.as_ptr() as u64, (GDT_ENTRIES * 8 - 1) as u16);
        ltr(TSS);
        // After a reset there is a local table at address 0.
        lldt(0);
    }
}
