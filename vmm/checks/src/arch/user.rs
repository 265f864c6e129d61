//! Code at privilege level 3, for features that are about it.

use core::arch::asm;
use core::sync::atomic::Ordering::SeqCst;

use super::phys;
use super::start::{self, USER_CODE, USER_DATA, UserAccess};
use super::trap::{Exception, RECOVERY, RECOVERY_STACK, take_exception};

/// Offset in the arena of the code; its stack grows down from there.
const CODE: u64 = 0x10_1000;
/// UD2: where level 3 ends. (INT n is not delivered everywhere, docs/kvm.md.)
const UD2: [u8; 2] = [0x0f, 0x0b];
/// Invalid opcode.
pub const INVALID_OPCODE: u8 = 6;

/// The page that [`run`] opens, for checks of its protection.
pub fn page() -> u64 {
    start::arena().start
}

/// Runs instructions at level 3 (RDI: a word they may write), and UD2 after them. Returns the
/// exception that ended them: [`INVALID_OPCODE`] if they did what they should.
pub fn run(code: &[u8]) -> Option<Exception> {
    let at = page() + CODE;
    for (offset, &byte) in code.iter().chain(&UD2).enumerate() {
        phys::write(at + offset as u64, byte);
    }
    start::set_user_page(page(), UserAccess::Open);
    // SAFETY: level 3 comes back by an exception, to label 77 with this stack; it may have changed
    // any register. Interrupts stay as they are.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov [rip + {stack}], rsp",
            "lea rcx, [rip + 77f]",
            "mov [rip + {recovery}], rcx",
            "mov ecx, {user_data}", "push rcx", "push rax",
            "pushfq",
            "mov ecx, {user_code}", "push rcx", "push rax",
            "iretq",
            "77:",
            "pop rbp", "pop rbx",
            stack = sym RECOVERY_STACK,
            recovery = sym RECOVERY,
            user_data = const USER_DATA,
            user_code = const USER_CODE,
            inout("rax") at => _, inout("rdi") at + 0x800 => _,
            out("rcx") _, out("rdx") _, out("rsi") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    RECOVERY.store(0, SeqCst);
    start::set_user_page(page(), UserAccess::Closed);
    take_exception()
}
