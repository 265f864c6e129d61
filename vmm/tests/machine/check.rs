//! `vmm check` and `vmm info`.

use std::process::{Command, Output};

use crate::common::{Code, have_kvm, stderr};

fn vmm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_good_image_is_described_and_not_run() {
    let kernel = Code::default().exit(3).kernel();
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.toml");
    std::fs::write(folder.path().join("disk.img"), [0; 1 << 20]).unwrap();
    let kernel = kernel.path().display();
    let text = format!(
        "kernel = \"{kernel}\"\ncpus = 2\n[[disk]]\npath = \"disk.img\"\nsnapshot = true\n"
    );
    std::fs::write(&image, text).unwrap();
    let output = vmm(&["check", image.to_str().unwrap(), "--memory", "64M"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "2 CPUs, 64M",
        "PVH ELF, entry 0x100000",
        "disk.img: 1M, snapshot",
    ] {
        assert!(
            stdout(&output).contains(part),
            "`{part}` in {}",
            stdout(&output)
        );
    }
    assert!(output.stderr.is_empty());
}

#[test]
fn every_problem_is_told_and_the_first_chooses_the_status() {
    let arguments = [
        "check",
        "--kernel",
        "no/kernel",
        "--disk",
        "no/a.img",
        "--disk",
        "no/b.img",
    ];
    let output = vmm(&arguments);
    assert_eq!(output.status.code(), Some(66));
    for part in ["no/kernel", "no/a.img", "no/b.img"] {
        assert!(
            stderr(&output).contains(part),
            "`{part}` in {}",
            stderr(&output)
        );
    }
    assert_eq!(stderr(&output).lines().count(), 3);
    let kernel = Code::default().kernel();
    let kernel = kernel.path().to_str().unwrap();
    let output = vmm(&["check", "--kernel", kernel, "--initrd", "no/initrd"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("no/initrd"), "{}", stderr(&output));
}

#[test]
fn the_host_is_described() {
    if !have_kvm() {
        return;
    }
    let output = vmm(&["info"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["API version 12", "machine: ", "KVM_CAP_IRQFD "] {
        assert!(
            stdout(&output).contains(part),
            "`{part}` in {}",
            stdout(&output)
        );
    }
}
