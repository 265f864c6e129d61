//! Pieces of the entries and exits, as assembly text.

/// Saves the registers of a [`TrapFrame`](super::super::TrapFrame) below vector and error code: 15 instructions.
macro_rules! push_registers {
    () => {
        concat!(
            "push rax\n push rcx\n push rdx\n push rsi\n push rdi\n",
            "push r8\n push r9\n push r10\n push r11\n",
            "push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15",
        )
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

pub(super) use {pop_preserved, pop_scratch, push_registers, skip_preserved};
