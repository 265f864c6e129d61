//! Guests by QEMU without any KVM: its `microvm`, which boots the same kernel by the same PVH entry.

use std::fmt::Write;
use std::process::{Command, ExitStatus};

use anyhow::Result;
use ferrix_machine::cmdline;

use crate::host;
use crate::options::{Console, Firmware, Options, Payload};

/// Where a write of the guest ends QEMU.
const EXIT_PORT: u16 = 0xf4;

/// QEMU, not yet started. It dies with the thread that starts it.
pub fn command(options: &Options) -> Result<Command> {
    let mut command = host::tool("setpriv");
    command
        .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
        .args(arguments(options))
        .arg("-kernel")
        .arg(host::built(kernel(options.payload))?)
        .arg("-initrd")
        .arg(host::built(modules(options.payload))?);
    Ok(command)
}

/// A lone module is init.
fn modules(payload: Payload) -> &'static str {
    match payload {
        Payload::Default => "image/modules.cpio",
        Payload::KernelTests | Payload::LockTests => "image/ktest",
    }
}

fn kernel(payload: Payload) -> &'static str {
    match payload {
        Payload::Default | Payload::KernelTests => "image/kernel",
        Payload::LockTests => "image/kernel-lockdep",
    }
}

/// Whether QEMU's status tells that the guest ended with `expected`: the port keeps seven bits of it.
pub fn tells(status: ExitStatus, expected: u8) -> bool {
    let told = (i32::from(expected) << 1 | 1) & 0xff;
    status.code() == Some(told)
}

fn arguments(options: &Options) -> Vec<String> {
    let acpi = match options.firmware {
        Firmware::Acpi => "on",
        Firmware::CommandLine => "off",
    };
    let machine = format!("microvm,acpi={acpi},rtc=on,x-option-roms=off");
    let port = format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4");
    let (cpus, memory) = (options.cpus.to_string(), options.memory.to_string());
    let line = command_line(options);
    let mut arguments: Vec<String> = [
        ["-M", &machine],
        ["-accel", "tcg,thread=multi"],
        ["-cpu", "max"],
        ["-smp", &cpus],
        ["-m", &memory],
        ["-display", "none"],
        ["-global", "virtio-mmio.force-legacy=false"],
        ["-device", &port],
        ["-chardev", "stdio,id=console,signal=off"],
        ["-append", &line],
    ]
    .concat()
    .into_iter()
    .map(String::from)
    .collect();
    arguments.extend(["-no-reboot".into(), "-nodefaults".into()]);
    arguments.extend(console(options.console).iter().map(ToString::to_string));
    for (index, disk) in options.disks.iter().enumerate() {
        arguments.extend(drive(index, disk));
    }
    arguments.extend(options.qemu.iter().cloned());
    arguments
}

/// With virtio-console the kernel's log goes to standard error.
fn console(console: Console) -> &'static [&'static str] {
    match console {
        Console::Virtio => &[
            "-chardev",
            "file,id=log,path=/dev/stderr",
            "-serial",
            "chardev:log",
            "-device",
            "virtio-serial-device",
            "-device",
            "virtconsole,chardev=console",
        ],
        Console::Serial => &["-serial", "chardev:console"],
    }
}

fn drive(index: usize, disk: &str) -> [String; 4] {
    let (file, access) = match disk.strip_suffix(",ro") {
        Some(file) => (file, ",readonly=on"),
        None => (disk, ""),
    };
    [
        "-drive".into(),
        format!("id=disk{index},format=raw,if=none,file={file}{access}"),
        "-device".into(),
        format!("virtio-blk-device,drive=disk{index}"),
    ]
}

fn command_line(options: &Options) -> String {
    let mut words = vec![format!("{}={EXIT_PORT:#x}", cmdline::EXIT_PORT)];
    words.extend(options.append.iter().cloned());
    if let Some(command) = &options.command {
        words.push(format!("{}={}", cmdline::COMMAND, percent_encode(command)));
    }
    words.join(" ")
}

/// Makes one word of any text (see [`cmdline::COMMAND`]).
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut word, byte| {
        match cmdline::is_plain(byte) {
            true => word.push(byte as char),
            // Writing to a String cannot fail.
            false => drop(write!(word, "%{byte:02X}")),
        }
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn options_become_flags() {
        let mut options = Options::new().cpus(4).memory(32).append("a=1");
        options.disks = vec!["a.img".into(), "b.img,ro".into()];
        let options = options.command("sh -c 'exit 3'").qemu(&["-S"]);
        let all = arguments(&options).join(" ");
        for part in [
            "-M microvm,acpi=on,",
            "-smp 4 -m 32 ",
            "isa-debug-exit,iobase=0xf4,iosize=4",
            "-append exit_port=0xf4 a=1 command=sh%20-c%20%27exit%203%27 ",
            "file=a.img -device virtio-blk-device,drive=disk0",
            "file=b.img,readonly=on -device virtio-blk-device,drive=disk1",
        ] {
            assert!(all.contains(part), "{part} in: {all}");
        }
        assert!(all.ends_with(" -S"));
        let plain = arguments(&Options::new().firmware(Firmware::CommandLine)).join(" ");
        assert!(plain.contains("acpi=off") && !plain.contains("-drive"));
    }

    #[test]
    fn seven_bits_of_a_status_arrive() {
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        assert!(tells(code(1), 0) && tells(code(7), 3));
        assert!(tells(code(23), 139), "128 + 11 without its eighth bit");
        assert!(!tells(code(0), 0), "a reset is no status");
        assert!(!tells(ExitStatus::from_raw(9), 0), "killed");
    }
}
