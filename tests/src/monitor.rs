//! Guests by our monitor: options as `vmm run` takes them.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::host;
use crate::machine::Machine;
use crate::options::{Console, Options, Payload};

/// Nothing runs longer, even if the test that started it is gone.
const LIFE_TIME: Duration = Duration::from_secs(300);

/// The monitor, not yet started.
pub fn command(options: &Options, machine: Machine) -> Result<Command> {
    let mut command = host::monitor()?;
    command.args(arguments(options));
    let life_time = machine.limit(LIFE_TIME).as_secs();
    command.args(["--timeout", &life_time.to_string()]);
    Ok(command)
}

fn arguments(options: &Options) -> Vec<String> {
    let image = match options.payload {
        Payload::Default => "images/default.toml",
        Payload::KernelTests => "images/ktest.toml",
        Payload::LockTests => "images/lockdep.toml",
    };
    let mut arguments = vec![image.to_string()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_string(), value]);
    add("--cpus", options.cpus.to_string());
    add("--memory", format!("{}M", options.memory));
    for disk in &options.disks {
        add("--disk", disk.clone());
    }
    for words in &options.append {
        add("--append", words.clone());
    }
    if options.console == Console::Serial {
        add("--append", "console=ttyS0".into());
    }
    if let Some(command) = &options.command {
        add("--command", command.clone());
    }
    arguments.extend(options.monitor.iter().cloned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_flags() {
        let options = Options::kernel_tests().cpus(4).memory(64);
        let options = options.append("seed=1").monitor(&["--stats"]);
        assert_eq!(
            arguments(&options).join(" "),
            "images/ktest.toml --cpus 4 --memory 64M --append seed=1 --stats"
        );
        let mut options = Options::new().command("sh -c true");
        options.disks = vec!["a.img".into(), "b.img,ro".into()];
        let arguments = arguments(&options);
        assert_eq!(
            arguments[5..],
            [
                "--disk",
                "a.img",
                "--disk",
                "b.img,ro",
                "--command",
                "sh -c true"
            ]
        );
    }
}
