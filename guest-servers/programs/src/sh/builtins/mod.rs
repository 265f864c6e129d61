//! Commands that run in the shell itself: because they change it, or to save a process.

mod flow;
mod jobs;
mod limits;
mod lookup;
mod read;
mod vars;

use std::ffi::OsString;

use super::ast::Bytes;
use super::state::{Flow, MISUSE, Shell};
use crate::text::os;
use crate::{cx, table};

/// A builtin command.
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Runs it on its words, the name first.
    pub run: fn(&mut Shell, &[Bytes]) -> Flow,
}

/// All builtins by name.
static BUILTINS: [Builtin; 34] = [
    Builtin {
        name: ".",
        run: flow::source,
    },
    Builtin {
        name: ":",
        run: |_, _| Ok(0),
    },
    Builtin {
        name: "[",
        run: utility,
    },
    Builtin {
        name: "bg",
        run: jobs::bg,
    },
    Builtin {
        name: "break",
        run: flow::break_loop,
    },
    Builtin {
        name: "cd",
        run: vars::cd,
    },
    Builtin {
        name: "command",
        run: lookup::command,
    },
    Builtin {
        name: "continue",
        run: flow::continue_loop,
    },
    Builtin {
        name: "echo",
        run: utility,
    },
    Builtin {
        name: "eval",
        run: flow::eval,
    },
    Builtin {
        name: "exec",
        run: flow::exec,
    },
    Builtin {
        name: "exit",
        run: flow::exit,
    },
    Builtin {
        name: "export",
        run: vars::export,
    },
    Builtin {
        name: "false",
        run: |_, _| Ok(1),
    },
    Builtin {
        name: "fg",
        run: jobs::fg,
    },
    Builtin {
        name: "jobs",
        run: jobs::jobs,
    },
    Builtin {
        name: "kill",
        run: jobs::kill,
    },
    Builtin {
        name: "local",
        run: vars::local,
    },
    Builtin {
        name: "printf",
        run: utility,
    },
    Builtin {
        name: "pwd",
        run: utility,
    },
    Builtin {
        name: "read",
        run: read::read,
    },
    Builtin {
        name: "readonly",
        run: vars::readonly,
    },
    Builtin {
        name: "return",
        run: flow::return_call,
    },
    Builtin {
        name: "set",
        run: vars::set,
    },
    Builtin {
        name: "shift",
        run: vars::shift,
    },
    Builtin {
        name: "test",
        run: utility,
    },
    Builtin {
        name: "trap",
        run: flow::trap,
    },
    Builtin {
        name: "true",
        run: |_, _| Ok(0),
    },
    Builtin {
        name: "type",
        run: lookup::type_of,
    },
    Builtin {
        name: "ulimit",
        run: limits::ulimit,
    },
    Builtin {
        name: "umask",
        run: vars::umask,
    },
    Builtin {
        name: "unset",
        run: vars::unset,
    },
    Builtin {
        name: "wait",
        run: jobs::wait,
    },
    Builtin {
        name: "source",
        run: flow::source,
    },
];

/// The builtin called `name`.
pub fn find(name: &[u8]) -> Option<&'static Builtin> {
    BUILTINS
        .iter()
        .find(|builtin| builtin.name.as_bytes() == name)
}

/// Runs the utility of the same name without a process of its own.
fn utility(_: &mut Shell, words: &[Bytes]) -> Flow {
    let args: Vec<OsString> = words[1..].iter().map(|word| os(word)).collect();
    Ok(table::find(&words[0]).map_or(super::run::NOT_FOUND, |tool| cx::invoke(tool, &args)))
}

/// Reports that a builtin cannot do what it was asked.
fn misuse(shell: &Shell, words: &[Bytes], message: &str) -> Flow {
    shell.complain(&format!("{}: {message}", words[0].escape_ascii()));
    Ok(MISUSE)
}

/// A word as a number.
fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
