//! How a program's console is connected to the test: by a pseudo-terminal or by pipes.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Which kind of console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// As for a person: standard input and output are a terminal of 80 columns and 24 rows.
    Terminal,
    /// As in a script: standard input is empty, standard output a pipe.
    Script,
}

/// A started program with the test's ends of its streams.
pub struct Wired {
    /// The program.
    pub child: Child,
    /// What is written here is typed at it; absent in a script.
    pub keyboard: Option<File>,
    /// Its standard output.
    pub screen: Box<dyn Read + Send>,
    /// Its standard error.
    pub errors: Box<dyn Read + Send>,
}

impl Wiring {
    /// Starts a command with its streams wired.
    pub fn start(self, mut command: Command) -> Result<Wired> {
        command.stderr(Stdio::piped());
        match self {
            Self::Terminal => on_terminal(command),
            Self::Script => on_pipes(command),
        }
    }
}

fn on_terminal(mut command: Command) -> Result<Wired> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .context("no pseudo-terminal: is /dev/ptmx there?")?;
    grantpt(&master)?;
    unlockpt(&master)?;
    tcsetwinsize(
        &master,
        Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    let slave = open_slave(&master)?;
    command.stdin(slave.try_clone()?).stdout(slave);
    let mut child = spawn(&mut command)?;
    let errors = child.stderr.take().context("standard error")?;
    let master = File::from(master);
    // The command still holds the other side: as long as it does, its end would not be seen here.
    drop(command);
    Ok(Wired {
        child,
        screen: Box::new(master.try_clone()?),
        keyboard: Some(master),
        errors: Box::new(errors),
    })
}

fn open_slave(master: &OwnedFd) -> Result<File> {
    let name = ptsname(master, Vec::new())?;
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits() as i32)
        .open(path)
        .with_context(|| path.display().to_string())
}

fn on_pipes(mut command: Command) -> Result<Wired> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let screen = child.stdout.take().context("standard output")?;
    let errors = child.stderr.take().context("standard error")?;
    Ok(Wired {
        child,
        keyboard: None,
        screen: Box::new(screen),
        errors: Box::new(errors),
    })
}

fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().display().to_string();
    command
        .spawn()
        .with_context(|| format!("cannot run {program}: run scripts/build first"))
}
