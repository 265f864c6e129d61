//! The registers of an interrupted context.

/// User code segment, as on Linux.
pub const USER_CS: u64 = 0x33;
/// User stack segment, as on Linux.
pub const USER_SS: u64 = 0x2b;
/// Interrupts enabled, and the bit that is always set.
pub const USER_RFLAGS: u64 = 0x202;
/// Flags that user mode may choose: the arithmetic ones, TF, DF, RF, AC, ID.
pub const USER_RFLAGS_MASK: u64 = 0x25_0dd5;

/// Registers at a trap, in the order in which the entries push them.
///
/// A trap from user mode puts its frame at the fixed place at the top of the thread's kernel
/// stack. On return the entries take the first six (those that Rust code preserves) from the
/// registers, not from here, unless the thread was parked meanwhile: to change them, park it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    /// A vector, or [`vector::SYSCALL`](super::vector::SYSCALL).
    pub vector: u64,
    /// The error code, where the vector has one.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// Bytes of a [`TrapFrame`].
pub const FRAME_SIZE: usize = size_of::<TrapFrame>();
const _: () = assert!(FRAME_SIZE == 176 && FRAME_SIZE.is_multiple_of(16));

impl TrapFrame {
    /// The frame with which a thread begins in user mode.
    pub fn user(entry: u64, stack: u64, argument: u64) -> TrapFrame {
        TrapFrame {
            rdi: argument,
            rip: entry,
            cs: USER_CS,
            rflags: USER_RFLAGS,
            rsp: stack,
            ss: USER_SS,
            ..TrapFrame::default()
        }
    }

    /// Whether the trap came from user mode.
    #[inline]
    pub fn is_user(&self) -> bool {
        self.cs & 3 != 0
    }

    /// Whether interrupts were enabled.
    #[inline]
    pub fn interrupts_enabled(&self) -> bool {
        self.rflags & 0x200 != 0
    }

    /// The system call's six arguments.
    #[inline]
    pub fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Sets the system call's result.
    #[inline]
    pub fn set_result(&mut self, value: u64) {
        self.rax = value;
    }
}
