//! Runs a monitor until its guest's prompt appears.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{PipeReader, Read, pipe};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No system takes longer.
const PATIENCE: Duration = Duration::from_secs(100);
/// How much of what came is shown if no prompt does.
const TAIL: usize = 200;

/// Seconds from the start of the process until `prompt` came on its standard output or error.
pub fn until(prompt: &str, mut command: Command) -> Result<f64> {
    let (mut screen, output) = pipe()?;
    command.stdin(Stdio::piped());
    command.stdout(output.try_clone()?).stderr(output);
    let begin = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("running {command:?}"))?;
    drop(command); // and its ends of the pipe
    let found = read_until(prompt, &mut screen, begin);
    let _ = child.kill(); // it may be gone
    child.wait()?;
    found
}

fn read_until(prompt: &str, screen: &mut PipeReader, begin: Instant) -> Result<f64> {
    let mut seen = String::new();
    while begin.elapsed() < PATIENCE {
        let mut polled = [PollFd::new(screen, PollFlags::IN)];
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        if poll(&mut polled, Some(&second))? == 0 {
            continue;
        }
        let mut chunk = [0; 4096];
        let length = screen.read(&mut chunk)?;
        seen.push_str(&String::from_utf8_lossy(&chunk[..length]));
        if seen.contains(prompt) {
            return Ok(begin.elapsed().as_secs_f64());
        }
        if length == 0 {
            bail!("it ended, its last words: {}", tail(&seen));
        }
    }
    bail!(
        "no prompt in {} s, last words: {}",
        PATIENCE.as_secs(),
        tail(&seen)
    )
}

/// In one line.
fn tail(text: &str) -> String {
    let text: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    text[text.len().saturating_sub(TAIL)..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn waits_for_the_prompt_on_either_stream() {
        for script in [
            "echo a; printf '/ # '; sleep 9",
            "printf '/ # ' >&2; sleep 9",
        ] {
            assert!(until("/ # ", shell(script)).unwrap() < 5.0);
        }
    }

    #[test]
    fn tells_the_last_words_of_what_ended() {
        let error = until("/ # ", shell("echo panic")).unwrap_err().to_string();
        assert!(error.contains("panic"), "{error}");
    }
}
