//! A real gdb against the monitor, in batch mode.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{Code, have_kvm};

/// mov eax, 1; three times inc eax; then exit with al.
const COUNT: [u8; 8] = [0xb8, 1, 0, 0, 0, 0x40, 0x40, 0x40];
const EXIT_WITH_EAX: [u8; 6] = [0xba, 0xf4, 0, 0, 0, 0xef];
/// Waits for a flag at 0x200000: mov eax, [0x200000]; test eax, eax; jz back.
const POLL_FLAG: [u8; 9] = [0xa1, 0, 0, 0x20, 0, 0x85, 0xc0, 0x74, 0xf7];
const LOOP: [u8; 2] = [0xeb, 0xfe];

fn have_gdb() -> bool {
    let found = Command::new("gdb").arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: gdb is not installed (apt-get install gdb)");
    }
    found
}

/// Starts a machine that waits for gdb; returns it and gdb's `target remote` address.
fn start(code: &Code, arguments: &[&str]) -> (Child, String) {
    let kernel = code.kernel();
    let mut vmm = Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args(["run", "--kernel", kernel.path().to_str().unwrap()])
        .args(["--gdb", "127.0.0.1:0", "--timeout", "30"])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(vmm.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    // The kernel's file may go once the monitor says more; it has been read by then or the test
    // fails below.
    std::thread::spawn(move || (stderr.read_to_string(&mut String::new()), kernel));
    (vmm, line.trim().rsplit(' ').next().unwrap().to_string())
}

fn gdb(address: &str, commands: &[&str]) -> String {
    let remote = format!("target remote {address}");
    let setup = [
        "set confirm off",
        "set pagination off",
        "set architecture i386:x86-64",
        &remote,
    ];
    let mut gdb = Command::new("gdb");
    gdb.args(["-batch", "-nx"]);
    for command in setup.iter().chain(commands) {
        gdb.args(["-ex", command]);
    }
    let output = gdb.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn breakpoints_registers_memory_steps_and_detach() {
    if !have_kvm() || !have_gdb() {
        return;
    }
    let code = Code::default().raw(&COUNT).raw(&EXIT_WITH_EAX).raw(&LOOP);
    let (mut vmm, address) = start(&code, &["--cpus", "2"]);
    let text = gdb(
        &address,
        &[
            "print/x $rip",
            "print/x $cr0 & 1",
            "info threads",
            "break *0x100006",
            "continue",
            "print $rax",
            "x/8xb 0x100000",
            "stepi",
            "print/x $rip",
            "print $rax",
            "set var $rax = 40",
            "set var *(char*)0x200000 = 9",
            "print/d *(char*)0x200000",
            "delete",
            "detach",
        ],
    );
    for expected in [
        "$1 = 0x100000",
        "$2 = 0x1",
        "CPU 1",
        "Breakpoint 1",
        "$3 = 2",
        "$4 = 0x100007",
        "$5 = 3",
        "$6 = 9",
    ] {
        assert!(text.contains(expected), "{expected} in:\n{text}");
    }
    assert!(
        text.contains("0xb8\t0x01\t0x00\t0x00\t0x00\t0x40\t0x40\t0x40"),
        "{text}"
    );
    assert_eq!(
        vmm.wait().unwrap().code(),
        Some(41),
        "one increment after the change:\n{text}"
    );
}

#[test]
fn monitor_commands() {
    if !have_kvm() || !have_gdb() {
        return;
    }
    let (mut vmm, address) = start(&Code::default().raw(&LOOP), &["--cpus", "2"]);
    let commands = [
        "monitor help",
        "monitor info",
        "monitor stats",
        "monitor translate 0x100006",
        "monitor halt",
        "monitor quit",
    ];
    let text = gdb(&address, &commands);
    for expected in [
        "translate ADDR",
        "CPU 0: rip 0x100000",
        "CPU 0: 0x100006",
        "CPU 1: ",
        "no command `halt`",
        "the machine ends",
    ] {
        assert!(text.contains(expected), "{expected} in:\n{text}");
    }
    assert_eq!(vmm.wait().unwrap().code(), Some(0), "{text}");
}

#[test]
fn interrupt_and_attach_again() {
    if !have_kvm() || !have_gdb() {
        return;
    }
    let code = Code::default()
        .raw(&POLL_FLAG)
        .raw(&EXIT_WITH_EAX)
        .raw(&LOOP);
    let (mut vmm, address) = start(&code, &[]);
    let text = gdb(&address, &["detach"]);
    assert!(text.contains("detached"), "{text}");
    let text = gdb(
        &address,
        &[
            "print/x $cs",
            "print ((long)$rip & ~0xf) == 0x100000",
            "detach",
        ],
    );
    assert!(
        text.contains("$1 = 0x8") && text.contains("$2 = 1"),
        "{text}"
    );
    let text = gdb(&address, &["set var *(int*)0x200000 = 17", "continue"]);
    assert!(text.contains("exited with code 021"), "{text}");
    assert_eq!(vmm.wait().unwrap().code(), Some(17));
}

/// Sends one packet of the remote protocol.
fn send(stream: &mut TcpStream, packet: &str) {
    let sum = packet.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
    stream
        .write_all(format!("+${packet}#{sum:02x}").as_bytes())
        .unwrap();
}

/// Receives one packet's content.
fn receive(stream: &mut TcpStream) -> String {
    let mut next = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    };
    while next() != b'$' {}
    let packet: Vec<u8> = std::iter::repeat_with(&mut next)
        .take_while(|byte| *byte != b'#')
        .collect();
    next();
    next();
    String::from_utf8(packet).unwrap()
}

#[test]
fn ctrl_c_stops_a_running_guest() {
    if !have_kvm() {
        return;
    }
    let code = Code::default()
        .raw(&POLL_FLAG)
        .raw(&EXIT_WITH_EAX)
        .raw(&LOOP);
    let (mut vmm, address) = start(&code, &["--cpus", "2"]);
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    send(
        &mut stream,
        "qSupported:multiprocess+;swbreak+;vContSupported+",
    );
    assert!(receive(&mut stream).contains("swbreak+"));
    send(&mut stream, "vCont;c");
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(&[3]).unwrap();
    assert!(receive(&mut stream).starts_with("T02"), "SIGINT");
    send(&mut stream, "M200000,4:13000000");
    assert_eq!(receive(&mut stream), "OK");
    send(&mut stream, "vCont;c");
    assert_eq!(
        receive(&mut stream),
        "W13",
        "the end is told with its status"
    );
    assert_eq!(vmm.wait().unwrap().code(), Some(0x13));
}
