//! A program's registers while the personality runs.

/// Where a thread of the program stands. The order is that in which the entry code pushes and the exit code pops
/// (`entry.rs`): the first field has the lowest address.
#[expect(missing_docs, reason = "register names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// The system call's number; all ones when the thread was not in one.
    pub call: u64,
    /// Keeps the size a multiple of 16.
    pub reserved: u64,
    pub rip: u64,
    pub rflags: u64,
    pub rsp: u64,
}

const _: () = assert!(size_of::<Frame>().is_multiple_of(16));

/// Flags a program starts with: interrupts on (and the bit that is always 1).
pub const INITIAL_FLAGS: u64 = 0x202;
/// Flags that `sigreturn` may change: CF PF AF ZF SF DF OF (and not TF, which would trap in the personality).
const PROGRAM_FLAGS: u64 = 0xcd5;

impl Frame {
    /// Length of the `syscall` instruction.
    const SYSCALL_LENGTH: u64 = 2;

    /// A program's start.
    pub fn start(entry: u64, stack: u64) -> Frame {
        Frame {
            rip: entry,
            rsp: stack,
            rflags: INITIAL_FLAGS,
            call: u64::MAX,
            ..Frame::default()
        }
    }

    /// The six arguments of a system call.
    pub const fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Makes the thread issue its system call again.
    pub const fn restart(&mut self) {
        self.rip = self.rip.wrapping_sub(Self::SYSCALL_LENGTH);
        self.rax = self.call;
    }

    /// Sets the flags that programs may set.
    pub const fn set_flags(&mut self, flags: u64) {
        self.rflags = INITIAL_FLAGS | flags & PROGRAM_FLAGS;
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;

    #[test]
    fn restart_rewinds_to_the_instruction() {
        let mut frame = Frame {
            rip: 0x1002,
            rax: 0xffff,
            call: 7,
            ..Frame::default()
        };
        frame.restart();
        assert_eq!((frame.rip, frame.rax), (0x1000, 7));
    }

    #[test]
    fn the_trap_flag_cannot_be_set() {
        let mut frame = Frame::default();
        frame.set_flags(u64::MAX);
        assert_eq!(frame.rflags & 0x100, 0);
        assert_eq!(frame.rflags & 0x4c5, 0x4c5);
    }
}
