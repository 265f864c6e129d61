//! A running guest and a hand at its keyboard.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::disk::Disk;
use crate::machine::Machine;
use crate::options::Options;
use crate::process;
use crate::resident::Resident;
use crate::transcript::{Missing, Transcript};
use crate::wiring::Wiring;

/// The shell's prompt in the directory in which it starts.
pub const PROMPT: &str = "ferrix:/# ";
/// From the start of the monitor to the prompt, on a slow host. Here as elsewhere [`Machine::limit`]
/// adds what the machine needs.
pub const BOOT_TIME: Duration = Duration::from_secs(20);
/// For one ordinary command.
pub const COMMAND_TIME: Duration = Duration::from_secs(20);
/// For the monitor to end after the guest did.
const END_TIME: Duration = Duration::from_secs(10);

/// The last line of the monitor's answer to SIGUSR1.
const WHERE_ANSWERED: &str = "vmm: the guest goes on";

/// A machine that runs, and all it said. Killed when dropped.
#[derive(Debug)]
pub struct Guest {
    machine: Machine,
    child: Child,
    keyboard: Option<std::fs::File>,
    screen: Transcript,
    log: Transcript,
}

/// How a guest ended, and all it said.
#[derive(Debug)]
pub struct Ending {
    machine: Machine,
    /// The exit status of the process that ran the machine.
    pub status: ExitStatus,
    /// The guest's console.
    pub screen: String,
    /// The kernel's log and the monitor's messages.
    pub log: String,
}

impl Guest {
    /// Boots on `disk`, on the machine of this run.
    pub fn boot(disk: &Disk, options: Options, wiring: Wiring) -> Result<Self> {
        Self::launch(&options.disk(disk), wiring)
    }

    /// Boots on a terminal and waits for the prompt.
    pub fn at_prompt(disk: &Disk, options: Options) -> Result<Self> {
        let mut guest = Self::boot(disk, options, Wiring::Terminal)?;
        guest.expect(PROMPT, BOOT_TIME)?;
        Ok(guest)
    }

    /// Boots exactly this, on the machine of this run.
    pub fn launch(options: &Options, wiring: Wiring) -> Result<Self> {
        let machine = Machine::current()?;
        Self::start_on(machine, machine.command(options)?, wiring)
    }

    /// Starts any command that runs a machine and ends with the guest's status, as the monitor does.
    pub fn start(command: Command, wiring: Wiring) -> Result<Self> {
        Self::start_on(Machine::Kvm, command, wiring)
    }

    /// Starts a command of one's own; time limits and statuses are those of `machine`.
    pub fn start_on(machine: Machine, command: Command, wiring: Wiring) -> Result<Self> {
        let wired = wiring.start(command)?;
        Ok(Self {
            machine,
            child: wired.child,
            keyboard: wired.keyboard,
            screen: Transcript::follow(wired.screen),
            log: Transcript::follow(wired.errors),
        })
    }

    /// Waits for `pattern` on the console; returns what came before it.
    pub fn expect(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        let timeout = self.machine.limit(timeout);
        let found = self.screen.expect(pattern, timeout);
        found.map_err(|missing| self.missed(pattern, missing, timeout))
    }

    /// Waits for `pattern` in the log and messages; returns what came before it.
    pub fn expect_log(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        let timeout = self.machine.limit(timeout);
        let found = self.log.expect(pattern, timeout);
        found.map_err(|missing| self.missed(pattern, missing, timeout))
    }

    /// Types a line.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send(&format!("{line}\r"))
    }

    /// Types characters.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        let keyboard = self.keyboard.as_mut().context("a script has no keyboard")?;
        keyboard.write_all(keys.as_bytes())?;
        Ok(())
    }

    /// Changes the size of the terminal's window.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let terminal = self.keyboard.as_ref().context("a script has no window")?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(terminal, size)?)
    }

    /// Runs a command at the prompt; returns what it printed.
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.run_within(command, COMMAND_TIME)
    }

    /// [`run`](Self::run) for commands that may take longer.
    pub fn run_within(&mut self, command: &str, timeout: Duration) -> Result<String> {
        self.send_line(command)?;
        let text = self.expect(PROMPT, timeout)?.replace('\r', "");
        let output = text.strip_prefix(command);
        let output = output.and_then(|rest| rest.strip_prefix('\n'));
        output
            .map(str::to_string)
            .ok_or_else(|| self.wrong(format!("the terminal did not echo `{command}`")))
    }

    /// Runs a command at the prompt and checks what it printed, ends of lines included.
    pub fn check(&mut self, command: &str, expected: &str) -> Result<()> {
        let output = self.run(command)?;
        if output != expected {
            let what = format!("`{command}` printed {output:?} instead of {expected:?}");
            return Err(self.wrong(what));
        }
        Ok(())
    }

    /// Ends the guest with `poweroff STATUS`, and checks the machine's status.
    pub fn power_off(mut self, status: u8) -> Result<Ending> {
        self.send_line(&format!("poweroff {status}"))?;
        let ending = self.wait(END_TIME)?;
        ending.must_be(status)?;
        Ok(ending)
    }

    /// Waits until the machine ended by itself.
    pub fn wait(mut self, timeout: Duration) -> Result<Ending> {
        let timeout = self.machine.limit(timeout);
        match process::wait(&mut self.child, timeout)? {
            None => Err(self.wrong(format!("it did not end within {timeout:?}"))),
            Some(status) => {
                ensure!(
                    self.screen.wait_end(END_TIME) && self.log.wait_end(END_TIME),
                    "the machine ended, and somebody still holds its console"
                );
                Ok(Ending {
                    machine: self.machine,
                    status,
                    screen: self.screen.text(),
                    log: self.log.text(),
                })
            }
        }
    }

    /// Processor time of the host that the machine used so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.child.id())
    }

    /// Memory of the host that the machine has now.
    pub fn resident(&self) -> Result<Resident> {
        Resident::of(self.child.id())
    }

    /// Whether the machine still runs after this time.
    pub fn runs_for(&mut self, time: Duration) -> Result<bool> {
        Ok(process::wait(&mut self.child, time)?.is_none())
    }

    /// An error that shows what the guest said, and where it is if it still runs.
    pub fn wrong(&mut self, what: String) -> Error {
        let state = match process::wait(&mut self.child, Duration::ZERO) {
            Ok(None) => {
                self.ask_where();
                "runs".to_string()
            }
            Ok(Some(status)) => format!("ended: {status}"),
            Err(error) => error.to_string(),
        };
        report(&what, &state, &self.screen.tail(), &self.log.tail())
    }

    /// Asks the monitor where the guest is; the answer stands in its messages. Another program that was started
    /// as a machine may end by this.
    pub fn ask_where(&self) {
        if self.machine.is_monitor() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::USR1);
            self.log.wait_for(WHERE_ANSWERED, END_TIME);
        }
    }

    fn missed(&mut self, pattern: &str, missing: Missing, timeout: Duration) -> Error {
        let when = match missing {
            Missing::TimedOut => format!("within {timeout:?}"),
            Missing::Ended => {
                // The stream closes a moment before the process is gone.
                let _ = process::wait(&mut self.child, END_TIME);
                "before the output ended".into()
            }
        };
        self.wrong(format!("`{pattern}` did not appear {when}"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ending {
    /// Checks the guest's status, as far as the machine tells it.
    pub fn must_be(&self, status: u8) -> Result<()> {
        if self.machine.tells(self.status, status) {
            return Ok(());
        }
        Err(self.wrong(&format!("the status should be {status}")))
    }

    /// An error that shows what the guest said.
    pub fn wrong(&self, what: &str) -> Error {
        let state = match self.status.signal() {
            Some(signal) => format!("killed by signal {signal}"),
            None => format!("ended: {}", self.status),
        };
        report(what, &state, &self.screen, &self.log)
    }
}

fn report(what: &str, state: &str, screen: &str, log: &str) -> Error {
    anyhow!(
        "{what}\n--- the machine {state}; its log and messages:\n{log}\n--- its console:\n{screen}\n---"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str, wiring: Wiring) -> Guest {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Guest::start(command, wiring).unwrap()
    }

    #[test]
    fn types_and_waits_on_a_terminal() {
        let script = "stty size; read line; echo \"<$line>\"; echo log >&2; exit 3";
        let mut guest = shell(script, Wiring::Terminal);
        guest.expect("24 80", SOON).unwrap();
        guest.send_line("typed").unwrap();
        guest.expect("<typed>", SOON).unwrap();
        let ending = guest.wait(SOON).unwrap();
        ending.must_be(3).unwrap();
        assert_eq!(ending.log, "log\n");
        let error = ending.must_be(4).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("<typed>"));
    }

    #[test]
    fn failures_show_what_was_said() {
        let mut guest = shell("echo one; echo two >&2", Wiring::Script);
        guest.expect_log("two", SOON).unwrap();
        let error = guest.expect("three", SOON).unwrap_err().to_string();
        for part in [
            "`three`",
            "before the output ended",
            "one",
            "two",
            "exit status: 0",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
        assert!(guest.send_line("x").is_err());
    }

    #[test]
    fn dropping_kills() {
        let guest = shell("exec sleep 600", Wiring::Script);
        let pid = guest.child.id();
        drop(guest);
        assert!(process::cpu_time(pid).is_err(), "it is gone");
    }
}
