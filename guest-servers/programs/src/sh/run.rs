//! Runs simple commands: assignments, functions, builtins, programs.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::ast::{Bytes, Simple};
use super::builtins;
use super::exec::Place;
use super::quote::quote;
use super::state::{Flow, Shell, Unwind};
use super::wait::Ground;
use crate::cx::cause;
use crate::sys::process;
use crate::text::os;

/// Status of a command that is not there.
pub const NOT_FOUND: i32 = 127;
/// Status of a command that is there but cannot run.
pub const NOT_EXECUTABLE: i32 = 126;
/// Functions may call each other this deep.
const MAX_CALLS: usize = 200;

impl Shell {
    /// Runs a simple command; `text` is what a job for it is called.
    pub fn simple(&mut self, simple: &Simple, text: &Bytes, place: Place) -> Flow {
        self.line = simple.line;
        let substitutions = self.substitutions;
        let words = self.fields(&simple.words)?;
        if words.is_empty() {
            return self.only_assignments(simple, substitutions);
        }
        let mut assignments = Vec::with_capacity(simple.assignments.len());
        for (name, value) in &simple.assignments {
            assignments.push((name.clone(), self.single(value)?));
        }
        if self.options.trace {
            self.show(&assignments, &words);
        }
        let function = self.functions.get(&words[0]).cloned();
        let builtin = builtins::find(&words[0]);
        if function.is_none() && builtin.is_none() {
            return self.program(simple, words, assignments, text, place);
        }
        let saved = match self.redirect(&simple.redirects)? {
            Ok(saved) => saved,
            Err(status) => return Ok(status),
        };
        if words[0] == b"exec" && words.len() == 1 {
            saved.keep();
            return self.assign_all(assignments).map(|()| 0);
        }
        let kept = assignments
            .iter()
            .map(|(name, _)| self.variables.save(name))
            .collect();
        let flow = self
            .assign_all(assignments)
            .and_then(|()| match (function, builtin) {
                (Some(body), _) => self.call(&body, words),
                (None, Some(builtin)) => (builtin.run)(self, &words),
                (None, None) => Ok(NOT_FOUND),
            });
        self.variables.restore(kept);
        saved.undo();
        flow
    }

    /// Without a command the status is that of the last command substitution, or 0.
    fn only_assignments(&mut self, simple: &Simple, substitutions: u64) -> Flow {
        for (name, word) in &simple.assignments {
            let value = self.single(word)?;
            if self.options.trace {
                self.show(&[(name.clone(), value.clone())], &[]);
            }
            self.assign(name, value)?;
        }
        match self.redirect(&simple.redirects)? {
            Ok(saved) => saved.undo(),
            Err(status) => return Ok(status),
        }
        Ok(if self.substitutions == substitutions {
            0
        } else {
            self.status
        })
    }

    fn assign_all(&mut self, assignments: Vec<(Bytes, Bytes)>) -> Result<(), Unwind> {
        for (name, value) in assignments {
            self.assign(&name, value)?;
            self.variables.attributes(&name).exported = true;
        }
        Ok(())
    }

    /// Shows a command that is about to run (`set -x`).
    fn show(&self, assignments: &[(Bytes, Bytes)], words: &[Bytes]) {
        let assigned = assignments
            .iter()
            .map(|(name, value)| [name, b"=".as_slice(), &quote(value)].concat());
        let all: Vec<Bytes> = assigned
            .chain(words.iter().map(|word| quote(word)))
            .collect();
        errln!("+ {}", String::from_utf8_lossy(&all.join(&b' ')));
    }

    /// Runs a function.
    fn call(&mut self, body: &super::ast::Command, mut words: Vec<Bytes>) -> Flow {
        if self.calls >= MAX_CALLS {
            return Err(self.fail(&format!(
                "{}: functions call each other more than {MAX_CALLS} deep",
                words[0].escape_ascii()
            )));
        }
        words.remove(0);
        let positional = std::mem::replace(&mut self.positional, words);
        let loops = std::mem::take(&mut self.loops);
        self.calls += 1;
        self.variables.enter();
        let flow = self.command(body, &Bytes::new(), Place::Shell);
        self.variables.leave();
        self.calls -= 1;
        self.loops = loops;
        self.positional = positional;
        match flow {
            Err(Unwind::Return(status)) => Ok(status),
            other => other,
        }
    }

    fn program(
        &mut self,
        simple: &Simple,
        words: Vec<Bytes>,
        assignments: Vec<(Bytes, Bytes)>,
        text: &Bytes,
        place: Place,
    ) -> Flow {
        let run = |shell: &mut Self| -> Flow {
            match shell.redirect(&simple.redirects)? {
                Ok(saved) => saved.keep(),
                Err(status) => return Ok(status),
            }
            shell.assign_all(assignments)?;
            shell.become_program(&words)
        };
        if place == Place::Own {
            return run(self);
        }
        let id = self.jobs.add(text.clone());
        self.start(id, Ground::Fore, |shell| {
            let flow = run(shell);
            shell.end(flow)
        })?;
        self.finish(id, Ground::Fore)
    }

    /// Replaces this process by the program that `words` name; returns only on failure.
    pub fn become_program(&mut self, words: &[Bytes]) -> Flow {
        let args: Vec<OsString> = words.iter().map(|word| os(word)).collect();
        let environment = self.variables.environment();
        let mut refused: Option<(OsString, io::Error)> = None;
        for path in self.candidates(&words[0]) {
            let why = match process::exec(&path, &args, &environment) {
                Err(why) => why,
                Ok(never) => match never {},
            };
            match why.raw_os_error() {
                Some(libc::ENOEXEC) => return self.run_script(path, words),
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                _ => refused = refused.or(Some((path, why))),
            }
        }
        let name = String::from_utf8_lossy(&words[0]);
        match refused {
            Some((path, why)) => {
                let is_directory = fs::metadata(&path).is_ok_and(|data| data.is_dir());
                let why = if is_directory {
                    "is a directory".to_string()
                } else {
                    cause(&why)
                };
                self.complain(&format!("{name}: {why}"));
                Ok(NOT_EXECUTABLE)
            }
            None => {
                self.complain(&format!("{name}: not found"));
                Ok(NOT_FOUND)
            }
        }
    }

    /// The paths that a command's name may mean, in order.
    pub fn candidates(&self, name: &[u8]) -> Vec<OsString> {
        if name.contains(&b'/') {
            return vec![os(name)];
        }
        if name.is_empty() {
            return Vec::new();
        }
        let path = self.variables.get(b"PATH").unwrap_or_default();
        path.split(|&byte| byte == b':')
            .map(|directory| match directory {
                b"" => OsString::from_vec([b"./", name].concat()),
                _ => OsString::from_vec([directory, b"/", name].concat()),
            })
            .collect()
    }

    /// Runs an executable text file that names no interpreter.
    fn run_script(&mut self, path: OsString, words: &[Bytes]) -> Flow {
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(why) => {
                self.complain(&format!("{}: {}", path.display(), cause(&why)));
                return Ok(NOT_EXECUTABLE);
            }
        };
        if text.contains(&0) {
            self.complain(&format!(
                "{}: is no program for this machine",
                path.display()
            ));
            return Ok(NOT_EXECUTABLE);
        }
        self.name = path.as_bytes().to_vec();
        self.positional = words[1..].to_vec();
        self.functions.clear();
        self.run_text(&text)
    }
}
