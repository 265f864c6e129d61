//! Where the guest's console is: `--console stdio`, `pty` or `unix:PATH`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde::Deserialize;

use super::input::Input;
use super::out::{Buffered, Out};
use crate::control::Control;

/// Where the console is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Target {
    /// Standard input and output.
    #[default]
    Stdio,
    /// A pseudo-terminal whose name is printed.
    Pty,
    /// The first connection to a socket that is made at this path.
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("unix:")) {
            ("stdio", _) => Ok(Self::Stdio),
            ("pty", _) => Ok(Self::Pty),
            (_, Some(path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => Err(format!(
                "no console `{text}`: write stdio, pty or unix:PATH"
            )),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio => write!(f, "stdio"),
            Self::Pty => write!(f, "pty"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Target {
    /// The same, with a path that was relative to `folder`.
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            other => other,
        }
    }

    /// Opens both ends. A socket's are there when somebody has connected.
    pub fn open(&self, control: &Arc<Control>) -> io::Result<(Input, Buffered)> {
        match self {
            Self::Stdio => {
                let input = Input::open(io::stdin().as_fd(), control.clone())?;
                Ok((input, Buffered::new(Out::open(io::stdout().as_fd())?)))
            }
            Self::Pty => pty(control),
            Self::Unix(path) => unix(path, control),
        }
    }
}

/// The slave's end stays open here too, raw: so nobody hangs up when programs come and go, and output
/// waits for the next one.
fn pty(control: &Arc<Control>) -> io::Result<(Input, Buffered)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty())?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    eprintln!("vmm: the console is {}", name.to_string_lossy());
    both_ways(master, Some(slave), control)
}

fn unix(path: &Path, control: &Arc<Control>) -> io::Result<(Input, Buffered)> {
    let listener = UnixListener::bind(path)?;
    eprintln!(
        "vmm: waiting for a console's connection to {}",
        path.display()
    );
    let connection = listener.accept();
    // Nobody else can connect; a name that is gone already is no matter.
    let _ = std::fs::remove_file(path);
    both_ways(connection?.0.into(), None, control)
}

fn both_ways(
    stream: OwnedFd,
    keep: Option<OwnedFd>,
    control: &Arc<Control>,
) -> io::Result<(Input, Buffered)> {
    fcntl_setfl(&stream, OFlags::NONBLOCK)?;
    let input = Input::of(File::from(stream.try_clone()?), keep, control.clone());
    Ok((input, Buffered::new(Out::from_file(stream))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named() {
        assert_eq!("pty".parse(), Ok(Target::Pty));
        let socket: Target = "unix:c.sock".parse().unwrap();
        assert_eq!(
            socket.below(Path::new("images")),
            Target::Unix("images/c.sock".into())
        );
        for wrong in ["", "tty", "unix:", "unix"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
