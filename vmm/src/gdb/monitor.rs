//! gdb's `monitor` commands.

use gdbstub::target::Target;
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, outputln};

use super::target::GdbTarget;
use crate::control::Outcome;

const HELP: &str = "\
help            these commands
info            the vCPUs: where each stands
stats           exits of each vCPU by reason
translate ADDR  the physical address behind a virtual one (hexadecimal), on each vCPU
reset           ends the machine as its reset line does
quit            ends the machine";

/// A command, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Help,
    Info,
    Stats,
    Translate(u64),
    Reset,
    Quit,
}

impl Command {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            [] | ["help"] => Ok(Self::Help),
            ["info"] => Ok(Self::Info),
            ["stats"] => Ok(Self::Stats),
            ["translate", address] => {
                let digits = address.strip_prefix("0x").unwrap_or(address);
                let parsed = u64::from_str_radix(digits, 16);
                parsed.map(Self::Translate).map_err(|_| {
                    format!("`{address}` is no address; write for example translate 0x100000")
                })
            }
            ["reset"] => Ok(Self::Reset),
            ["quit"] => Ok(Self::Quit),
            _ => Err(format!("no command `{text}`; `monitor help` lists them")),
        }
    }
}

impl MonitorCmd for GdbTarget {
    fn handle_monitor_cmd(
        &mut self,
        command: &[u8],
        mut out: ConsoleOutput<'_>,
    ) -> Result<(), <Self as Target>::Error> {
        let text = String::from_utf8_lossy(command);
        let answer = match Command::parse(&text) {
            Ok(command) => self.answer(command),
            Err(message) => message,
        };
        outputln!(out, "{answer}");
        Ok(())
    }
}

impl GdbTarget {
    fn answer(&self, command: Command) -> String {
        match command {
            Command::Help => HELP.into(),
            Command::Info => self.each_vcpu(|vcpu| {
                let regs = vcpu.fd().get_regs();
                regs.map_or_else(
                    |error| error.to_string(),
                    |regs| format!("rip {:#x}", regs.rip),
                )
            }),
            Command::Stats => self.each_vcpu(|vcpu| {
                let exits = vcpu.exits.snapshot();
                let exits: Vec<_> = exits
                    .iter()
                    .map(|(name, n)| format!("{name} {n}"))
                    .collect();
                exits.join(", ")
            }),
            Command::Translate(address) => {
                self.each_vcpu(|vcpu| match self.translate(vcpu, address) {
                    Some(physical) => format!("{physical:#x}"),
                    None => "not mapped".into(),
                })
            }
            Command::Reset => self.end(Outcome::Reset),
            Command::Quit => self.end(Outcome::Quit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse(""), Ok(Command::Help));
        assert_eq!(
            Command::parse(" translate  0x1F "),
            Ok(Command::Translate(31))
        );
        for wrong in ["translate", "translate x", "translate 1 2", "halt"] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
        let known = HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        for name in known.filter(|name| *name != "translate") {
            assert!(Command::parse(name).is_ok(), "{name}");
        }
    }
}
