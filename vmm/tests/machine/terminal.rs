//! The terminal: raw while the guest runs, restored whatever ends it.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::common::{Code, have_kvm};

const HLT_FOREVER: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];

struct Session {
    keyboard: File,
    terminal: File,
    vmm: Child,
}

fn start() -> Session {
    let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let open = || {
        let mut options = File::options();
        options.read(true).write(true);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0o400);
        options.open(name.to_str().unwrap()).unwrap()
    };
    let kernel = Code::default().print("up\n").raw(&HLT_FOREVER).kernel();
    let terminal = open();
    let vmm = Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args([
            "run",
            "--timeout",
            "20",
            "--kernel",
            kernel.path().to_str().unwrap(),
        ])
        .stdin(Stdio::from(open()))
        .stdout(Stdio::from(open()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let session = Session {
        keyboard: File::from(master),
        terminal,
        vmm,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while session.is_cooked() {
        assert!(Instant::now() < deadline, "the terminal becomes raw");
        std::thread::sleep(Duration::from_millis(5));
    }
    session
}

impl Session {
    fn is_cooked(&self) -> bool {
        tcgetattr(&self.terminal)
            .unwrap()
            .local_modes
            .contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn end(&mut self) -> Option<i32> {
        let status = self.vmm.wait().unwrap().code();
        assert!(self.is_cooked(), "the terminal is restored");
        status
    }
}

#[test]
fn ctrl_a_x_quits() {
    if !have_kvm() {
        return;
    }
    let mut session = start();
    session.keyboard.write_all(b"abc\x01\x01\x01x").unwrap();
    assert_eq!(session.end(), Some(0));
}

#[test]
fn signals_restore_the_terminal() {
    if !have_kvm() {
        return;
    }
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut session = start();
        kill_process(Pid::from_child(&session.vmm), signal).unwrap();
        assert_eq!(session.end(), Some(status));
    }
}
