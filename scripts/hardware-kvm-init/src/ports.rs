//! The virtio-serial ports to the host, found by the names that QEMU gives them.

use anyhow::{Context, Result, bail};
use hardware_kvm_init::PORTS;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(1);

/// The four ports, open and connected.
pub struct Ports {
    /// Messages.
    pub control: File,
    /// The command's standard input.
    pub input: File,
    /// Its standard output, or its terminal's.
    pub output: File,
    /// Its standard error.
    pub error: File,
}

impl Ports {
    /// Waits until the kernel has found all of them and the host's ends are connected.
    pub fn open() -> Result<Self> {
        let [control, input, output, error] = PORTS.map(open);
        Ok(Self {
            control: control?,
            input: input?,
            output: output?,
            error: error?,
        })
    }
}

fn open(name: &str) -> Result<File> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(port) = find(name)? {
            return connected(port, name);
        }
        sleep(PAUSE);
    }
    bail!("QEMU offers no virtio-serial port named {name}")
}

fn find(name: &str) -> Result<Option<File>> {
    let Ok(ports) = fs::read_dir("/sys/class/virtio-ports") else {
        return Ok(None); // no port yet
    };
    for port in ports {
        let port = port?.file_name();
        let label = Path::new("/sys/class/virtio-ports")
            .join(&port)
            .join("name");
        if fs::read_to_string(label).is_ok_and(|label| label.trim_end() == name) {
            let device = Path::new("/dev").join(&port);
            let file = File::options().read(true).write(true).open(&device);
            return file.map(Some).with_context(|| device.display().to_string());
        }
    }
    Ok(None)
}

/// The name comes before the word that the host is connected, and until that a read says "end of file".
fn connected(port: File, name: &str) -> Result<File> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let mut polled = [PollFd::new(&port, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default()))?;
        if !polled[0].revents().contains(PollFlags::HUP) {
            return Ok(port);
        }
        sleep(PAUSE);
    }
    bail!("nobody is connected to the virtio-serial port {name}")
}
