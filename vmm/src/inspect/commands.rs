//! Commands about a guest: gdb's `monitor`, and the console's prompt (Ctrl-A c).

use vm_memory::{Bytes, GuestAddress};

use super::{Guest, crash_report, ferrix, symbols::Symbols};
use crate::control::Outcome;

const HELP: &str = "\
help              these commands
info              the vCPUs: where each stands
report            registers, interrupts, code and backtrace of each vCPU
threads           Ferrix's own processes and threads
stats             exits of each vCPU by reason
translate ADDR    the physical address behind a virtual one (hexadecimal), on each vCPU
physical ADDR [N] N bytes (hexadecimal; else 64) of physical memory
reset             ends the machine as its reset line does
quit              ends the machine";

/// Bytes of physical memory that are shown at once, at most.
const MOST_BYTES: u64 = 4096;
const BYTES: u64 = 64;
const BYTES_IN_LINE: usize = 16;

/// A command, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Help,
    Info,
    Report,
    Threads,
    Stats,
    Translate(u64),
    Physical(u64, u64),
    Reset,
    Quit,
}

impl Command {
    fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            [] | ["help"] => Ok(Self::Help),
            ["info"] => Ok(Self::Info),
            ["report"] => Ok(Self::Report),
            ["threads"] => Ok(Self::Threads),
            ["stats"] => Ok(Self::Stats),
            ["translate", address] => number(address).map(Self::Translate),
            ["physical", address] => Ok(Self::Physical(number(address)?, BYTES)),
            ["physical", address, count] => Ok(Self::Physical(
                number(address)?,
                number(count)?.min(MOST_BYTES),
            )),
            ["reset"] => Ok(Self::Reset),
            ["quit"] => Ok(Self::Quit),
            _ => Err(format!("no command `{text}`; `help` lists them")),
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16)
        .map_err(|_| format!("`{text}` is no hexadecimal number; write for example 0x100000"))
}

impl Guest {
    /// Does what was typed. All vCPUs are parked.
    pub fn answer(&self, text: &str) -> String {
        match Command::parse(text) {
            Ok(command) => self.execute(command),
            Err(message) => message,
        }
    }

    fn execute(&self, command: Command) -> String {
        match command {
            Command::Help => HELP.into(),
            Command::Info => self.info(),
            Command::Report => self.each_vcpu(|vcpu| {
                let view = self.view(vcpu);
                let report = crash_report(&vcpu.fd(), &view, &self.kernel.file);
                format!("\n{}", report.trim_end())
            }),
            Command::Threads => self.threads(),
            Command::Stats => self.each_vcpu(|vcpu| {
                let exits = vcpu.exits.snapshot().into_iter();
                let exits = exits.map(|(name, n)| format!("{name} {n}"));
                exits.collect::<Vec<_>>().join(", ")
            }),
            Command::Translate(address) => {
                self.each_vcpu(|vcpu| match self.view(vcpu).translate(address) {
                    Some(physical) => format!("{physical:#x}"),
                    None => "not mapped".into(),
                })
            }
            Command::Physical(address, count) => self.dump(address, count as usize),
            Command::Reset => self.end(Outcome::Reset),
            Command::Quit => self.end(Outcome::Quit),
        }
    }

    fn info(&self) -> String {
        let symbols = Symbols::read(&self.kernel.file);
        self.each_vcpu(|vcpu| {
            let fd = vcpu.fd();
            let (regs, sregs) = match (fd.get_regs(), fd.get_sregs()) {
                (Ok(regs), Ok(sregs)) => (regs, sregs),
                (Err(error), _) | (_, Err(error)) => return error.to_string(),
            };
            let ring = sregs.cs.selector & 3;
            let place = symbols.find(regs.rip).map(|place| format!(" {place}"));
            let (rip, place, cr3) = (regs.rip, place.unwrap_or_default(), sregs.cr3);
            format!("rip {rip:#x}{place}, ring {ring}, cr3 {cr3:#x}")
        })
    }

    /// Any vCPU has the kernel in its page tables, unless it has not started.
    fn threads(&self) -> String {
        let found = self.vcpus.all.iter().find_map(|vcpu| {
            let view = self.view(vcpu);
            ferrix::Kernel::find(&view, &self.kernel.file)?.threads()
        });
        found.unwrap_or_else(|| ferrix::NOT_FERRIX.into())
    }

    fn dump(&self, address: u64, count: usize) -> String {
        let mut bytes = vec![0; count];
        let read = self.ram.read_slice(&mut bytes, GuestAddress(address));
        if read.is_err() {
            return format!("{count:#x} bytes at {address:#x} are not all RAM");
        }
        let line = |(index, line): (usize, &[u8])| {
            let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let at = address + (index * BYTES_IN_LINE) as u64;
            format!("{at:#x}: {}", hex.join(" "))
        };
        let lines: Vec<_> = bytes.chunks(BYTES_IN_LINE).enumerate().map(line).collect();
        lines.join("\n")
    }

    fn end(&self, outcome: Outcome) -> String {
        if self.context.control.outcome().is_some() {
            return "it has ended; detach to end the monitor".into();
        }
        self.context.control.end(outcome);
        "the machine ends".into()
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
        assert_eq!(
            Command::parse("physical 10"),
            Ok(Command::Physical(16, BYTES))
        );
        assert_eq!(
            Command::parse("physical 10 ffffff"),
            Ok(Command::Physical(16, MOST_BYTES))
        );
        for wrong in [
            "translate",
            "translate x",
            "translate 1 2",
            "physical",
            "halt",
        ] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
        let lines = HELP.lines().map(|line| &line[..17]);
        for line in lines {
            let typed = line.replace("ADDR", "1000").replace("[N]", "10");
            assert!(Command::parse(&typed).is_ok(), "{line}");
        }
    }
}
