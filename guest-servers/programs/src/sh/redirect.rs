//! Redirections: applied in order, and undone for commands that run in the shell itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use super::ast::{Bytes, Redirect, Target, Word};
use super::state::{FAILURE, Shell, Unwind};
use super::wait::Ground;
use crate::cx::cause;
use crate::sys::fd::{self, Fd};
use crate::text::os;

/// What descriptors were before a command's redirections; undone in reverse.
#[derive(Default)]
pub struct Saved(Vec<(Fd, Option<OwnedFd>)>);

/// Why a redirection failed.
enum Trouble {
    /// The word did not expand.
    Expansion(Unwind),
    /// The system refused; this text names the file and the cause.
    System(String),
}

impl From<Unwind> for Trouble {
    fn from(unwind: Unwind) -> Self {
        Self::Expansion(unwind)
    }
}

impl Shell {
    /// Applies `redirects` and keeps what was there. On failure everything is undone and the
    /// cause reported: the inner error is the status to go on with.
    pub fn redirect(&mut self, redirects: &[Redirect]) -> Result<Result<Saved, i32>, Unwind> {
        let mut saved = Saved::default();
        for redirect in redirects {
            // One that was not open is closed again.
            saved.0.push((Fd(redirect.fd), Fd(redirect.fd).save().ok()));
            match self.redirect_one(redirect) {
                Ok(()) => {}
                Err(trouble) => {
                    saved.undo();
                    return match trouble {
                        Trouble::Expansion(unwind) => Err(unwind),
                        Trouble::System(text) => {
                            self.complain(&text);
                            Ok(Err(FAILURE))
                        }
                    };
                }
            }
        }
        Ok(Ok(saved))
    }

    fn redirect_one(&mut self, redirect: &Redirect) -> Result<(), Trouble> {
        let mut options = OpenOptions::new();
        let word = match &redirect.target {
            Target::Read(word) => {
                options.read(true);
                word
            }
            Target::Write(word) => {
                options.write(true).create(true).truncate(true);
                word
            }
            Target::Append(word) => {
                options.append(true).create(true);
                word
            }
            Target::ReadWrite(word) => {
                options.read(true).write(true).create(true).truncate(false);
                word
            }
            Target::Duplicate(word) => return self.duplicate(redirect.fd, word),
            Target::Here(body) => {
                let text = match body.get() {
                    Some(word) => self.single(word)?,
                    None => Bytes::new(),
                };
                return self.here_document(redirect.fd, text);
            }
        };
        let name = os(&self.single(word)?);
        let file = options
            .open(&name)
            .map_err(|why| system(&name.to_string_lossy(), &why))?;
        place(file, redirect.fd)
    }

    /// `<&N`, `>&N` and `>&-`.
    fn duplicate(&mut self, target: i32, word: &Word) -> Result<(), Trouble> {
        let text = self.single(word)?;
        if text == b"-" {
            Fd(target).close();
            return Ok(());
        }
        let name = String::from_utf8_lossy(&text).into_owned();
        let source = name
            .parse()
            .map_err(|_| Trouble::System(format!("{name}: is no descriptor's number")))?;
        Fd(target)
            .replace_with(Fd(source))
            .map_err(|why| system(&name, &why))
    }

    /// Makes `text` readable at descriptor `target`: through a pipe if it fits into one
    /// without waiting, else from a process that writes it.
    fn here_document(&mut self, target: i32, text: Bytes) -> Result<(), Trouble> {
        /// A pipe takes this much at once on every system.
        const PIPE_BUFFER: usize = 4096;
        let (read, write) = fd::pipe().map_err(|why| system("here-document", &why))?;
        let mut writer = File::from(write);
        if text.len() <= PIPE_BUFFER {
            writer
                .write_all(&text)
                .map_err(|why| system("here-document", &why))?;
        } else {
            let reader = read.as_raw_fd();
            let id = self.hidden_job();
            self.start(id, Ground::Inside, |_| {
                Fd(reader).close();
                i32::from(writer.write_all(&text).is_err())
            })?;
            // Nobody waits for the writer; it ends with the last reader.
            self.jobs.remove(id);
        }
        place(read, target)
    }
}

fn system(name: &str, why: &io::Error) -> Trouble {
    Trouble::System(format!("{name}: {}", cause(why)))
}

fn place(file: impl Into<OwnedFd>, target: i32) -> Result<(), Trouble> {
    fd::place(file, Fd(target)).map_err(|why| system(&target.to_string(), &why))
}

impl Saved {
    /// Puts back what was there before.
    pub fn undo(self) {
        for (fd, old) in self.0.into_iter().rev() {
            match old {
                // The saved copy is open, so this cannot fail.
                Some(old) => drop(fd.replace_with(Fd(old.as_raw_fd()))),
                None => fd.close(),
            }
        }
    }

    /// Leaves the redirections in effect.
    pub fn keep(self) {}
}

/// Reads one line from `fd` without taking more than it from what children will read:
/// a terminal gives one line at a time, a file is sought back, a pipe is read byte by byte.
/// `None` at the end.
pub fn read_line(mut fd: Fd) -> io::Result<Option<Bytes>> {
    use std::io::Read;
    let mut line = Bytes::new();
    let mut buffer = [0; 1024];
    let seekable = fd.stream_position().is_ok();
    let step = if seekable || fd.is_terminal() {
        buffer.len()
    } else {
        1
    };
    loop {
        let count = fd.read(&mut buffer[..step])?;
        let read = &buffer[..count];
        if count == 0 {
            return Ok((!line.is_empty()).then_some(line));
        }
        let Some(end) = read.iter().position(|&byte| byte == b'\n') else {
            line.extend_from_slice(read);
            continue;
        };
        line.extend_from_slice(&read[..=end]);
        if seekable {
            let back = (count - end - 1) as i64;
            fd.seek(SeekFrom::Current(-back))?;
        } else {
            // A terminal that gave more than a line (pasted in raw mode) keeps it in order.
            line.extend_from_slice(&read[end + 1..]);
        }
        return Ok(Some(line));
    }
}
