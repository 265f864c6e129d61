//! Signal dispositions: what the program asked for, and what the kernel needs to know of it.

use crate::errno::{Errno, Result};
use ferrix_abi::signal::number::{SIGCHLD, SIGKILL, SIGSTOP};
use ferrix_abi::signal::{Disposition, SignalInfo, SignalSet};
use linux_raw_sys::general as linux;

/// Signals there are.
pub const SIGNALS: usize = 64;
/// `SIG_IGN`.
const IGNORE: u64 = 1;
/// Signals that cannot be blocked.
pub const UNBLOCKABLE: SignalSet = bit(SIGKILL) | bit(SIGSTOP);

/// A signal's bit in a set.
pub const fn bit(signal: u32) -> SignalSet {
    1 << (signal.wrapping_sub(1) & 63)
}

/// Linux's `struct sigaction` as the system call has it; all zero is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Action {
    /// Address of the handler, or `SIG_DFL`, `SIG_IGN`.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// What the handler returns to.
    pub restorer: u64,
    /// Signals blocked meanwhile.
    pub mask: SignalSet,
}

impl Action {
    /// Whether the `SA_*` flag is set.
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }

    /// Whether there is a function to call.
    pub const fn is_caught(&self) -> bool {
        self.handler > IGNORE
    }

    /// The mask while the handler runs, from the mask before it.
    pub const fn mask_during(&self, signal: u32, before: SignalSet) -> SignalSet {
        let own = if self.has(linux::SA_NODEFER) {
            0
        } else {
            bit(signal)
        };
        (before | self.mask | own) & !UNBLOCKABLE
    }

    /// Whether this signal is one that `SA_NOCLDSTOP` keeps away.
    pub fn filters(&self, info: &SignalInfo) -> bool {
        let about_stop = matches!(
            info.code as u32,
            linux::CLD_STOPPED | linux::CLD_CONTINUED | linux::CLD_TRAPPED
        );
        info.signo == SIGCHLD && about_stop && self.has(linux::SA_NOCLDSTOP)
    }

    fn disposition(&self, signal: u32) -> Disposition {
        match self.handler {
            0 if signal == SIGCHLD && self.has(linux::SA_NOCLDWAIT) => Disposition::NoChildWait,
            0 => Disposition::Default,
            IGNORE => Disposition::Ignore,
            _ => Disposition::Catch,
        }
    }
}

/// The actions of all signals; all zero at the start.
#[derive(Debug)]
pub struct Actions([Action; SIGNALS]);

impl Actions {
    /// Every signal at its default.
    pub const fn new() -> Actions {
        Actions(
            [Action {
                handler: 0,
                flags: 0,
                restorer: 0,
                mask: 0,
            }; SIGNALS],
        )
    }

    /// The action of a signal.
    ///
    /// # Errors
    /// `EINVAL`: no such signal.
    pub fn get(&self, signal: u32) -> Result<Action> {
        let index = (signal as usize).wrapping_sub(1);
        self.0.get(index).copied().ok_or(Errno::EINVAL)
    }

    /// Sets an action; the disposition to tell the kernel, if it changes for the kernel.
    ///
    /// # Errors
    /// `EINVAL`: no such signal, or SIGKILL, SIGSTOP.
    pub fn set(&mut self, signal: u32, action: Action) -> Result<Option<Disposition>> {
        if signal == SIGKILL || signal == SIGSTOP {
            return Err(Errno::EINVAL);
        }
        let old = self.get(signal)?;
        self.0[signal as usize - 1] = action;
        let (before, after) = (old.disposition(signal), action.disposition(signal));
        Ok((before != after).then_some(after))
    }

    /// `exec`: what was caught is at its default (the kernel does its part in `ExecCommit`).
    pub fn reset_caught(&mut self) {
        for action in &mut self.0 {
            if action.is_caught() {
                *action = Action::default();
            }
        }
    }
}

impl Default for Actions {
    fn default() -> Actions {
        Actions::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrix_abi::signal::number::{SIGINT, SIGPIPE};

    fn action(handler: u64) -> Action {
        Action {
            handler,
            ..Action::default()
        }
    }

    #[test]
    fn the_kernel_is_told_only_of_changes() {
        let mut actions = Actions::new();
        assert_eq!(actions.set(SIGPIPE, action(0)), Ok(None));
        assert_eq!(
            actions.set(SIGPIPE, action(1)),
            Ok(Some(Disposition::Ignore))
        );
        assert_eq!(
            actions.set(SIGPIPE, action(0x1000)),
            Ok(Some(Disposition::Catch))
        );
        assert_eq!(actions.set(SIGPIPE, action(0x2000)), Ok(None));
        assert_eq!(actions.set(SIGKILL, action(1)), Err(Errno::EINVAL));
        assert_eq!(actions.set(65, action(1)), Err(Errno::EINVAL));
        assert_eq!(actions.get(0), Err(Errno::EINVAL));
    }

    #[test]
    fn exec_keeps_what_is_ignored() {
        let mut actions = Actions::new();
        actions.set(SIGINT, action(0x1000)).unwrap();
        actions.set(SIGPIPE, action(1)).unwrap();
        actions.reset_caught();
        assert_eq!(actions.get(SIGINT).unwrap().handler, 0);
        assert_eq!(actions.get(SIGPIPE).unwrap().handler, 1);
    }

    #[test]
    fn a_handler_blocks_its_own_signal_unless_told_otherwise() {
        let mut caught = action(0x1000);
        caught.mask = bit(SIGKILL) | bit(SIGPIPE);
        assert_eq!(
            caught.mask_during(SIGINT, 1 << 40),
            bit(SIGINT) | bit(SIGPIPE) | 1 << 40
        );
        caught.flags = linux::SA_NODEFER.into();
        assert_eq!(caught.mask_during(SIGINT, 0), bit(SIGPIPE));
    }
}
