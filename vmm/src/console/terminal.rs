//! The terminal's raw mode, and its certain end.
//!
//! [`RawMode`] restores the terminal when it goes; a panic hook does so before a panic aborts. Fatal
//! signals come through the event loop ([`super::signals`]) and so end in the guard as well.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// What to restore; empty while the terminal is as the user left it.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static RAW: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What a guest is told when there is no terminal.
const DEFAULT_SIZE: WindowSize = WindowSize {
    columns: 80,
    rows: 24,
};

/// Raw mode of standard input for as long as this lives.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes standard input raw if it is a terminal; otherwise there is nothing to do.
    pub fn enter() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let saved = tcgetattr(stdio::stdin())?;
        let mut raw = saved.clone();
        raw.make_raw();
        HOOK.call_once(restore_on_panic);
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        tcsetattr(stdio::stdin(), OptionalActions::Drain, &raw)?;
        RAW.store(true, Ordering::SeqCst);
        Ok(Some(Self(())))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore_on_panic() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        next(info);
    }));
}

fn restore() {
    if let Some(saved) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nothing is left to be done if the terminal is gone.
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &saved);
        RAW.store(false, Ordering::SeqCst);
    }
}

/// [`restore`] for a signal's handler, which cannot wait for whoever it interrupted.
pub fn restore_now() {
    if let Ok(saved) = SAVED.try_lock()
        && let Some(saved) = saved.as_ref()
    {
        // Nothing is left to be done if the terminal is gone.
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, saved);
    }
}

/// How a line of a message ends just now.
pub fn line_end() -> &'static str {
    if RAW.load(Ordering::SeqCst) {
        "\r\n"
    } else {
        "\n"
    }
}

/// The terminal's size: of standard output, else of standard input, else 80 x 24.
pub fn window_size() -> WindowSize {
    ask(stdio::stdout())
        .or_else(|| ask(stdio::stdin()))
        .unwrap_or(DEFAULT_SIZE)
}

/// The size of this terminal, else 80 x 24.
pub fn size_of(terminal: impl AsFd) -> WindowSize {
    ask(terminal).unwrap_or(DEFAULT_SIZE)
}

fn ask(terminal: impl AsFd) -> Option<WindowSize> {
    let size = tcgetwinsize(terminal).ok()?;
    let is_set = size.ws_col > 0 && size.ws_row > 0;
    is_set.then_some(WindowSize {
        columns: size.ws_col,
        rows: size.ws_row,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    #[test]
    fn a_panic_restores_the_terminal() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let settings = |terminal: &File| tcgetattr(terminal).unwrap();
        let terminal = File::from(terminal);
        let before = settings(&terminal).local_modes;
        assert!(before.contains(LocalModes::ICANON | LocalModes::ECHO));
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "console::terminal::tests::raw_panic"])
            .args(["--ignored", "--nocapture", "--test-threads", "1"])
            .stdin(Stdio::from(terminal.try_clone().unwrap()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("raw: true"), "{text}");
        assert!(text.contains("raw at the message: false"), "{text}");
        assert_eq!(settings(&terminal).local_modes, before);
    }

    /// Aborts in a panic's message, before anything is unwound.
    #[test]
    #[ignore = "ends the process that runs it"]
    fn raw_panic() {
        let is_raw = || {
            !tcgetattr(stdio::stdin())
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO)
        };
        std::panic::set_hook(Box::new(move |_| {
            eprintln!("raw at the message: {}", is_raw());
            std::process::abort();
        }));
        let raw = RawMode::enter().unwrap();
        eprintln!("raw: {}", is_raw() && raw.is_some());
        panic!("for the test");
    }
}
