//! The terminal of an interactive shell: who is in the foreground, and its settings.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::fd::Fd;
use crate::sys::process::{self, Pid};
use crate::sys::signal;
use crate::sys::term::{self, Modes};

/// Signals from the terminal that an interactive shell survives.
const SURVIVED: [i32; 4] = [libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// A terminal that this shell controls.
pub struct Terminal {
    file: OwnedFd,
    group: Pid,
    modes: Modes,
}

impl Terminal {
    /// Takes control of the terminal at standard input. Fails where it is no terminal, or not
    /// this session's.
    pub fn take() -> io::Result<Self> {
        let file = Fd::STDIN.save()?;
        let fd = Fd(file.as_raw_fd());
        let modes = Modes::of(fd)?;
        // Started in the background: stop until somebody puts us in front.
        let mut group = process::group();
        while term::foreground(fd)? != group {
            process::kill(-group, libc::SIGTTIN)?;
            group = process::group();
        }
        for signal in SURVIVED {
            signal::ignore(signal)?;
        }
        // A session leader cannot change its group, and need not.
        if process::set_group(0, 0).is_ok() {
            group = process::group();
        }
        term::set_foreground(fd, group)?;
        Ok(Self { file, group, modes })
    }

    fn fd(&self) -> Fd {
        Fd(self.file.as_raw_fd())
    }

    /// Puts `group` in front.
    pub fn give_to(&self, group: Pid) {
        // A group that has already ended cannot be put in front, and need not.
        let _ = term::set_foreground(self.fd(), group);
    }

    /// Puts the shell in front again.
    pub fn take_back(&self) {
        self.give_to(self.group);
    }

    /// Undoes what a program that ended badly did to the settings.
    pub fn restore_modes(&self) {
        // A terminal that hung up has no settings to restore.
        let _ = self.modes.apply(self.fd());
    }
}

/// Gives a child the signals' default effects back.
pub fn reset_signals() {
    for signal in SURVIVED {
        signal::restore_default(signal);
    }
    signal::restore_default(libc::SIGINT);
    signal::restore_default(libc::SIGTERM);
}
