//! The user's terminal, if the command is to have one: raw while it runs, its size passed on.

use anyhow::Result;
use hardware_kvm_init::{Message, Size};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{stderr, stdin, stdout};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// How often the size is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Standard input and output are a terminal. It is as it was when the value is dropped.
pub struct Terminal {
    before: Termios,
}

impl Terminal {
    /// Nothing if standard input or standard output is no terminal.
    pub fn enter() -> Result<Option<Self>> {
        if !isatty(stdin()) || !isatty(stdout()) {
            return Ok(None);
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }

    /// What the machine must know of it.
    pub fn describe(&self) -> Vec<Message> {
        let mut messages = vec![Message::Terminal(size())];
        if !isatty(stderr()) {
            messages.push(Message::ErrorApart);
        }
        messages
    }

    /// Tells every new size from now on.
    pub fn follow(&self, mut control: UnixStream) {
        let mut told = size();
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK);
                let now = size();
                if now != told && Message::Terminal(now).write(&mut control).is_err() {
                    return;
                }
                told = now;
            }
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before); // the terminal may be gone
    }
}

fn size() -> Size {
    let size = tcgetwinsize(stdout());
    size.map_or(
        Size {
            rows: 24,
            columns: 80,
        },
        |size| Size {
            rows: size.ws_row,
            columns: size.ws_col,
        },
    )
}
