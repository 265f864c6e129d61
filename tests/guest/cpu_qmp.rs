//! QEMU's own monitor, over a socket: commands as a person would type them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ferrix_tests::Options;

/// QEMU opens its socket soon after its start.
const START_TIME: Duration = Duration::from_secs(20);

/// A connection.
#[derive(Debug)]
pub struct Qmp {
    answers: BufReader<UnixStream>,
}

impl Qmp {
    /// The options with which QEMU listens at `socket`.
    pub fn listening(options: Options, socket: &Path) -> Options {
        let where_ = format!("unix:{},server=on,wait=off", socket.display());
        options.qemu(&["-qmp", &where_])
    }

    /// Connects.
    pub fn connect(socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + START_TIME;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                Err(error) => return Err(error).context("QEMU does not open its monitor"),
            }
        };
        let mut qmp = Self {
            answers: BufReader::new(stream),
        };
        qmp.execute(r#"{"execute":"qmp_capabilities"}"#)?;
        Ok(qmp)
    }

    /// Executes a command of the human monitor that prints nothing when it works.
    pub fn command(&mut self, line: &str) -> Result<()> {
        match self.ask(line)? {
            answer if answer.is_empty() => Ok(()),
            answer => bail!("QEMU says to {line}: {answer}"),
        }
    }

    /// What the human monitor prints for a command, as a string of JSON.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.execute(&format!(
            r#"{{"execute":"human-monitor-command","arguments":{{"command-line":"{line}"}}}}"#
        ))
    }

    fn execute(&mut self, request: &str) -> Result<String> {
        self.answers.get_mut().write_all(request.as_bytes())?;
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                bail!("QEMU ended during {request}");
            }
            // Greeting and events come in between.
            if let Some(answer) = line.strip_prefix(r#"{"return": "#) {
                let answer = answer.trim_end().trim_end_matches('}');
                return Ok(answer.trim_matches(['"', '{']).to_owned());
            }
            if line.starts_with(r#"{"error""#) {
                bail!("QEMU says to {request}: {line}");
            }
        }
    }
}
