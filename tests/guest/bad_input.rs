//! Bad input: one message with the file, the cause and the remedy; the documented status; and no file
//! that was named is altered.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::trial::{needs, on_monitor};
use anyhow::{Context, Result, ensure};
use ferrix_tests::host::{self, Need};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// In what surroundings the monitor runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// As the test itself.
    Here,
    /// There is no `/dev/kvm`.
    NoKvm,
    /// `/dev/kvm` may not be opened.
    ForbiddenKvm,
    /// File permissions bind, as they do for ordinary users.
    Bound,
}

/// A bad start. The folder holds what the case made; `FOLDER` in an option or a message stands for it.
struct Case {
    name: &'static str,
    place: Where,
    make: fn(&Folder) -> Result<()>,
    options: &'static [&'static str],
    /// Exit status, as in `vmm/README.md`.
    status: i32,
    /// Parts of the message: file, cause, remedy.
    says: [&'static str; 3],
}

const IMAGE: &str = "images/default.toml";
const GOOD_DISK: &str = "FOLDER/disk.img";

const CASES: &[Case] = &[
    Case {
        name: "image_missing",
        place: Where::Here,
        make: |_| Ok(()),
        options: &["FOLDER/none.toml", "--disk", GOOD_DISK],
        status: 66,
        says: ["FOLDER/none.toml", "No such file", "images/default.toml"],
    },
    Case {
        name: "image_malformed",
        place: Where::Here,
        make: |folder| folder.write("bad.toml", b"kernel = \"k\"\ncpus = \"two\"\n"),
        options: &["FOLDER/bad.toml", "--disk", GOOD_DISK],
        status: 66,
        says: ["FOLDER/bad.toml", "line 2", "cpus"],
    },
    Case {
        name: "kernel_missing",
        place: Where::Here,
        make: |_| Ok(()),
        options: &["--kernel", "FOLDER/kernel", "--disk", GOOD_DISK],
        status: 66,
        says: ["FOLDER/kernel", "No such file", "scripts/build"],
    },
    Case {
        name: "kernel_is_no_elf",
        place: Where::Here,
        make: |folder| folder.write("kernel", b"#!/bin/sh\n# not a kernel\n"),
        options: &["--kernel", "FOLDER/kernel", "--disk", GOOD_DISK],
        status: 66,
        says: ["FOLDER/kernel", "not an ELF", "vmlinux"],
    },
    Case {
        name: "kernel_without_pvh_note",
        place: Where::Here,
        make: |folder| folder.write("kernel", &elf_without_note()),
        options: &["--kernel", "FOLDER/kernel", "--disk", GOOD_DISK],
        status: 66,
        says: ["FOLDER/kernel", "no PVH entry note", "build it with PVH"],
    },
    Case {
        name: "disk_missing",
        place: Where::Here,
        make: |_| Ok(()),
        options: &[IMAGE, "--disk", "FOLDER/none.img"],
        status: 67,
        says: ["FOLDER/none.img", "does not exist", "scripts/build"],
    },
    Case {
        name: "disk_empty",
        place: Where::Here,
        make: |folder| folder.write("empty.img", b""),
        options: &[IMAGE, "--disk", "FOLDER/empty.img"],
        status: 67,
        says: ["FOLDER/empty.img", "is empty", "truncate"],
    },
    Case {
        name: "disk_cut_off",
        place: Where::Here,
        make: |folder| folder.write("odd.img", &[7; 1000]),
        options: &[IMAGE, "--disk", "FOLDER/odd.img"],
        status: 67,
        says: ["FOLDER/odd.img", "1000 bytes", "512"],
    },
    Case {
        name: "disk_not_writable",
        place: Where::Bound,
        make: |folder| folder.forbid_writing("disk.img"),
        options: &[IMAGE, "--disk", GOOD_DISK],
        status: 67,
        says: [GOOD_DISK, "not writable", ",ro"],
    },
    Case {
        name: "disk_with_broken_ext2",
        place: Where::Here,
        make: |_| Ok(()),
        options: &[IMAGE, "--disk", GOOD_DISK],
        status: 71,
        says: ["vda", "cannot mount", "--disk FILE"],
    },
    Case {
        name: "disk_without_ext2",
        place: Where::Here,
        make: |folder| folder.write("disk.img", &[0x5a; 1 << 20]),
        options: &[IMAGE, "--disk", GOOD_DISK],
        status: 67,
        says: [GOOD_DISK, "holds no ext2 file system", "mke2fs -t ext2"],
    },
    Case {
        name: "too_little_memory",
        place: Where::Here,
        make: |_| Ok(()),
        options: &[IMAGE, "--memory", "16M", "--disk", GOOD_DISK],
        status: 66,
        says: ["16M", "at least 32M", "--memory"],
    },
    Case {
        name: "no_dev_kvm",
        place: Where::NoKvm,
        make: |_| Ok(()),
        options: &[IMAGE, "--disk", GOOD_DISK],
        status: 65,
        says: ["/dev/kvm", "does not exist", "QEMU"],
    },
    Case {
        name: "no_permission_for_dev_kvm",
        place: Where::ForbiddenKvm,
        make: |folder| {
            folder.write("device", b"")?;
            folder.set_mode("device", 0)
        },
        options: &[IMAGE, "--disk", GOOD_DISK],
        status: 65,
        says: ["/dev/kvm", "permission denied", "usermod -aG kvm"],
    },
    Case {
        name: "usage",
        place: Where::Here,
        make: |_| Ok(()),
        options: &[IMAGE, "--cpus", "0", "--disk", GOOD_DISK],
        status: 64,
        says: ["0 CPUs", "not possible", "--cpus 1"],
    },
];

pub fn trials() -> Vec<Trial> {
    let trial = |case: &'static Case| {
        let needed: &[Need] = match case.place {
            Where::Here => &[],
            Where::Bound | Where::NoKvm | Where::ForbiddenKvm => &[Need::Namespaces],
        };
        let name = format!("bad_input::{}", case.name);
        let why = "about the monitor's messages and statuses";
        needs(on_monitor(&name, why, || case.check()), needed)
    };
    CASES.iter().map(trial).collect()
}

impl Case {
    fn check(&self) -> Result<()> {
        let folder = Folder::new()?;
        (self.make)(&folder)?;
        let before = folder.content()?;
        let output = self.run(&folder)?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status;
        ensure!(
            status.code() == Some(self.status),
            "{status} instead of {}: {message}",
            self.status
        );
        for part in self.says {
            let part = folder.resolve(part);
            ensure!(message.contains(&part), "`{part}` is not in: {message}");
        }
        let cause = folder.resolve(self.says[1]);
        ensure!(
            message.matches(&cause).count() == 1,
            "the cause is repeated: {message}"
        );
        ensure!(output.stdout.is_empty(), "standard output is the guest's");
        ensure!(folder.content()? == before, "a file was altered");
        Ok(())
    }

    fn run(&self, folder: &Folder) -> Result<Output> {
        let monitor = host::monitor()?;
        let mut command = match self.place {
            Where::Here => monitor,
            Where::NoKvm => wrap("mount -t tmpfs none /dev", &monitor),
            Where::ForbiddenKvm => {
                let device = folder.resolve("FOLDER/device");
                wrap(&format!("mount --bind '{device}' /dev/kvm"), &monitor)
            }
            Where::Bound => wrap("true", &monitor),
        };
        command.args(self.options.iter().map(|option| folder.resolve(option)));
        command.args(["--timeout", "30"]).stdin(Stdio::null());
        command.output().with_context(|| format!("{command:?}"))
    }
}

/// The monitor in a namespace of its own, prepared by a shell command.
fn wrap(prepare: &str, monitor: &Command) -> Command {
    let mut command = host::in_namespace(prepare);
    command.arg(monitor.get_program()).args(monitor.get_args());
    command.current_dir(host::root());
    command
}

/// Where the magic number of an ext2 superblock is.
const EXT2_MAGIC_AT: usize = 1024 + 56;

/// A case's files; `disk.img` in it is a good disk as far as the monitor looks.
struct Folder(TempDir);

impl Folder {
    fn new() -> Result<Self> {
        let folder = Self(ferrix_tests::disk::folder()?);
        let mut disk = vec![0x5a; 1 << 20];
        disk[EXT2_MAGIC_AT..][..2].copy_from_slice(&[0x53, 0xef]);
        folder.write("disk.img", &disk)?;
        Ok(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn resolve(&self, text: &str) -> String {
        text.replace("FOLDER", &self.0.path().display().to_string())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        fs::write(self.path(name), bytes).with_context(|| name.to_string())
    }

    fn set_mode(&self, name: &str, mode: u32) -> Result<()> {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.path(name), permissions).with_context(|| name.to_string())
    }

    fn forbid_writing(&self, name: &str) -> Result<()> {
        self.set_mode(name, 0o444)
    }

    /// Every file with its bytes and its time of change.
    fn content(&self) -> Result<BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.0.path())? {
            let path = entry?.path();
            let time = fs::metadata(&path)?.modified()?;
            // A file of mode 0 is there for its permissions only.
            let bytes = fs::read(&path).unwrap_or_default();
            files.insert(path, (bytes, time));
        }
        Ok(files)
    }
}

/// An executable for x86-64 with one segment at 1 MiB and nothing else.
fn elf_without_note() -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(16, 0);
    for half in [2u16, 62, 1, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [0x10_0000u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable: offset, addresses, sizes, alignment.
    for word in [1 | 5 << 32, 0, 0x10_0000, 0x10_0000, 121, 121, 0x1000u64] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.push(0xf4);
    bytes
}
