//! The manifest's text and what it means.
//!
//! One entry a line, `#` starts a comment:
//!
//! ```text
//! server  NAME  [priority=46..=127] [calls=NAME,…] [resource=irq,physical,power,process,ioport] [args=TEXT] [limit=…]…
//! program PATH  personality=NAME [calls=NAME,…] [env=NAME=VALUE]… [limit=NAME:SOFT[:HARD]]…
//! ```
//!
//! A server gets a port of its own, a way to call the servers it `calls`, a resource handle with just
//! the rights named, and nothing else.
//!
//! A `limit` is a resource limit (setrlimit(2)) by the name that prlimit(1) has for it, or `handles`; its values are
//! numbers with K, M, G or nothing behind them, or `unlimited`. The first program hands its limits down to all others.

mod limits;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use ferrix_abi::handle::Rights;
use ferrix_abi::limit::{Limit, Resource};
use ferrix_abi::sched::{INTERRUPT, SERVER, SERVER_DEFAULT};

/// A server to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name: of its module, its port and its process.
    pub name: String,
    /// Fixed priority.
    pub priority: u8,
    /// Servers whose ports it may call.
    pub calls: Vec<String>,
    /// Rights of its resource handle; empty: none is given.
    pub resource: Rights,
    /// Further arguments.
    pub args: Vec<String>,
    /// Its resource limits, where they differ from the kernel's defaults.
    pub limits: Vec<(Resource, Limit)>,
}

/// The first Linux program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Path to execute.
    pub path: String,
    /// Module with the personality.
    pub personality: String,
    /// Servers whose ports it may call, besides its root directory.
    pub calls: Vec<String>,
    /// `NAME=VALUE` strings.
    pub environment: Vec<String>,
    /// Resource limits, where they differ from the kernel's defaults.
    pub limits: Vec<(Resource, Limit)>,
}

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// In the order in which they start.
    pub servers: Vec<Server>,
    /// What runs when they do.
    pub program: Program,
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line number from 1; 0 for the manifest as a whole.
    pub line: usize,
    /// What is wrong and what is expected.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server manifest, line {}: {}", self.line, self.message)
    }
}

/// Reads a manifest.
///
/// # Errors
/// The first line that is wrong; a call to a server that does not exist; no program.
pub fn parse(text: &str) -> Result<Manifest, Error> {
    let mut servers: Vec<Server> = Vec::new();
    let mut program = None;
    for (index, line) in text.lines().enumerate() {
        let fail = |message: &str| Error {
            line: index + 1,
            message: message.to_string(),
        };
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(keyword) = words.next() else {
            continue;
        };
        let name = words
            .next()
            .ok_or_else(|| fail("a name must follow the keyword"))?;
        match keyword {
            "server" if servers.iter().any(|server| server.name == name) => {
                return Err(fail("this server is already there: names are unique"));
            }
            "server" => servers.push(server(name, words).map_err(|message| fail(&message))?),
            "program" => {
                program = Some(first_program(name, words).map_err(|message| fail(&message))?)
            }
            _ => return Err(fail("expected `server` or `program`")),
        }
    }
    let missing = || Error {
        line: 0,
        message: "no `program` line: nothing would run".to_string(),
    };
    let manifest = Manifest {
        servers,
        program: program.ok_or_else(missing)?,
    };
    check_calls(&manifest)?;
    Ok(manifest)
}

fn server<'a>(name: &str, options: impl Iterator<Item = &'a str>) -> Result<Server, String> {
    let mut server = Server {
        name: name.to_string(),
        priority: SERVER_DEFAULT,
        calls: Vec::new(),
        resource: Rights::empty(),
        args: Vec::new(),
        limits: Vec::new(),
    };
    for option in options {
        match option.split_once('=') {
            Some(("priority", value)) => server.priority = priority(value)?,
            Some(("calls", value)) => server.calls = names(value),
            Some(("resource", value)) => server.resource = rights(value)?,
            Some(("args", value)) => server.args.push(value.to_string()),
            Some(("limit", value)) => server.limits.push(limits::parse(value)?),
            _ => {
                return Err(unknown(
                    option,
                    "priority=, calls=, resource=, args=, limit=",
                ));
            }
        }
    }
    Ok(server)
}

fn first_program<'a>(
    path: &str,
    options: impl Iterator<Item = &'a str>,
) -> Result<Program, String> {
    let mut program = Program {
        path: path.to_string(),
        personality: String::new(),
        calls: Vec::new(),
        environment: Vec::new(),
        limits: Vec::new(),
    };
    for option in options {
        match option.split_once('=') {
            Some(("personality", value)) => program.personality = value.to_string(),
            Some(("calls", value)) => program.calls = names(value),
            Some(("env", value)) if value.contains('=') => {
                program.environment.push(value.to_string())
            }
            Some(("limit", value)) => program.limits.push(limits::parse(value)?),
            _ => {
                let expected = "personality=, calls=, env=NAME=VALUE, limit=NAME:SOFT[:HARD]";
                return Err(unknown(option, expected));
            }
        }
    }
    if program.personality.is_empty() {
        return Err("a program needs personality=NAME".to_string());
    }
    Ok(program)
}

fn unknown(option: &str, expected: &str) -> String {
    alloc::format!("unknown option `{option}`: expected {expected}")
}

fn names(value: &str) -> Vec<String> {
    value
        .split(',')
        .filter(|name| !name.is_empty())
        .map(ToString::to_string)
        .collect()
}

fn priority(value: &str) -> Result<u8, String> {
    let parsed = value.parse().ok();
    parsed
        .filter(|priority| SERVER.contains(priority) || INTERRUPT.contains(priority))
        .ok_or_else(|| {
            let (server, interrupt) = (SERVER, INTERRUPT);
            alloc::format!("priority `{value}`: expected a number in {server:?} or {interrupt:?}")
        })
}

fn rights(value: &str) -> Result<Rights, String> {
    value.split(',').try_fold(Rights::empty(), |rights, name| {
        Ok(rights
            | match name {
                "irq" => Rights::IRQ,
                "physical" => Rights::PHYSICAL,
                "power" => Rights::POWER,
                "process" => Rights::PROCESS,
                "ioport" => Rights::IOPORT,
                _ => return Err(unknown(name, "irq, physical, power, process, ioport")),
            })
    })
}

fn check_calls(manifest: &Manifest) -> Result<(), Error> {
    let callers = manifest
        .servers
        .iter()
        .map(|server| (&server.name, &server.calls));
    let all = callers.chain([(&manifest.program.path, &manifest.program.calls)]);
    for (caller, calls) in all {
        for called in calls {
            let known = manifest.servers.iter().any(|server| server.name == *called);
            if !known && called != "init" {
                let message = alloc::format!("{caller} calls `{called}`, which no line starts");
                return Err(Error { line: 0, message });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
