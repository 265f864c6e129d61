//! The state of a running shell, and the ways in which its control flow leaves a command.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Bytes, Command};
use super::jobs::Jobs;
use super::terminal::Terminal;
use super::vars::Variables;
use crate::sys::process::Pid;

/// Status of a failed expansion, redirection or special builtin.
pub const FAILURE: i32 = 1;
/// Status of a syntax error or a misused builtin.
pub const MISUSE: i32 = 2;

/// Control leaves the command that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwind {
    /// Out of this many loops.
    Break(usize),
    /// To the next turn of this many loops out.
    Continue(usize),
    /// Out of a function or a sourced file.
    Return(i32),
    /// Out of the shell.
    Exit(i32),
    /// After an error that has been reported: out of a script, or back to the prompt.
    Failed(i32),
    /// ^C at an interactive shell: back to the prompt.
    Interrupted,
}

/// How a command ends: with its status, or by leaving.
pub type Flow = Result<i32, Unwind>;

/// What `set` turns on and off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-e`: a failing command ends the shell.
    pub exit_on_error: bool,
    /// `-u`: using a variable that is not set is an error.
    pub no_unset: bool,
    /// `-x`: commands are shown as they run.
    pub trace: bool,
    /// `-f`: file names are not expanded.
    pub no_glob: bool,
    /// `-i`: a person types the commands.
    pub interactive: bool,
}

impl Options {
    /// The options that are on.
    pub fn letters(&self) -> Bytes {
        let all = [
            (b'e', self.exit_on_error),
            (b'f', self.no_glob),
            (b'i', self.interactive),
            (b'u', self.no_unset),
            (b'x', self.trace),
        ];
        all.iter()
            .filter(|(_, on)| *on)
            .map(|(letter, _)| *letter)
            .collect()
    }

    /// The option with this letter.
    pub fn by_letter(&mut self, letter: u8) -> Option<&mut bool> {
        Some(match letter {
            b'e' => &mut self.exit_on_error,
            b'f' => &mut self.no_glob,
            b'i' => &mut self.interactive,
            b'u' => &mut self.no_unset,
            b'x' => &mut self.trace,
            _ => return None,
        })
    }
}

/// A running shell.
pub struct Shell {
    /// `$0`: what messages begin with.
    pub name: Bytes,
    /// `$1` and on.
    pub positional: Vec<Bytes>,
    /// Variables.
    pub variables: Variables,
    /// Functions by name.
    pub functions: BTreeMap<Bytes, Rc<Command>>,
    /// What `set` sets.
    pub options: Options,
    /// A person typed the commands, so that a line's number says nothing. Also in subshells.
    pub typed: bool,
    /// `$?`
    pub status: i32,
    /// `$$`: the first shell's process id, also in subshells.
    pub pid: u32,
    /// The process group that the shell started in.
    pub group_at_start: Pid,
    /// `$!`
    pub last_background: Option<Pid>,
    /// Children that are being waited for, or will be.
    pub jobs: Jobs,
    /// Commands by signal; signal 0 is the shell's end.
    pub traps: BTreeMap<i32, Bytes>,
    /// The terminal, when there is job control.
    pub terminal: Option<Terminal>,
    /// How many conditions the running command is in: there `-e` has no effect.
    pub conditions: usize,
    /// How many loops the running command is in.
    pub loops: usize,
    /// How many functions and sourced files the running command is in.
    pub calls: usize,
    /// Line of the running command.
    pub line: usize,
    /// How many command substitutions have run.
    pub substitutions: u64,
}

impl Shell {
    /// A shell with the environment's variables.
    pub fn new(name: Bytes) -> Self {
        let mut shell = Self {
            name,
            positional: Vec::new(),
            variables: Variables::from_environment(),
            functions: BTreeMap::new(),
            options: Options::default(),
            typed: false,
            status: 0,
            pid: std::process::id(),
            group_at_start: crate::sys::process::group(),
            last_background: None,
            jobs: Jobs::default(),
            traps: BTreeMap::new(),
            terminal: None,
            conditions: 0,
            loops: 0,
            calls: 0,
            line: 0,
            substitutions: 0,
        };
        shell.set_default_variables();
        shell
    }

    fn set_default_variables(&mut self) {
        use std::os::unix::ffi::OsStringExt;
        let current = std::env::current_dir().map(|path| path.into_os_string().into_vec());
        let parent = crate::sys::process::parent().to_string();
        let defaults: [(&[u8], Bytes); 3] = [
            (b"PATH", b"/bin:/usr/bin:/sbin:/usr/sbin".to_vec()),
            (b"PS2", b"> ".to_vec()),
            (b"PPID", parent.into_bytes()),
        ];
        for (name, value) in defaults {
            if self.variables.get(name).is_none() {
                self.variables.attributes(name).value = Some(value);
            }
        }
        // An inherited IFS would change what scripts mean.
        self.variables.attributes(b"IFS").value = Some(b" \t\n".to_vec());
        if let Ok(current) = current {
            self.variables.attributes(b"PWD").value = Some(current);
        }
    }

    /// Reports `message`; in a script with the line.
    pub fn complain(&self, message: &str) {
        let name = String::from_utf8_lossy(&self.name);
        match self.typed || self.line == 0 {
            true => errln!("{name}: {message}"),
            false => errln!("{name}: line {}: {message}", self.line),
        }
    }

    /// Reports an error that ends the script.
    pub fn fail(&self, message: &str) -> Unwind {
        self.complain(message);
        Unwind::Failed(FAILURE)
    }

    /// Assigns a variable, or fails because it is read-only.
    pub fn assign(&mut self, name: &[u8], value: Bytes) -> Result<(), Unwind> {
        if !super::dollar::is_name(name) {
            return Err(self.fail(&format!("{}: cannot be assigned to", name.escape_ascii())));
        }
        self.variables
            .set(name, value)
            .map_err(|error| self.fail(&error))
    }
}
