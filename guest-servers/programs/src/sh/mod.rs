//! `sh`: the command language of POSIX, without aliases and line editing.
//!
//! A text goes through the pure [`parser`] (with [`lexer`], [`dollar`], [`compound`],
//! [`simple`]) to an [`ast`]; [`expand`] turns words into fields; [`exec`] and [`run`] run
//! commands, by fork and exec; [`wait`], [`jobs`] and [`terminal`] are job control; [`builtins`]
//! change the [`state`].

mod arith;
mod ast;
mod builtins;
mod compound;
mod dollar;
mod exec;
mod expand;
mod fields;
mod glob;
mod interactive;
mod jobs;
mod lexer;
mod parser;
mod pattern;
mod quote;
mod redirect;
mod run;
mod simple;
mod state;
mod terminal;
mod vars;
mod wait;

use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Fail, Outcome, cause};
use crate::sys::fd::Fd;
use ast::Bytes;
use parser::Parser;
use state::{Flow, MISUSE, Shell, Unwind};

pub use pattern::{matches as pattern_matches, named_class};

/// `sh [-efuxi] [-c COMMAND [NAME [ARGUMENT]...] | SCRIPT [ARGUMENT]... | -s]`
pub fn run(cx: &mut Cx) -> Outcome {
    let mut shell = Shell::new(cx.name.into());
    let mut rest = cx.args;
    let mut source = None;
    while let [first, tail @ ..] = rest {
        let letters = match first.as_bytes() {
            b"--" | b"-" => {
                rest = tail;
                break;
            }
            [b'-', letters @ ..] => letters,
            _ => break,
        };
        rest = tail;
        for &letter in letters {
            match (letter, shell.options.by_letter(letter)) {
                (_, Some(option)) => *option = true,
                // A login shell is like any other.
                (b'l', None) => {}
                (b'c' | b's', None) => source = Some(letter),
                (_, None) => {
                    return Err(Fail::usage(format!(
                        "-{}: unknown option",
                        char::from(letter)
                    )));
                }
            }
        }
    }
    let operands: Vec<Bytes> = rest.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    Ok(match (source, operands.split_first()) {
        (Some(b'c'), None) => return Err(Fail::usage("-c: needs a command")),
        (Some(b'c'), Some((command, operands))) => {
            if let Some((name, args)) = operands.split_first() {
                shell.name = name.clone();
                shell.positional = args.to_vec();
            }
            shell.only_text(command)
        }
        (None, Some((script, args))) => {
            shell.name = script.clone();
            shell.positional = args.to_vec();
            script_file(&mut shell)
        }
        _ => {
            shell.positional = operands;
            from_input(&mut shell)
        }
    })
}

/// Runs the script that `$0` names.
fn script_file(shell: &mut Shell) -> i32 {
    let path = crate::text::os(&shell.name);
    match fs::read(&path) {
        Ok(text) if text.contains(&0) => {
            errln!("sh: {}: is no script", path.display());
            run::NOT_EXECUTABLE
        }
        Ok(text) => shell.only_text(&text),
        Err(why) => {
            errln!("sh: {}: {}", path.display(), cause(&why));
            run::NOT_FOUND
        }
    }
}

/// Runs what standard input gives.
fn from_input(shell: &mut Shell) -> i32 {
    if shell.options.interactive || Fd::STDIN.is_terminal() {
        shell.converse()
    } else {
        let flow = shell.read_script();
        shell.end(flow)
    }
}

impl Shell {
    /// Runs `text` as all that this shell does.
    fn only_text(&mut self, text: &[u8]) -> i32 {
        let flow = self.run_text(text);
        self.end(flow)
    }

    /// Runs `text` line by line.
    fn run_text(&mut self, text: &[u8]) -> Flow {
        let mut parser = Parser::new(text);
        loop {
            match parser.next_line() {
                Ok(Some(list)) => drop(self.list(&list)?),
                Ok(None) => return Ok(self.status),
                Err(error) => {
                    errln!("{}: {error}", String::from_utf8_lossy(&self.name));
                    return Err(Unwind::Failed(MISUSE));
                }
            }
        }
    }
}
