//! The death of a guest: what is told, what is kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use crate::common::{Code, boot, have_kvm, stderr};

/// Prints, then faults without an interrupt table.
fn dying() -> NamedTempFile {
    let lidt = [0x0f, 0x01, 0x1d, 0x00, 0x08, 0x10, 0x00];
    let code = Code::default().print("bye").out(0x80, 0x1234, 32);
    code.raw(&lidt).raw(&[0x0f, 0x0b]).kernel()
}

#[test]
fn the_last_exits_are_told() {
    if !have_kvm() {
        return;
    }
    let output = boot(dying().path(), &["--cpus", "2"]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    for part in [
        "last exits of CPU 0:",
        "io_out 0x3f8, 1 bytes: 0x62",
        "io_out 0x80, 4 bytes: 0x1234\n    shutdown\n",
        "last exits of CPU 1:",
    ] {
        assert!(
            stderr(&output).contains(part),
            "`{part}` in {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_core_is_written_only_when_the_guest_dies() {
    if !have_kvm() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |kernel: &NamedTempFile| {
        let mut vmm = Command::new(env!("CARGO_BIN_EXE_vmm"));
        vmm.args(["run", "--memory", "32M", "--on-crash", "dump", "--kernel"]);
        let output = vmm
            .arg(kernel.path())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap();
        (
            output,
            files.map(|file| file.unwrap().path()).collect::<Vec<_>>(),
        )
    };
    let (output, files) = run(&Code::default().exit(3).kernel());
    assert_eq!((output.status.code(), files.len()), (Some(3), 0));
    let (output, files) = run(&dying());
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(
        stderr(&output).contains(&format!("are in {name}")),
        "{}",
        stderr(&output)
    );
    let core = std::fs::read(&files[0]).unwrap();
    assert!(core.len() > 32 << 20);
    // The kernel's code: the end of what was printed.
    let code = [&[0xb8][..], &u32::from(b'e').to_le_bytes(), &[0xee]].concat();
    assert!(core.windows(code.len()).any(|bytes| bytes == code));
}

/// A packet with its checksum.
fn packet(text: &str) -> String {
    let sum = text.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
    format!("${text}#{sum:02x}")
}

#[test]
fn a_dead_guest_waits_for_gdb_and_stays_dead() {
    if !have_kvm() {
        return;
    }
    let kernel = dying();
    let mut vmm = Command::new(env!("CARGO_BIN_EXE_vmm"));
    vmm.args([
        "run",
        "--timeout",
        "60",
        "--on-crash",
        "wait-gdb",
        "--kernel",
    ]);
    let child = vmm
        .arg(kernel.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("waiting for gdb on ")?;
        Some(rest.split(';').next()?.to_owned())
    });
    let mut gdb = TcpStream::connect(address.expect("an address")).unwrap();
    let mut ask = |text: &str, answer: &str| {
        gdb.write_all(packet(text).as_bytes()).unwrap();
        let mut got = String::new();
        while !got.contains(answer) {
            let mut chunk = [0; 1000];
            let count = gdb.read(&mut chunk).unwrap();
            assert!(count > 0, "`{answer}` after {text}: {got}");
            got.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
        gdb.write_all(b"+").unwrap();
    };
    ask("qSupported:multiprocess+;vContSupported+", "PacketSize");
    ask("m100000,1", "#");
    ask("vCont;c", "T06");
    ask("D", "OK");
    assert_eq!(child.wait().unwrap().code(), Some(69));
}
