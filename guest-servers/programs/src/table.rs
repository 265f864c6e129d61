//! Every program: its name, its code, and how it is called.

use crate::cx::{Cx, Outcome};
use crate::{sh, util};

/// A program.
pub struct Tool {
    /// The name it is found by.
    pub name: &'static str,
    /// How it is called.
    pub synopsis: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its code.
    pub run: fn(&mut Cx) -> Outcome,
}

impl Tool {
    /// Whether `--help` asks for help; to some programs it is an argument like any other.
    pub fn answers_help(&self) -> bool {
        !matches!(
            self.name,
            "echo" | "test" | "[" | "true" | "false" | "yes" | "printf"
        )
    }
}

/// The program called `name`.
pub fn find(name: &[u8]) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name.as_bytes() == name)
}

const fn tool(
    name: &'static str,
    run: fn(&mut Cx) -> Outcome,
    synopsis: &'static str,
    summary: &'static str,
) -> Tool {
    Tool {
        name,
        synopsis,
        summary,
        run,
    }
}

/// All programs by name.
pub static TOOLS: &[Tool] = &[
    tool(
        "[",
        util::test::bracket,
        "[ EXPRESSION ]",
        "test a condition",
    ),
    tool(
        "basename",
        util::simple::basename,
        "basename PATH [SUFFIX]",
        "last part of a path",
    ),
    tool(
        "cat",
        util::cat::run,
        "cat [-n] [FILE]...",
        "files one after the other",
    ),
    tool("clear", util::simple::clear, "clear", "clear the screen"),
    tool(
        "dirname",
        util::simple::dirname,
        "dirname PATH...",
        "all but the last part of a path",
    ),
    tool(
        "echo",
        util::echo::run,
        "echo [-neE] [TEXT]...",
        "print text",
    ),
    tool("false", util::simple::false_, "false", "fail"),
    tool(
        "kill",
        util::kill::run,
        "kill [-SIGNAL] PID... | kill -l",
        "send signals",
    ),
    tool(
        "nproc",
        util::simple::nproc,
        "nproc",
        "number of processors",
    ),
    tool(
        "printf",
        util::printf::run,
        "printf FORMAT [ARGUMENT]...",
        "print by a format",
    ),
    tool("pwd", util::simple::pwd, "pwd", "working directory"),
    tool(
        "readlink",
        util::simple::readlink,
        "readlink [-f] PATH...",
        "target of a symbolic link",
    ),
    tool(
        "seq",
        util::seq::run,
        "seq [-w] [-s TEXT] [FIRST [STEP]] LAST",
        "numbers in order",
    ),
    tool(
        "sh",
        sh::run,
        "sh [-efuxi] [-c COMMAND [NAME [ARGUMENT]...] | SCRIPT [ARGUMENT]... | -s]",
        "the shell",
    ),
    tool("sleep", util::simple::sleep, "sleep SECONDS...", "wait"),
    tool(
        "sync",
        util::simple::sync,
        "sync",
        "write buffered data to the disks",
    ),
    tool(
        "tee",
        util::simple::tee,
        "tee [-a] [FILE]...",
        "copy input to output and to files",
    ),
    tool(
        "test",
        util::test::run,
        "test EXPRESSION",
        "test a condition",
    ),
    tool("true", util::simple::true_, "true", "succeed"),
    tool("tty", util::simple::tty, "tty", "name of the terminal"),
    tool(
        "yes",
        util::simple::yes,
        "yes [TEXT]...",
        "print a line for ever",
    ),
];
