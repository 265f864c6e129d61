//! The command line.

use anyhow::{Context, Result, bail};

pub const USAGE: &str = "\
usage: scripts/hardware-kvm [--cpus N] [--memory SIZE] COMMAND [ARGUMENT]...

Runs COMMAND, in the project's root, in a machine with a hardware /dev/kvm. The machine sees this
machine's files; what it writes stays inside. Its status is COMMAND's: 128 + N if signal N killed it,
127 if there is no such program, 125 if the machine itself failed.

  --cpus N       number of CPUs (as many as here)
  --memory SIZE  memory, in M or G (4G); half of it is for changed files
";

/// What is booted, and what runs in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub cpus: usize,
    /// In QEMU's notation: `4096M`.
    pub memory: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

impl Options {
    /// Nothing if the user asks for the usage.
    pub fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: "4G".into(),
            command: vec![],
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = |name: &str| match argument.split_once('=') {
                Some((_, value)) => Ok(value.to_owned()),
                None => rest
                    .next()
                    .cloned()
                    .with_context(|| format!("{name} needs a value\n{USAGE}")),
            };
            match argument.split('=').next().unwrap_or_default() {
                "--help" | "-h" => return Ok(None),
                "--cpus" => options.cpus = cpus(&value("--cpus")?)?,
                "--memory" => options.memory = memory(value("--memory")?)?,
                "--" => {
                    options.command = rest.cloned().collect();
                    break;
                }
                option if option.starts_with('-') => bail!("unknown option {option}\n{USAGE}"),
                _ => {
                    options.command.push(argument.clone());
                    options.command.extend(rest.cloned());
                    break;
                }
            }
        }
        if options.command.is_empty() {
            bail!("no command\n{USAGE}");
        }
        Ok(Some(options))
    }
}

fn cpus(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(cpus @ 1..=64) => Ok(cpus),
        _ => bail!("--cpus {text}: expected a number from 1 to 64"),
    }
}

fn memory(text: String) -> Result<String> {
    let number = text.trim_end_matches(['M', 'G']);
    if number.is_empty() || number.parse::<u32>().is_err() || text.len() != number.len() + 1 {
        bail!("--memory {text}: expected a size such as 2048M or 4G");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let options = parse("--cpus 3 --memory=512M sh --cpus 9")
            .unwrap()
            .unwrap();
        assert_eq!(
            (options.cpus, &*options.memory, options.command.join(" ")),
            (3, "512M", "sh --cpus 9".into())
        );
        let options = parse("-- --odd name").unwrap().unwrap();
        assert_eq!(options.command, ["--odd", "name"]);
        assert_eq!(parse("--help").unwrap(), None);
    }

    #[test]
    fn bad_options_are_named() {
        for (line, part) in [
            ("", "no command"),
            ("--cpus", "--cpus needs a value"),
            ("--cpus 0 true", "--cpus 0: expected"),
            ("--memory lots true", "--memory lots: expected"),
            ("--memory 4GG true", "--memory 4GG: expected"),
            ("--fast true", "unknown option --fast"),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
