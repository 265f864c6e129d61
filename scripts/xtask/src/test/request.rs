//! What the command line asks for.

use super::MACHINES;
use super::machine::Machine;
use anyhow::{Context, Result};

/// How much of the trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Without those marked slow.
    Quick,
    /// All but those marked long.
    Usual,
    /// All.
    Long,
}

impl Extent {
    /// Its name in `tests/guest/trial.rs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Usual => "usual",
            Self::Long => "long",
        }
    }
}

/// Which tests, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether the host's own tests run, too: unless a machine is chosen.
    pub with_host: bool,
    /// The columns.
    pub machines: Vec<Machine>,
    /// Whether the machines were named: it is a failure then when one is missing.
    pub demanded: bool,
    /// Which trials.
    pub extent: Extent,
    /// Whether the table replaces the one in `docs/kvm.md`.
    pub update_docs: bool,
    /// What goes to the test programs.
    pub rest: Vec<String>,
}

impl Request {
    /// Takes what is ours out of the arguments.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let (mut extent, mut update_docs) = (Extent::Usual, false);
        let (mut machines, mut rest) = (Vec::new(), Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => extent = Extent::Quick,
                "--long" => extent = Extent::Long,
                "--update-docs" => update_docs = true,
                "--machine" => {
                    let name = arguments.next();
                    let name = name.context("--machine: kvm, hardware or qemu is missing")?;
                    machines.push(Machine::named(name)?);
                }
                other => rest.push(other.to_string()),
            }
        }
        let demanded = !machines.is_empty();
        if machines.is_empty() {
            machines = match extent {
                Extent::Quick => vec![Machine::Kvm],
                Extent::Usual | Extent::Long => MACHINES.to_vec(),
            };
        }
        Ok(Self {
            with_host: !demanded,
            machines,
            demanded,
            extent,
            update_docs,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Request::parse(&words)
    }

    #[test]
    fn everything_by_default() {
        let request = parse("").unwrap();
        assert!(request.with_host && !request.demanded);
        assert_eq!(request.extent, Extent::Usual);
        assert_eq!(request.machines, MACHINES);
        let request = parse("--long").unwrap();
        assert_eq!(request.extent, Extent::Long);
        assert_eq!(request.machines, MACHINES);
    }

    #[test]
    fn quick_is_the_hosts_kvm() {
        let request = parse("--quick disk:: --exact").unwrap();
        assert!(request.with_host && request.extent == Extent::Quick);
        assert_eq!(request.machines, [Machine::Kvm]);
        assert_eq!(request.rest, ["disk::", "--exact"]);
    }

    #[test]
    fn machines_are_chosen() {
        let request = parse("--machine qemu --machine hardware boot").unwrap();
        assert_eq!(request.machines, [Machine::Qemu, Machine::Hardware]);
        assert!(request.demanded && !request.with_host);
        assert_eq!(request.rest, ["boot"]);
        for bad in ["--machine", "--machine vax"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("kvm, hardware or qemu"), "{error}");
        }
    }
}
