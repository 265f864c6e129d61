//! Bad input: one message with the file, the cause and the remedy, and the documented status.

use std::fs;
use std::io::Write;

use crate::common::{Code, stderr, vmm};

/// Runs and checks status and message.
fn refused(arguments: &[&str], status: i32, parts: &[&str]) {
    let output = vmm(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` in: {text}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn usage() {
    refused(&[], 64, &["IMAGE.toml"]);
    refused(&["x.toml", "--cpus", "many"], 64, &["--cpus"]);
    refused(&["x.toml", "--nonsense"], 64, &["--nonsense"]);
    let kernel = Code::default().exit(0).kernel();
    let kernel = kernel.path().to_str().unwrap();
    refused(&["--kernel", kernel, "--cpus", "0"], 64, &["--cpus 1"]);
}

#[test]
fn images_and_kernels() {
    refused(
        &["no/image.toml"],
        66,
        &["no/image.toml", "No such file", "images/default.toml"],
    );
    refused(
        &["--kernel", "no/kernel"],
        66,
        &["no/kernel", "No such file", "scripts/build"],
    );
    let mut text = tempfile::NamedTempFile::new().unwrap();
    text.write_all(b"kernel = 3\n").unwrap();
    let path = text.path().to_str().unwrap();
    refused(&[path], 66, &[path, "line 1", "string"]);
    refused(&["--kernel", path], 66, &[path, "not an ELF", "vmlinux"]);
    let program = std::env::current_exe().unwrap();
    refused(
        &["--kernel", program.to_str().unwrap()],
        66,
        &["cannot boot kernel", ";"],
    );
}

#[test]
fn memory_and_modules() {
    let kernel = Code::default().exit(0).kernel();
    let kernel = kernel.path().to_str().unwrap();
    refused(
        &["--kernel", kernel, "--memory", "4M"],
        66,
        &["4M", "32M", "--memory"],
    );
    refused(&["--kernel", kernel, "--memory", "4X"], 64, &["256M"]);
    refused(
        &["--kernel", kernel, "--initrd", "no/initrd"],
        66,
        &["no/initrd", "boot module"],
    );
}

#[test]
fn disks() {
    let kernel = Code::default().exit(0).kernel();
    let kernel = kernel.path().to_str().unwrap();
    let disk = |option: &str, parts: &[&str]| {
        refused(
            &["--kernel", kernel, "--disk", option],
            67,
            &[&[option], parts].concat(),
        );
    };
    disk("no/disk.img", &["does not exist"]);
    disk("/dev/null", &["no regular file"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    disk(path, &["is empty", "truncate"]);
    fs::write(path, [7; 700]).unwrap();
    disk(path, &["700 bytes", "512"]);
    assert_eq!(
        fs::read(path).unwrap(),
        [7; 700],
        "a failed start changes nothing"
    );
}

#[test]
fn gdb_address_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kernel = Code::default().exit(0).kernel();
    let kernel = kernel.path().to_str().unwrap();
    refused(
        &["--kernel", kernel, "--gdb", &address],
        70,
        &[&address, "port 0"],
    );
}

#[test]
fn no_permission_for_kvm() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let mode = fs::metadata("/dev/kvm").map_or(0o666, |m| m.permissions().mode());
    if !rustix::process::geteuid().is_root() || mode & 0o006 == 0o006 {
        eprintln!("SKIPPED: needs the superuser and a /dev/kvm that is not for everybody");
        return;
    }
    let kernel = Code::default().exit(0).kernel();
    fs::set_permissions(kernel.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args(["run", "--kernel", kernel.path().to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{text}");
    assert!(
        text.contains("/dev/kvm") && text.contains("usermod -aG kvm"),
        "{text}"
    );
}
