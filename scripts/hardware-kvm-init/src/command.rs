//! Runs the host's command on pipes or on a terminal of its own.

use crate::ports::Ports;
use crate::relay::{from_command, to_command};
use anyhow::{Context, Result};
use hardware_kvm_init::{Message, Size};
use rustix::process::{WaitOptions, WaitStatus, setsid, wait};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use rustix::time::{ClockId, Timespec, clock_settime};
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// What the host asks for.
#[derive(Default)]
pub struct Request {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: OsString,
    terminal: Option<Size>,
    error_apart: bool,
}

impl Request {
    /// Reads messages up to `Start`; sets the clock by the way.
    pub fn read(control: &mut File) -> Result<Self> {
        let mut request = Self::default();
        loop {
            match Message::read(control)? {
                Message::Argument(text) => request.arguments.push(OsString::from_vec(text)),
                Message::Environment(text) => request.environment.extend(split(text)),
                Message::Folder(text) => request.folder = OsString::from_vec(text),
                Message::Clock(time) => set_clock(time)?,
                Message::Terminal(size) => request.terminal = Some(size),
                Message::ErrorApart => request.error_apart = true,
                Message::Start => return Ok(request),
                other => anyhow::bail!("the host sent {other:?} in a request"),
            }
        }
    }

    fn command(&self) -> Result<Command> {
        let (program, arguments) = self.arguments.split_first().context("no command")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

fn split(mut text: Vec<u8>) -> Option<(OsString, OsString)> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let value = text.split_off(at + 1);
    text.pop();
    Some((OsString::from_vec(text), OsString::from_vec(value)))
}

fn set_clock(nanoseconds: u64) -> Result<()> {
    let time = Timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as i64,
    };
    clock_settime(ClockId::Realtime, time).context("setting the clock")
}

/// Runs the command to its end; the answer for the host.
pub fn run(request: &Request, ports: &Ports) -> Result<Message> {
    let mut command = request.command()?;
    let ended = Arc::new(AtomicBool::new(false));
    let spawned = match request.terminal {
        Some(size) => on_terminal(&mut command, request, size, ports, &ended),
        None => on_pipes(&mut command, ports, &ended),
    };
    let (child, relays) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => return not_run(&error, request, ports),
    };
    drop(command); // its ends of pipes and terminal
    let status = wait_for(&child)?;
    ended.store(true, Ordering::Release);
    let mut counts = [0; 2];
    for (count, relay) in counts.iter_mut().zip(relays) {
        *count = relay.join().ok().context("a relay died")??;
    }
    let [output, error] = counts;
    Ok(Message::Ended {
        status,
        output,
        error,
    })
}

type Running = (Child, Vec<JoinHandle<Result<u64>>>);

fn on_pipes(command: &mut Command, ports: &Ports, ended: &Arc<AtomicBool>) -> Result<Running> {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(input) = child.stdin.take() {
        to_command(ports.input.try_clone()?, input);
    }
    let (output, error) = (child.stdout.take(), child.stderr.take());
    let relays = vec![
        from_command(
            output.context("no output")?,
            ports.output.try_clone()?,
            ended.clone(),
        ),
        from_command(
            error.context("no error")?,
            ports.error.try_clone()?,
            ended.clone(),
        ),
    ];
    Ok((child, relays))
}

/// The terminal becomes this process' controlling one, and so the command's.
fn on_terminal(
    command: &mut Command,
    request: &Request,
    size: Size,
    ports: &Ports,
    ended: &Arc<AtomicBool>,
) -> Result<Running> {
    let _ = setsid(); // process 1 may lead a session already
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let master = File::from(master);
    resize(&master, size)?;
    let name = ptsname(&master, Vec::new())?.into_string()?;
    let slave = File::options().read(true).write(true).open(name)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?);
    if request.error_apart {
        command.stderr(Stdio::piped());
    } else {
        command.stderr(slave);
    }
    let mut child = command.spawn()?;
    to_command(ports.input.try_clone()?, master.try_clone()?);
    let mut relays = vec![from_command(
        master.try_clone()?,
        ports.output.try_clone()?,
        ended.clone(),
    )];
    if let Some(error) = child.stderr.take() {
        relays.push(from_command(error, ports.error.try_clone()?, ended.clone()));
    }
    follow_size(ports.control.try_clone()?, master);
    Ok((child, relays))
}

fn resize(terminal: &File, size: Size) -> Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

fn follow_size(mut control: File, terminal: File) {
    thread::spawn(move || {
        while let Ok(message) = Message::read(&mut control) {
            if let Message::Terminal(size) = message {
                let _ = resize(&terminal, size); // the command may be gone
            }
        }
    });
}

/// Status 127 or 126, as shells and `env` give them.
fn not_run(error: &anyhow::Error, request: &Request, ports: &Ports) -> Result<Message> {
    use std::io::Write;
    let missing = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::NotFound);
    let program = request.arguments[0].display();
    let text = format!(
        "hardware-kvm: {program}: {error} (in {})\n",
        request.folder.display()
    );
    ports.error.try_clone()?.write_all(text.as_bytes())?;
    Ok(Message::Ended {
        status: if missing { 127 } else { 126 },
        output: 0,
        error: text.len() as u64,
    })
}

/// Waits for the command, and buries orphans on the way, as process 1 must.
fn wait_for(child: &Child) -> Result<u8> {
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else {
            continue;
        };
        if pid.as_raw_nonzero().get().unsigned_abs() == child.id() {
            return Ok(code(status));
        }
    }
}

fn code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255) as u8
}
