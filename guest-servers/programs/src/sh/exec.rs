//! Runs lists, pipelines and control structures.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

use super::ast::{
    Bytes, Command, Compound, Connector, Item, List, Pipeline, Redirect, Verdict, Word,
};
use super::jobs::JobId;
use super::pattern;
use super::state::{Flow, Shell, Unwind};
use super::wait::Ground;
use crate::cx::cause;
use crate::sys::fd::{self, Fd};
use crate::sys::{process, signal};

/// Whether the process that runs a command is there for it alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the shell: a program needs a new process.
    Shell,
    /// It is the command's own: a program may replace it.
    Own,
}

impl Shell {
    /// Runs a list and returns the last status.
    pub fn list(&mut self, list: &List) -> Flow {
        for item in &list.items {
            self.status = self.item(item)?;
            self.check_signals()?;
        }
        Ok(self.status)
    }

    /// A list whose status is asked for: `-e` has no effect in it.
    fn condition(&mut self, list: &List) -> Result<Verdict, Unwind> {
        self.conditions += 1;
        let status = self.list(list);
        self.conditions -= 1;
        status.map(Verdict::of)
    }

    /// Runs what caught signals ask for.
    pub fn check_signals(&mut self) -> Result<(), Unwind> {
        if !signal::any() {
            return Ok(());
        }
        let trapped: Vec<(i32, Bytes)> = self
            .traps
            .iter()
            .map(|(number, command)| (*number, command.clone()))
            .collect();
        for (number, command) in trapped {
            if number != 0 && signal::take(number) {
                let status = self.status;
                self.run_text(&command)?;
                self.status = status;
            }
        }
        if self.options.interactive && signal::take(libc::SIGINT) {
            self.status = 128 + libc::SIGINT;
            return Err(Unwind::Interrupted);
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Flow {
        if item.background {
            return self.background(item);
        }
        self.chain(item)
    }

    /// Pipelines joined by `&&` and `||`.
    fn chain(&mut self, item: &Item) -> Flow {
        let rest = item
            .rest
            .iter()
            .map(|(connector, pipeline)| (Some(connector), pipeline));
        for (index, (connector, pipeline)) in
            std::iter::once((None, &item.first)).chain(rest).enumerate()
        {
            let skipped = match connector {
                None => false,
                Some(Connector::And) => self.status != 0,
                Some(Connector::Or) => self.status == 0,
            };
            if skipped {
                continue;
            }
            // Only the last pipeline of a chain can make `-e` end the shell.
            let guarded = usize::from(index < item.rest.len());
            self.conditions += guarded;
            let status = self.checked(pipeline, &item.text);
            self.conditions -= guarded;
            self.status = status?;
        }
        Ok(self.status)
    }

    /// A pipeline whose failure ends the shell under `-e`.
    fn checked(&mut self, pipeline: &Pipeline, text: &Bytes) -> Flow {
        let status = self.pipeline(pipeline, text)?;
        let fatal = self.options.exit_on_error && self.conditions == 0 && !pipeline.negated;
        if status != 0 && fatal {
            return Err(Unwind::Exit(status));
        }
        Ok(status)
    }

    fn background(&mut self, item: &Item) -> Flow {
        let id = self.jobs.add(item.text.clone());
        let plain = item.rest.is_empty() && !item.first.negated;
        if plain && item.first.commands.len() > 1 {
            self.launch(&item.first.commands, id, Ground::Back)?;
        } else {
            self.start(id, Ground::Back, |shell| {
                shell.without_input();
                let flow = match item.first.commands.as_slice() {
                    [command] if plain => shell.command(command, &item.text, Place::Own),
                    _ => shell.chain(item),
                };
                shell.end(flow)
            })?;
        }
        self.announce_background(id);
        Ok(0)
    }

    /// A background process of a shell without job control must not eat the script's input.
    fn without_input(&self) {
        if process::group() == self.group_at_start
            && let Ok(null) = File::open("/dev/null")
        {
            // If it cannot be placed, the input stays what it was.
            let _ = fd::place(null, Fd::STDIN);
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, text: &Bytes) -> Flow {
        let status = match pipeline.commands.as_slice() {
            [command] => self.command(command, text, Place::Shell)?,
            commands => {
                let id = self.jobs.add(text.clone());
                self.launch(commands, id, Ground::Fore)?;
                self.finish(id, Ground::Fore)?
            }
        };
        Ok(if pipeline.negated {
            i32::from(status == 0)
        } else {
            status
        })
    }

    /// Starts the processes of a pipeline.
    fn launch(&mut self, commands: &[Command], id: JobId, ground: Ground) -> Result<(), Unwind> {
        let mut input: Option<OwnedFd> = None;
        for (index, command) in commands.iter().enumerate() {
            let mut ends = match index + 1 < commands.len() {
                true => {
                    Some(fd::pipe().map_err(|why| self.fail(&format!("pipe: {}", cause(&why))))?)
                }
                false => None,
            };
            let (next, output) = match ends.take() {
                Some((read, write)) => (Some(read), Some(write)),
                None => (None, None),
            };
            let places = (
                input.as_ref().map(AsRawFd::as_raw_fd),
                output.as_ref().map(AsRawFd::as_raw_fd),
            );
            self.start(id, ground, |shell| {
                if ground == Ground::Back && places.0.is_none() {
                    shell.without_input();
                }
                // Both are open and exec closes the originals, so this cannot fail.
                let _ = places.0.map(|read| Fd::STDIN.replace_with(Fd(read)));
                let _ = places.1.map(|write| Fd::STDOUT.replace_with(Fd(write)));
                let flow = shell.command(command, &Bytes::new(), Place::Own);
                shell.end(flow)
            })?;
            input = next;
        }
        Ok(())
    }

    /// What `list` writes to standard output.
    pub fn capture(&mut self, list: &List) -> Result<Bytes, Unwind> {
        let (read, write) =
            fd::pipe().map_err(|why| self.fail(&format!("pipe: {}", cause(&why))))?;
        let id = self.hidden_job();
        let write_number = Fd(write.as_raw_fd());
        self.start(id, Ground::Inside, |shell| {
            // Both are open, so this cannot fail.
            let _ = Fd::STDOUT.replace_with(write_number);
            let flow = match list.items.as_slice() {
                [
                    Item {
                        first,
                        rest,
                        background: false,
                        text,
                    },
                ] if rest.is_empty() && !first.negated && first.commands.len() == 1 => {
                    shell.command(&first.commands[0], text, Place::Own)
                }
                _ => shell.list(list),
            };
            shell.end(flow)
        })?;
        drop(write);
        let mut output = Bytes::new();
        let mut reader = File::from(read);
        let result = reader.read_to_end(&mut output);
        drop(reader);
        self.status = self.finish(id, Ground::Inside)?;
        self.substitutions += 1;
        result.map_err(|why| self.fail(&format!("pipe: {}", cause(&why))))?;
        Ok(output)
    }

    /// The exit status of a process whose commands ended with `flow`; runs its exit trap.
    pub fn end(&mut self, flow: Flow) -> i32 {
        let mut status = match flow {
            Ok(status) | Err(Unwind::Exit(status) | Unwind::Return(status)) => status,
            Err(Unwind::Failed(status)) => status,
            Err(Unwind::Break(_) | Unwind::Continue(_)) => self.status,
            Err(Unwind::Interrupted) => 128 + libc::SIGINT,
        };
        if let Some(command) = self.traps.remove(&0) {
            self.status = status;
            if let Err(Unwind::Exit(other)) = self.run_text(&command) {
                status = other;
            }
        }
        status
    }

    /// Runs one command of a pipeline.
    pub fn command(&mut self, command: &Command, text: &Bytes, place: Place) -> Flow {
        match command {
            Command::Simple(simple) => self.simple(simple, text, place),
            Command::Compound(Compound::Subshell(list), redirects) => {
                self.subshell(list, redirects, text, place)
            }
            Command::Compound(compound, redirects) if redirects.is_empty() => {
                self.compound(compound)
            }
            Command::Compound(compound, redirects) => match self.redirect(redirects)? {
                Ok(saved) => {
                    let flow = self.compound(compound);
                    saved.undo();
                    flow
                }
                Err(status) => Ok(status),
            },
            Command::Function(name, body) => {
                self.functions.insert(name.clone(), body.clone());
                Ok(0)
            }
        }
    }

    fn subshell(
        &mut self,
        list: &List,
        redirects: &[Redirect],
        text: &Bytes,
        place: Place,
    ) -> Flow {
        let run = |shell: &mut Self| match shell.redirect(redirects)? {
            Ok(saved) => {
                saved.keep();
                shell.list(list)
            }
            Err(status) => Ok(status),
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

    fn compound(&mut self, compound: &Compound) -> Flow {
        match compound {
            Compound::Group(list) | Compound::Subshell(list) => self.list(list),
            Compound::If(arms, otherwise) => {
                for (condition, body) in arms {
                    if self.condition(condition)? == Verdict::True {
                        return self.list(body);
                    }
                }
                self.status = 0;
                otherwise.as_ref().map_or(Ok(0), |list| self.list(list))
            }
            Compound::Loop {
                goes_on,
                condition,
                body,
            } => self.in_loop(|shell| {
                if shell.condition(condition)? != *goes_on {
                    return Ok(None);
                }
                shell.list(body).map(Some)
            }),
            Compound::For(name, words, body) => self.for_each(name, words.as_deref(), body),
            Compound::Case(word, arms) => self.case(word, arms),
        }
    }

    /// Takes turns until one has nothing to do or control leaves. The status is the last
    /// turn's.
    fn in_loop(&mut self, mut turn: impl FnMut(&mut Self) -> Result<Option<i32>, Unwind>) -> Flow {
        self.loops += 1;
        let mut status = 0;
        let flow = loop {
            match turn(self) {
                Ok(Some(last)) => status = last,
                Ok(None) => break Ok(status),
                Err(Unwind::Break(1)) => break Ok(0),
                Err(Unwind::Continue(1)) => status = 0,
                Err(Unwind::Break(levels)) => break Err(Unwind::Break(levels - 1)),
                Err(Unwind::Continue(levels)) => break Err(Unwind::Continue(levels - 1)),
                Err(other) => break Err(other),
            }
        };
        self.loops = self.loops.saturating_sub(1);
        flow
    }

    fn for_each(&mut self, name: &[u8], words: Option<&[Word]>, body: &List) -> Flow {
        let values = match words {
            Some(words) => self.fields(words)?,
            None => self.positional.clone(),
        };
        let mut values = values.into_iter();
        self.in_loop(|shell| {
            let Some(value) = values.next() else {
                return Ok(None);
            };
            shell.assign(name, value)?;
            shell.list(body).map(Some)
        })
    }

    fn case(&mut self, word: &Word, arms: &[(Vec<Word>, List)]) -> Flow {
        let text = self.single(word)?;
        for (patterns, list) in arms {
            for candidate in patterns {
                if pattern::matches(&self.pattern(candidate)?, &text) {
                    self.status = 0;
                    return self.list(list);
                }
            }
        }
        Ok(0)
    }
}
