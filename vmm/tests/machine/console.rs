//! Consoles that are not standard input and output.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

use crate::common::{Code, have_kvm, vmm};

/// Says `up` on the UART, waits for a byte and ends with it as its status.
fn echoing() -> NamedTempFile {
    // mov dx, 0x3fd; in al, dx; test al, 1; jz back
    let wait = [0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb];
    // mov dx, 0x3f8; in al, dx; movzx eax, al; mov edx, 0xf4; out dx, eax
    let end = [
        0x66, 0xba, 0xf8, 0x03, 0xec, 0x0f, 0xb6, 0xc0, 0xba, 0xf4, 0, 0, 0, 0xef,
    ];
    Code::default().print("up\n").raw(&wait).raw(&end).kernel()
}

/// Starts it with its console at `target`; returns the place that the monitor tells.
fn start(kernel: &NamedTempFile, target: &str, told: &str) -> (Child, String) {
    let mut vmm = Command::new(env!("CARGO_BIN_EXE_vmm"));
    vmm.args(["run", "--append", "console=ttyS0", "--timeout", "60"]);
    vmm.args(["--console", target, "--kernel"])
        .arg(kernel.path());
    let child = vmm
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let place = line.trim_end().strip_prefix(told);
    (child, place.unwrap_or_else(|| panic!("{line}")).to_owned())
}

fn converse(mut stream: impl Read + Write, child: Child) {
    let mut said = [0; 3];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"up\n");
    stream.write_all(&[42]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(42), 0));
}

#[test]
fn a_pseudo_terminal_is_made_and_named() {
    if !have_kvm() {
        return;
    }
    let kernel = echoing();
    let (child, name) = start(&kernel, "pty", "vmm: the console is ");
    let terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .open(name)
        .unwrap();
    converse(terminal, child);
}

#[test]
fn a_socket_waits_for_its_first_connection() {
    if !have_kvm() {
        return;
    }
    let (kernel, folder) = (echoing(), tempfile::tempdir().unwrap());
    let path = folder.path().join("console");
    let target = format!("unix:{}", path.display());
    let (child, place) = start(
        &kernel,
        &target,
        "vmm: waiting for a console's connection to ",
    );
    let stream = UnixStream::connect(place).unwrap();
    converse(stream, child);
    assert!(!path.exists());
}

#[test]
fn a_place_that_cannot_be_is_refused() {
    let kernel = echoing();
    let kernel = kernel.path().to_str().unwrap();
    let output = vmm(&["--kernel", kernel, "--console", "tty"]);
    assert_eq!(output.status.code(), Some(64));
    if have_kvm() {
        let output = vmm(&["--kernel", kernel, "--console", "unix:/no/such/folder"]);
        assert_eq!(output.status.code(), Some(70));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("unix:/no/such/folder") && text.contains("--console"),
            "{text}"
        );
    }
}
