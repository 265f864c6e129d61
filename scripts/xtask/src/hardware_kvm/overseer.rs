//! QEMU's own view of a machine that does not answer any more, by the QEMU Machine Protocol (qemu-qmp-ref).

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// QEMU's main loop answers at once, if it runs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines of the answers that tell where a CPU is and why it does not go on.
const TELLING: [&str; 9] = [
    "CPU#", "RIP=", "CS =", "CR0=", "CR4", "Timer", "ISR", "IRR", "LVTT\t",
];

/// The connection.
pub struct Overseer(UnixStream);

impl Overseer {
    /// Nothing is said until there is a question.
    pub fn of(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Where every CPU is.
    pub fn cpus(&self) -> Result<String> {
        self.0.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(&self.0).lines();
        let mut answer = || -> Result<Value> {
            loop {
                let line = lines.next().context("QEMU is gone")??;
                let message: Value = serde_json::from_str(&line)?;
                // Its greeting and events come between.
                if let Some(result) = message.get("return") {
                    return Ok(result.clone());
                }
            }
        };
        let ask = |command: Value| writeln!(&self.0, "{command}");
        ask(json!({ "execute": "qmp_capabilities" }))?;
        answer()?;
        let mut monitor = |line: String| -> Result<String> {
            let line = json!({ "command-line": line });
            ask(json!({ "execute": "human-monitor-command", "arguments": line }))?;
            Ok(answer()?.as_str().unwrap_or_default().to_owned())
        };
        // Registers come with the flag that a CPU halts; its APIC tells which interrupts wait for it.
        let registers = monitor("info registers -a".into())?;
        let mut lines: Vec<String> = telling(&registers).collect();
        let cpus = lines.iter().filter(|line| line.starts_with("CPU#")).count();
        for cpu in 0..cpus {
            lines.push(format!("APIC of CPU#{cpu}"));
            lines.extend(telling(&monitor(format!("info lapic {cpu}"))?));
        }
        Ok(format!("its CPUs:\n{}", lines.join("\n")))
    }
}

fn telling(answer: &str) -> impl Iterator<Item = String> {
    let lines = answer.lines().map(str::trim_end);
    let told = lines.filter(|line| TELLING.iter().any(|start| line.starts_with(start)));
    told.map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_telling_lines_of_qemus_answers_are_kept() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = thread::spawn(move || {
            let mut asked = BufReader::new(&theirs).lines();
            writeln!(&theirs, "{}", json!({ "QMP": {} })).unwrap();
            for answer in [
                json!({}),
                json!("\nCPU#0\nRAX=1\nRIP=2 HLT=1\nXMM00=3\n"),
                json!("IRR\t 236\n"),
            ] {
                asked.next().unwrap().unwrap();
                writeln!(&theirs, "{}", json!({ "event": "X" })).unwrap();
                writeln!(&theirs, "{}", json!({ "return": answer })).unwrap();
            }
        });
        let text = Overseer::of(ours).cpus().unwrap();
        assert_eq!(
            text,
            "its CPUs:\nCPU#0\nRIP=2 HLT=1\nAPIC of CPU#0\nIRR\t 236"
        );
        qemu.join().unwrap();
    }

    #[test]
    fn a_qemu_that_is_gone_is_said_to_be() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Overseer::of(ours).cpus().is_err());
    }
}
