//! What a utility is given, and how its end is reported.
//!
//! A utility is `fn(&mut Cx) -> Outcome`. It writes to `cx.out`, complains about one operand
//! with [`Cx::warn`] and goes on, or gives up with a [`Fail`]. Every message reads
//! `name: what: cause`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use crate::opts::{self, Opts};
use crate::sys::fd::Fd;
use crate::table::Tool;

/// Buffered standard output. Large, because a system call costs more than a copy.
pub type Out = BufWriter<Fd>;

/// How a utility ends: its exit status, or why it could not go on.
pub type Outcome = Result<i32, Fail>;

/// Exit status for a command line that makes no sense.
pub const USAGE: i32 = 2;

/// Standard output of this process, buffered.
pub fn stdout() -> Out {
    BufWriter::with_capacity(32 * 1024, Fd::STDOUT)
}

/// Why a utility gave up.
#[derive(Debug)]
pub enum Fail {
    /// Standard output cannot be written.
    Output(io::Error),
    /// The command line makes no sense; the synopsis is printed too.
    Usage(String),
    /// Anything else, with the exit status that it leads to.
    Message { status: i32, text: String },
}

impl Fail {
    /// A failure with exit status 1.
    pub fn new(text: impl Into<String>) -> Self {
        Self::with_status(1, text)
    }

    /// A failure with the given exit status.
    pub fn with_status(status: i32, text: impl Into<String>) -> Self {
        Self::Message {
            status,
            text: text.into(),
        }
    }

    /// A command line that makes no sense.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// `what: cause` with exit status 1.
    pub fn on(what: impl AsRef<OsStr>, why: &io::Error) -> Self {
        Self::new(format!("{}: {}", what.as_ref().display(), cause(why)))
    }
}

/// A bare I/O error in a utility can only come from writing its output: everything else is
/// given a name by [`Fail::on`].
impl From<io::Error> for Fail {
    fn from(why: io::Error) -> Self {
        Self::Output(why)
    }
}

/// The error's text without Rust's ` (os error N)`.
pub fn cause(why: &io::Error) -> String {
    let text = why.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// What a utility works with.
pub struct Cx<'a> {
    /// The name it runs under, as messages show it.
    pub name: &'static str,
    /// Its arguments, without the name.
    pub args: &'a [OsString],
    /// Standard output; flushed when the utility ends.
    pub out: Out,
    status: i32,
}

impl Cx<'_> {
    /// Parses the arguments; `spec` as in [`opts::parse`].
    pub fn options(&self, spec: &str) -> Result<Opts, Fail> {
        opts::parse(self.args, spec).map_err(Fail::Usage)
    }

    /// Reports `what: cause`; the utility goes on and ends with a status of at least 1.
    pub fn warn(&mut self, what: impl AsRef<OsStr>, why: &io::Error) {
        self.complain(&format!("{}: {}", what.as_ref().display(), cause(why)));
    }

    /// Reports `message` likewise.
    pub fn complain(&mut self, message: &str) {
        // Output that was produced first appears first; its failure is reported at the end.
        let _ = self.out.flush();
        errln!("{}: {message}", self.name);
        self.raise(1);
    }

    /// Makes the exit status at least `status`.
    pub fn raise(&mut self, status: i32) {
        self.status = self.status.max(status);
    }

    /// The exit status so far.
    pub fn status(&self) -> i32 {
        self.status
    }

    /// Runs `action` on every operand, reporting a failure with the operand's name.
    pub fn each(
        &mut self,
        operands: &[OsString],
        mut action: impl FnMut(&mut Self, &OsStr) -> io::Result<()>,
    ) -> Outcome {
        for operand in operands {
            if let Err(why) = action(self, operand) {
                self.warn(operand, &why);
            }
        }
        Ok(self.status)
    }
}

/// Opens an input operand; `-` is standard input.
pub fn open(name: &OsStr) -> io::Result<Box<dyn Read>> {
    if name == "-" {
        return Ok(Box::new(Fd::STDIN));
    }
    Ok(Box::new(File::open(name)?))
}

/// The operands, or standard input when there is none.
pub fn inputs(operands: &[OsString]) -> Vec<OsString> {
    if operands.is_empty() {
        vec!["-".into()]
    } else {
        operands.to_vec()
    }
}

/// Runs `tool` in this process on `args` (without the name) and returns its exit status.
pub fn invoke(tool: &'static Tool, args: &[OsString]) -> i32 {
    let mut cx = Cx {
        name: tool.name,
        args,
        out: stdout(),
        status: 0,
    };
    if args.len() == 1 && args[0] == "--help" && tool.answers_help() {
        println!("usage: {}\n{}", tool.synopsis, tool.summary);
        return 0;
    }
    let outcome = (tool.run)(&mut cx);
    let flushed = cx.out.flush();
    // What could not be written must not be tried again when the buffer is dropped.
    let _ = cx.out.into_parts();
    match outcome.and_then(|status| flushed.map(|()| status).map_err(Fail::Output)) {
        Ok(status) => status,
        Err(fail) => report(tool, fail),
    }
}

fn report(tool: &Tool, fail: Fail) -> i32 {
    match fail {
        Fail::Output(why) => {
            errln!("{}: standard output: {}", tool.name, cause(&why));
            1
        }
        Fail::Usage(text) => {
            errln!("{}: {text}\nusage: {}", tool.name, tool.synopsis);
            USAGE
        }
        Fail::Message { status, text } => {
            errln!("{}: {text}", tool.name);
            status
        }
    }
}
