//! One command in a machine: its request, its streams, its status.

use super::machine::Machine;
use super::terminal::Terminal;
use anyhow::{Context, Result, anyhow, bail};
use hardware_kvm_init::Message;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write, stderr, stdin, stdout};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

/// A machine takes seconds to come up; on a host with other work, longer.
const PATIENCE: Duration = Duration::from_secs(45);
/// A machine that runs says so every [`HEARTBEAT`](hardware_kvm_init::HEARTBEAT).
const SILENCE: Duration = Duration::from_secs(40);
const CHUNK: usize = 64 << 10;
/// Status of a program that wrote to a pipe which nobody reads: 128 + SIGPIPE.
const BROKEN_PIPE: i32 = 141;
/// Tells programs where they run.
const MARK: &str = "FERRIX_HARDWARE_KVM";

/// Waits until the machine takes a command; false: it is not up in time.
pub fn is_up(machine: &Machine) -> Result<bool> {
    let mut control = machine.ports[0].try_clone()?;
    control.set_read_timeout(Some(PATIENCE))?;
    let up = match Message::read(&mut control) {
        Ok(Message::Ready) => Ok(true),
        Ok(other) => Err(unexpected(other)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(_) => Err(ended()),
    };
    control.set_read_timeout(None)?;
    up.map_err(|error| with_last_words(error, machine))
}

/// Runs the command in a machine that is up; ends the machine.
pub fn run(machine: Machine, command: &[String]) -> Result<u8> {
    converse(&machine, command).map_err(|error| with_last_words(error, &machine))
}

fn with_last_words(error: anyhow::Error, machine: &Machine) -> anyhow::Error {
    anyhow!("{error:#}; {}", machine.last_words())
}

fn converse(machine: &Machine, command: &[String]) -> Result<u8> {
    let [control, input, output, error] = &machine.ports;
    let mut control = control.try_clone()?;
    let terminal = Terminal::enter()?;
    for message in request(command)? {
        message.write(&mut control)?;
    }
    for message in terminal.iter().flat_map(Terminal::describe) {
        message.write(&mut control)?;
    }
    Message::Start.write(&mut control)?;
    if let Some(terminal) = &terminal {
        terminal.follow(control.try_clone()?);
    }
    send_input(input.try_clone()?);
    let output = Count::of(output.try_clone()?, stdout());
    let error = Count::of(error.try_clone()?, stderr());
    match last_message(machine, &mut control)? {
        Message::Ended {
            status,
            output: wrote,
            error: complained,
        } => {
            output.wait(wrote);
            error.wait(complained);
            Ok(status)
        }
        other => Err(unexpected(other)),
    }
}

/// What comes after all signs of life.
fn last_message(machine: &Machine, control: &mut UnixStream) -> Result<Message> {
    control.set_read_timeout(Some(SILENCE))?;
    loop {
        match Message::read(control) {
            Ok(Message::Alive) => {}
            Ok(message) => return Ok(message),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let seconds = SILENCE.as_secs();
                bail!(
                    "the machine stopped: no sign of life for {seconds} s; {}",
                    machine.state()
                );
            }
            Err(_) => return Err(ended()),
        }
    }
}

fn ended() -> anyhow::Error {
    anyhow!("the machine ended before the command did")
}

fn unexpected(message: Message) -> anyhow::Error {
    match message {
        Message::Failed(text) => anyhow!("in the machine: {text}"),
        other => anyhow!("the machine said {other:?} out of turn"),
    }
}

/// All but `Start`.
fn request(command: &[String]) -> Result<Vec<Message>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let folder = std::env::current_dir().context("the current folder")?;
    let mut messages = vec![
        Message::Clock(u64::try_from(now.as_nanos())?),
        Message::Folder(folder.as_os_str().as_bytes().to_vec()),
    ];
    let arguments = command
        .iter()
        .map(|text| Message::Argument(text.clone().into_bytes()));
    messages.extend(arguments);
    let variables = std::env::vars_os().filter(|(name, _)| !is_cargos(&name.to_string_lossy()));
    for (name, mut value) in variables.chain([(MARK.into(), "1".into())]) {
        if name == "PATH" {
            value.push(":/sbin:/usr/sbin");
        }
        messages.push(variable(&name, &value));
    }
    Ok(messages)
}

fn variable(name: &OsString, value: &OsString) -> Message {
    Message::Environment([name.as_bytes(), b"=", value.as_bytes()].concat())
}

/// What `cargo run` tells this program of itself: not the user's.
fn is_cargos(name: &str) -> bool {
    name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")
}

fn send_input(mut port: UnixStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut stdin().lock(), &mut port); // the command may not want it
        // Only our direction: a hang-up would drop what QEMU has not read yet.
        let _ = port.shutdown(Shutdown::Write);
    });
}

/// How many bytes of a stream came through.
struct Count {
    shared: Arc<(Mutex<u64>, Condvar)>,
}

impl Count {
    /// Passes everything on, in a thread.
    fn of(mut port: UnixStream, mut to: impl Write + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let count = Self {
            shared: shared.clone(),
        };
        thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while let Ok(length @ 1..) = port.read(&mut chunk) {
                if to
                    .write_all(&chunk[..length])
                    .and_then(|()| to.flush())
                    .is_err()
                {
                    // As if the command had written to it; QEMU goes with us.
                    std::process::exit(BROKEN_PIPE);
                }
                let (total, changed) = &*shared;
                *total.lock().unwrap_or_else(PoisonError::into_inner) += length as u64;
                changed.notify_all();
            }
        });
        count
    }

    /// Waits until `expected` bytes came.
    fn wait(&self, expected: u64) {
        let (total, changed) = &*self.shared;
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        while *total < expected {
            total = changed.wait(total).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_where_and_what() {
        let command = ["sh".to_owned(), "-c".to_owned()];
        let messages = request(&command).unwrap();
        let arguments = messages.iter().filter_map(|message| match message {
            Message::Argument(text) => Some(&text[..]),
            _ => None,
        });
        assert_eq!(arguments.collect::<Vec<_>>(), [&b"sh"[..], b"-c"]);
        let has = |start: &[u8], end: &[u8]| {
            messages.iter().any(|message| match message {
                Message::Environment(text) => text.starts_with(start) && text.ends_with(end),
                _ => false,
            })
        };
        assert!(has(b"PATH=", b":/sbin:/usr/sbin"));
        assert!(has(b"FERRIX_HARDWARE_KVM=", b"1"));
        assert!(!has(b"CARGO_PKG_", b""));
    }

    #[test]
    fn counts_what_comes_through() {
        let (mut machine, ours) = UnixStream::pair().unwrap();
        let count = Count::of(ours, io::sink());
        machine.write_all(&[0; 100_000]).unwrap();
        count.wait(100_000);
    }
}
