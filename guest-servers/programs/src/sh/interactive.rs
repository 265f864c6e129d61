//! Commands from standard input: a person at a terminal, or a script.

use std::io::ErrorKind;

use super::ast::{Bytes, List};
use super::parser::{Parser, SyntaxError};
use super::redirect::read_line;
use super::state::{Flow, MISUSE, Shell, Unwind};
use super::terminal::Terminal;
use crate::cx::cause;
use crate::sys::fd::Fd;
use crate::sys::{signal, system};

impl Shell {
    /// Talks to a person until the end of the input or `exit`; returns the shell's status.
    pub fn converse(&mut self) -> i32 {
        self.options.interactive = true;
        self.typed = true;
        self.resume_control();
        let mut flow = Ok(0);
        loop {
            match self.read_script() {
                Err(Unwind::Exit(status)) => {
                    flow = Err(Unwind::Exit(status));
                    break;
                }
                Ok(_) => {
                    // ^D: the next prompt, if there is one, starts on its own line.
                    errln!();
                    break;
                }
                Err(Unwind::Failed(status)) => self.status = status,
                Err(_) => {}
            }
            self.conditions = 0;
            self.loops = 0;
        }
        let status = flow.and(Ok(self.status));
        self.end(status)
    }

    /// Takes the terminal and catches ^C, as an interactive shell does.
    pub fn resume_control(&mut self) {
        // Without a terminal of its own the shell works all the same, without job control.
        self.terminal = Terminal::take().ok();
        // Only signals that cannot be caught make this fail.
        let _ = signal::catch(libc::SIGINT);
        let _ = signal::ignore(libc::SIGTERM);
    }

    /// Runs commands from standard input to its end, or until control leaves.
    pub fn read_script(&mut self) -> Flow {
        let mut text = Bytes::new();
        loop {
            if self.options.interactive {
                self.prompt(&text);
            }
            let line = match read_line(Fd::STDIN) {
                Ok(line) => line,
                Err(why) if why.kind() == ErrorKind::Interrupted => {
                    if self.options.interactive {
                        errln!();
                    }
                    text.clear();
                    self.check_signals()?;
                    continue;
                }
                Err(why) => {
                    self.complain(&format!("standard input: {}", cause(&why)));
                    return Err(Unwind::Exit(MISUSE));
                }
            };
            let at_end = line.is_none();
            text.extend(line.unwrap_or_default());
            match parse(&text) {
                Err(error) if error.is_incomplete() && !at_end => continue,
                Err(error) => {
                    errln!("{}: {error}", String::from_utf8_lossy(&self.name));
                    return Err(Unwind::Failed(MISUSE));
                }
                Ok(lists) => {
                    text.clear();
                    for list in &lists {
                        self.list(list)?;
                    }
                }
            }
            if at_end {
                return Ok(self.status);
            }
        }
    }

    /// Asks for a line; `pending` is what an unfinished command already has.
    fn prompt(&mut self, pending: &[u8]) {
        if !pending.is_empty() {
            let more = self.variables.get(b"PS2").unwrap_or_default();
            return err!("{}", String::from_utf8_lossy(more));
        }
        self.poll_jobs();
        match self.variables.get(b"PS1") {
            Some(prompt) => err!("{}", String::from_utf8_lossy(prompt)),
            None => {
                let place = self.variables.get(b"PWD").unwrap_or(b"?");
                let sign = if system::effective_user() == 0 {
                    '#'
                } else {
                    '$'
                };
                err!("ferrix:{}{sign} ", String::from_utf8_lossy(place));
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Vec<List>, SyntaxError> {
    let mut parser = Parser::new(text);
    std::iter::from_fn(|| parser.next_line().transpose()).collect()
}
