//! The terminal: foreground group, modes, size.

use std::io;
use std::mem;

use super::check;
use super::fd::Fd;
use super::process::Pid;

/// The line discipline's settings.
#[derive(Clone, Copy)]
pub struct Modes(libc::termios);

impl Modes {
    /// The settings of `terminal`.
    pub fn of(terminal: Fd) -> io::Result<Self> {
        // SAFETY: all-zero is a valid termios.
        let mut modes = unsafe { mem::zeroed() };
        // SAFETY: the pointer is a live termios's.
        check(unsafe { libc::tcgetattr(terminal.0, &mut modes) })?;
        Ok(Self(modes))
    }

    /// Makes them the settings of `terminal`, after its output has drained.
    pub fn apply(&self, terminal: Fd) -> io::Result<()> {
        // SAFETY: the pointer is a live termios's.
        check(unsafe { libc::tcsetattr(terminal.0, libc::TCSADRAIN, &self.0) }).map(drop)
    }

    /// No line editing, no signals, no echo, no translation.
    pub fn make_raw(&mut self) {
        // SAFETY: the pointer is a live termios's.
        unsafe { libc::cfmakeraw(&mut self.0) };
    }

    /// Lines, signals, echo and newline translation as a user expects them.
    pub fn make_sane(&mut self) {
        self.0.c_iflag |= libc::ICRNL | libc::IXON | libc::BRKINT;
        self.0.c_oflag |= libc::OPOST | libc::ONLCR;
        self.0.c_lflag |=
            libc::ICANON | libc::ISIG | libc::IEXTEN | libc::ECHO | libc::ECHOE | libc::ECHOK;
        self.0.c_cc[libc::VMIN] = 1;
        self.0.c_cc[libc::VTIME] = 0;
    }

    /// The flag word that `flag` lives in, and its bit.
    fn local(&mut self, flag: Local) -> (&mut libc::tcflag_t, libc::tcflag_t) {
        let bit = match flag {
            Local::Echo => libc::ECHO,
            Local::Canonical => libc::ICANON,
            Local::Signals => libc::ISIG,
        };
        (&mut self.0.c_lflag, bit)
    }

    /// Turns a local mode on.
    pub fn enable(&mut self, flag: Local) {
        let (word, bit) = self.local(flag);
        *word |= bit;
    }

    /// Turns a local mode off.
    pub fn disable(&mut self, flag: Local) {
        let (word, bit) = self.local(flag);
        *word &= !bit;
    }

    /// Whether a local mode is on.
    pub fn is_on(mut self, flag: Local) -> bool {
        let (word, bit) = self.local(flag);
        *word & bit != 0
    }
}

/// Local modes by name.
#[derive(Clone, Copy)]
pub enum Local {
    /// What is typed is shown.
    Echo,
    /// Input comes in edited lines.
    Canonical,
    /// ^C and ^Z send signals.
    Signals,
}

/// Rows and columns.
pub fn size(terminal: Fd) -> io::Result<(u16, u16)> {
    // SAFETY: all-zero is a valid winsize.
    let mut size: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: TIOCGWINSZ fills a winsize, which the pointer is.
    check(unsafe { libc::ioctl(terminal.0, libc::TIOCGWINSZ, &mut size) })?;
    Ok((size.ws_row, size.ws_col))
}

/// The group that gets the terminal's signals.
pub fn foreground(terminal: Fd) -> io::Result<Pid> {
    // SAFETY: tcgetpgrp takes any number.
    check(unsafe { libc::tcgetpgrp(terminal.0) })
}

/// Gives the terminal to `group`.
pub fn set_foreground(terminal: Fd, group: Pid) -> io::Result<()> {
    // SAFETY: tcsetpgrp takes any numbers.
    check(unsafe { libc::tcsetpgrp(terminal.0, group) }).map(drop)
}
