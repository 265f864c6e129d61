//! Trace points: places that tell what happens there while the kernel is traced (see [`trace`](crate::trace)), and cost
//! nothing, or an instruction without effect, while it is not.
//!
//! A trace point is an instruction of five bytes or more: one that is needed anyway, such as the increment of a counter,
//! or a NOP. The linker gathers the addresses of all of them, each with the address of the other way on:
//! code that does what the instruction does, and tells. [`enable`] makes each instruction a jump to that.

use core::arch::{asm, naked_asm, x86_64::__cpuid};
use core::mem::offset_of;

use super::cpu::PerCpu;
use super::start;
use super::upcalls::{CpuSched, FAULTS, INTERRUPTS, Thread, trace};
use crate::mm::PhysAddr;
use crate::mm::phys::direct;
use crate::object::Core;

/// A trace point and the other way on from there.
#[repr(C)]
struct Point {
    at: u64,
    other_way: u64,
}

unsafe extern "C" {
    static __trace_points: [Point; 0];
    static __trace_points_end: [Point; 0];
}

/// An instruction as a trace point: other operands of the instruction may follow.
macro_rules! trace_point {
    ($instruction:literal, $other_way:block, $($operand:tt)*) => {
        asm!(
            concat!("2: ", $instruction),
            ".pushsection .rodata.trace, \"a\", @progbits",
            ".quad 2b, {other_way}",
            ".popsection",
            other_way = label $other_way,
            $($operand)*
        )
    };
}

/// Tells something while the kernel is traced.
#[inline(always)]
pub fn trace_point(tell: impl FnOnce()) {
    // SAFETY: a NOP of five bytes.
    unsafe {
        trace_point!(
            ".byte 0x0f, 0x1f, 0x44, 0, 0",
            { tell() },
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Counts an interrupt, and tells of it while the kernel is traced.
#[inline(always)]
pub fn count_interrupt(line: u32) {
    // SAFETY: only this counter changes.
    unsafe {
        trace_point!(
            "inc qword ptr [rip + {counter}]",
            {
                INTERRUPTS.count();
                tell(trace::interrupt, [line.into(), 0]);
            },
            counter = sym INTERRUPTS,
            options(nostack)
        );
    }
}

/// Counts a page fault, and tells of it while the kernel is traced.
#[inline(always)]
pub fn count_fault(address: u64, error: u64) {
    // SAFETY: only this counter changes.
    unsafe {
        trace_point!(
            "inc qword ptr [rip + {counter}]",
            {
                FAULTS.count();
                tell(trace::fault, [address, error]);
            },
            counter = sym FAULTS,
            options(nostack)
        );
    }
}

/// Counts a switch of this CPU from its current thread, and tells of it while the kernel is traced.
#[inline(always)]
pub fn count_switch(_: &Core, next: &'static Thread) {
    const COUNTER: usize = offset_of!(PerCpu, sched) + offset_of!(CpuSched, switches);
    // SAFETY: in the kernel GS points to this CPU's data, of which only the counter changes; the core lock is held.
    unsafe {
        trace_point!(
            "inc qword ptr gs:[{counter}]",
            {
                // SAFETY: as above.
                unsafe { asm!("inc qword ptr gs:[{}]", const COUNTER, options(nostack)) }
                tell(switched, [core::ptr::from_ref(next) as u64, 0]);
            },
            counter = const COUNTER,
            options(nostack)
        );
    }
}

extern "sysv64" fn switched(next: u64, _: u64) {
    // SAFETY: `count_switch` passes a reference, and the core lock is held there.
    unsafe { trace::switch(&Core::assume_held(), &*(next as *const Thread)) }
}

/// Calls a function in such a way that no register changes: so that the usual way saves none for it.
#[inline(always)]
fn tell(what: extern "sysv64" fn(u64, u64), [first, second]: [u64; 2]) {
    // SAFETY: `aside` calls what RAX points to with the arguments that it takes.
    unsafe {
        asm!(
            "call {aside}",
            aside = sym aside,
            inout("rax") what as usize => _,
            in("rdi") first,
            in("rsi") second,
        );
    }
}

/// Calls the function in RAX, and leaves all other registers as they are.
#[unsafe(naked)]
unsafe extern "C" fn aside() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "and rsp, -16",
        "call rax",
        "lea rsp, [rbp - 8 * 8]",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbp",
        "ret",
    )
}

/// Makes all trace points tell. Only the boot CPU runs yet.
pub fn enable() {
    const JUMP: u8 = 0xe9;
    const LENGTH: u64 = 5;
    let (mut point, end) = (&raw const __trace_points, &raw const __trace_points_end);
    while point < end {
        // SAFETY: the linker puts whole points between the two symbols. A point's instruction is at least as long as a jump,
        // within the image, which the direct map holds writable; no other CPU runs, and this one is not in there.
        unsafe {
            let Point { at, other_way } = point.cast::<Point>().read();
            let distance = other_way.wrapping_sub(at + LENGTH) as i32;
            let code = direct(PhysAddr(start::image_address(at as *const u8)));
            code.write_volatile(JUMP);
            code.add(1).cast::<i32>().write_unaligned(distance);
            point = point.byte_add(size_of::<Point>());
        }
    }
    // The processor forgets what it has fetched already (SDM volume 3, 9.3).
    __cpuid(0);
}
