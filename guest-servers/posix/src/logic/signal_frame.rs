//! What lies on a program's stack while a signal handler runs: Linux's `struct rt_sigframe`.
//!
//! linux-raw-sys does not declare `ucontext` and `sigcontext`; they are here as `asm/sigcontext.h` and
//! `asm/ucontext.h` (x86-64) have them.

use crate::actions::Action;
use crate::fp_state;
use crate::frame::Frame;
use ferrix_abi::signal::{SignalInfo, SignalSet, number};
use linux_raw_sys::general as linux;

/// Bytes below the stack pointer that a function may use without moving it.
const RED_ZONE: u64 = 128;
/// `UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`: the stack segment is saved.
const UC_FLAGS: u64 = 6;
/// `UC_FP_XSTATE`: the floating-point state is more than what FXSAVE writes.
const UC_FP_XSTATE: u64 = 1;
/// User code and stack segment selectors as Linux numbers them.
const SELECTORS: u64 = 0x33 | 0x2b << 48;

/// `stack_t`; all zero is "none" but for the flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// `SS_*`.
    pub flags: u32,
    /// Keeps the layout.
    pub reserved: u32,
    /// Bytes.
    pub size: u64,
}

impl AltStack {
    /// Whether an address lies on it.
    pub const fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.base).wrapping_sub(1) < self.size
    }

    /// What `sigaltstack` reports with the stack pointer here.
    pub fn reported(mut self, stack: u64) -> AltStack {
        self.flags = match (self.size, self.contains(stack)) {
            (0, _) => linux::SS_DISABLE,
            (_, true) => linux::SS_ONSTACK,
            _ => 0,
        };
        self
    }
}

/// `struct sigcontext`.
#[expect(missing_docs, reason = "register names")]
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SigContext {
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    /// CS, GS, FS, SS, 16 bits each.
    pub selectors: u64,
    pub err: u64,
    pub trapno: u64,
    pub oldmask: u64,
    pub cr2: u64,
    pub fpstate: u64,
    pub reserved: [u64; 8],
}

/// `struct rt_sigframe`: return address, `struct ucontext`, `siginfo_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SignalFrame {
    /// The restorer, to which the handler returns.
    pub return_address: u64,
    /// `uc_flags`.
    pub flags: u64,
    /// `uc_link`.
    pub link: u64,
    /// `uc_stack`.
    pub stack: AltStack,
    /// `uc_mcontext`.
    pub context: SigContext,
    /// `uc_sigmask`.
    pub mask: SignalSet,
    /// `siginfo_t`.
    pub info: [u64; 16],
}

const _: () = assert!(size_of::<SigContext>() == 256 && size_of::<SignalFrame>() == 440);

/// Offset of `ucontext` in the frame.
const UCONTEXT_OFFSET: u64 = 8;
/// Offset of `siginfo_t` in the frame.
const INFO_OFFSET: u64 = 8 + 304;

/// Where the parts are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The frame; the handler's stack pointer.
    pub frame: u64,
    /// The floating-point state.
    pub fp: u64,
    /// Whether that is more than what FXSAVE writes.
    pub extended: bool,
}

/// Chooses the stack and places the frame on it, with `fp_size` bytes of floating-point state; `None` if it does
/// not fit the alternate stack.
pub fn place(
    registers: &Frame,
    action: &Action,
    alternate: &AltStack,
    fp_size: usize,
) -> Option<Placement> {
    let wants = action.has(linux::SA_ONSTACK) && alternate.size != 0;
    let on_alternate = alternate.contains(registers.rsp);
    let top = if wants && !on_alternate {
        alternate.base.checked_add(alternate.size)?
    } else {
        registers.rsp.checked_sub(RED_ZONE)?
    };
    let fp = top.checked_sub(fp_size as u64)? & !63;
    // At a function's entry the stack pointer is 8 below a multiple of 16.
    let frame = (fp.checked_sub(size_of::<SignalFrame>() as u64)? & !15).checked_sub(8)?;
    let fits = !(wants || on_alternate) || frame > alternate.base;
    fits.then_some(Placement {
        frame,
        fp,
        extended: fp_size > fp_state::LEGACY,
    })
}

/// Builds the frame that remembers `registers` and `mask`.
pub fn build(
    registers: &Frame,
    action: &Action,
    info: &SignalInfo,
    mask: SignalSet,
    alternate: &AltStack,
    place: Placement,
) -> SignalFrame {
    SignalFrame {
        return_address: action.restorer,
        flags: match place.extended {
            true => UC_FLAGS | UC_FP_XSTATE,
            false => UC_FLAGS,
        },
        link: 0,
        stack: alternate.reported(registers.rsp),
        context: context(registers, info, mask, place.fp),
        mask,
        info: siginfo(info),
    }
}

fn context(from: &Frame, info: &SignalInfo, mask: SignalSet, fpstate: u64) -> SigContext {
    let Frame {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        ..
    } = *from;
    SigContext {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        eflags: from.rflags,
        selectors: SELECTORS,
        err: info.error.into(),
        trapno: info.trap.into(),
        oldmask: mask,
        cr2: info.address,
        fpstate,
        reserved: [0; 8],
    }
}

/// The registers that a frame remembers.
pub fn restore(from: &SigContext) -> Frame {
    let SigContext {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        ..
    } = *from;
    let mut frame = Frame {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        call: u64::MAX,
        ..Frame::default()
    };
    frame.set_flags(from.eflags);
    frame
}

/// Makes the registers those of the handler's first instruction.
pub fn enter(registers: &mut Frame, action: &Action, signal: u32, place: Placement) {
    *registers = Frame {
        rdi: signal.into(),
        rsi: place.frame + INFO_OFFSET,
        rdx: place.frame + UCONTEXT_OFFSET,
        ..Frame::start(action.handler, place.frame)
    };
}

/// `siginfo_t` as 16 words: signo, errno, code, then what the kind of signal has.
pub fn siginfo(info: &SignalInfo) -> [u64; 16] {
    let mut words = [0; 16];
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    words[0] = info.signo.into();
    words[1] = (info.code as u32).into();
    if info.trap != 0 || is_fault(info) {
        words[2] = info.address;
        return words;
    }
    words[2] = pair(info.pid, info.uid);
    words[3] = info.value;
    if info.signo == number::SIGCHLD && info.code > 0 {
        words[3] = crate::children::code_and_status(info.value as u32).1.into();
    }
    words
}

/// A signal that an instruction caused, which has an address.
fn is_fault(info: &SignalInfo) -> bool {
    let kind = matches!(
        info.signo,
        number::SIGSEGV | number::SIGBUS | number::SIGFPE | number::SIGILL | number::SIGTRAP
    );
    kind && info.code > 0
}

#[cfg(test)]
#[path = "signal_frame/tests.rs"]
mod tests;
