//! Pieces of the entries and exits, as assembly text.

/// Saves the registers of a [`TrapFrame`](super::super::TrapFrame) below vector and error code: 15 instructions.
macro_rules! push_registers {
    () => {
        concat!(push_scratch!(), "\n", push_preserved!())
    };
}

/// Those of them that Rust code may change.
macro_rules! push_scratch {
    () => {
        concat!(
            "push rax\n push rcx\n push rdx\n push rsi\n push rdi\n",
            "push r8\n push r9\n push r10\n push r11",
        )
    };
}

/// Those that it preserves.
macro_rules! push_preserved {
    () => {
        "push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15"
    };
}

/// Restores the registers that Rust code preserves: 6 instructions.
macro_rules! pop_preserved {
    () => {
        "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx"
    };
}

/// Passes over the registers that Rust code has preserved.
macro_rules! skip_preserved {
    () => {
        "add rsp, 48"
    };
}

/// Restores the others, and passes over vector and error code: 10 instructions.
macro_rules! pop_scratch {
    () => {
        concat!(
            "pop r11\n pop r10\n pop r9\n pop r8\n pop rdi\n pop rsi\n pop rdx\n pop rcx\n pop rax\n",
            "add rsp, 16",
        )
    };
}

/// A native call, its registers saved and RAX still the program's, goes to its handler: 4 instructions.
macro_rules! dispatch {
    () => {
        "mov rdi, rsp\n movzx eax, al\n call qword ptr [{table} + rax * 8]\n cli"
    };
}

/// Bytes of CLAC, the first instruction of every entry by a gate. Gates pass over it where there is no SMAP.
pub(super) const CLAC: u64 = 3;

/// An entry from user mode on an exception stack goes on on the thread's stack, as the ordinary exception `vector`
/// without an error code.
macro_rules! move_to_thread_stack {
    () => {
        concat!(
            "swapgs\n mov gs:[{scratch}], rax\n mov rax, rsp\n mov rsp, gs:[{rsp0}]\n",
            "push qword ptr [rax + 32]\n push qword ptr [rax + 24]\n push qword ptr [rax + 16]\n",
            "push qword ptr [rax + 8]\n push qword ptr [rax]\n push 0\n push {vector}\n",
            "mov rax, gs:[{scratch}]\n jmp {exception}",
        )
    };
}

pub(super) use {dispatch, move_to_thread_stack};
pub(super) use {pop_preserved, pop_scratch, skip_preserved};
pub(super) use {push_preserved, push_registers, push_scratch};
