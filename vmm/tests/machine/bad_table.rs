//! Bad command lines, manifests, kernels and disks: the whole message, the status, and that no file is
//! altered.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::Code;

/// What a file holds.
enum Content {
    Text(&'static str),
    Bytes(&'static [u8]),
    /// So many zeroes.
    Size(usize),
    /// A kernel that boots.
    Good,
    /// The beginning of it.
    Cut(usize),
    /// It, with bytes replaced.
    Elf(&'static [(usize, &'static [u8])]),
    /// A Linux kernel, with bytes replaced.
    BzImage(&'static [(usize, &'static [u8])]),
}

use Content::*;

/// A bad start: its name, options, files, status and message.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, Content)],
    i32,
    &'static str,
);

impl Content {
    fn bytes(&self) -> Vec<u8> {
        let good = || Code::default().exit(0).elf();
        let replace = |mut bytes: Vec<u8>, patches: &[(usize, &[u8])]| {
            for (at, patch) in patches {
                bytes[*at..at + patch.len()].copy_from_slice(patch);
            }
            bytes
        };
        match self {
            Text(text) => text.as_bytes().to_vec(),
            Bytes(bytes) => bytes.to_vec(),
            Size(size) => vec![0; *size],
            Good => good(),
            Cut(length) => good()[..*length].to_vec(),
            Elf(patches) => replace(good(), patches),
            BzImage(patches) => replace(Code::default().exit(0).bzimage_bytes(), patches),
        }
    }
}

/// Words in capitals stand for what would be too long here.
fn arguments(options: &str) -> Vec<String> {
    let expand = |word: &str| match word {
        "LONG" => vec!["x".repeat(3000)],
        // More than a single argument can be.
        "LONGER" => vec![format!("--append={}", "x".repeat(100_000)); 7],
        "DISKS" => (0..18)
            .flat_map(|_| ["--disk".to_owned(), "d".to_owned()])
            .collect(),
        word => vec![word.to_owned()],
    };
    options.split(' ').flat_map(expand).collect()
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                std::fs::read(file.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn every_bad_start_has_its_message_and_alters_nothing() {
    let mut wrong = Vec::new();
    for (name, options, files, status, message) in CASES {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in *files {
            std::fs::write(folder.path().join(file), content.bytes()).unwrap();
        }
        let before = contents(folder.path());
        let mut vmm = Command::new(env!("CARGO_BIN_EXE_vmm"));
        vmm.arg("run").args(arguments(options)).stdin(Stdio::null());
        let output = vmm.current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(*status) || told != *message {
            wrong.push(format!("{name}: {:?}\n{told}", output.status.code()));
        }
        assert!(output.stdout.is_empty(), "{name}");
        assert!(contents(folder.path()) == before, "{name} altered a file");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(CASES.len() >= 70);
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("image_not_named", "--stats", &[], 64,
     "error: the following required arguments were not provided:\n  <IMAGE.toml>\n\nUsage: vmm run --stats <IMAGE.toml>\n\nFor more information, try '--help'.\n"),
    ("image_and_kernel", "i.toml --kernel k", &[], 64,
     "error: the argument '[IMAGE.toml]' cannot be used with '--kernel <FILE>'\n\nUsage: vmm run <IMAGE.toml>\n\nFor more information, try '--help'.\n"),
    ("option_without_value", "--kernel k --initrd", &[], 64,
     "error: a value is required for '--initrd <FILE>' but none was supplied\n\nFor more information, try '--help'.\n"),
    ("cpus_are_no_number", "--kernel k --cpus two", &[], 64,
     "error: invalid value 'two' for '--cpus <N>': `two` is no number of CPUs; write for example 4\n\nFor more information, try '--help'.\n"),
    ("memory_is_no_size", "--kernel k --memory lots", &[], 64,
     "error: invalid value 'lots' for '--memory <SIZE>': `lots` is no size of memory; write for example 256M or 4G\n\nFor more information, try '--help'.\n"),
    ("memory_beyond_everything", "--kernel k --memory 2000G", &[], 64,
     "error: invalid value '2000G' for '--memory <SIZE>': `2000G` is more than a guest can have (1024G); write for example 4G\n\nFor more information, try '--help'.\n"),
    ("disk_without_a_name", "--kernel k --disk ,ro", &[], 64,
     "error: invalid value ',ro' for '--disk <FILE[,ro|,snapshot]>': the file name is empty; write FILE, FILE,ro or FILE,snapshot\n\nFor more information, try '--help'.\n"),
    ("console_unknown", "--kernel k --console tty", &[], 64,
     "error: invalid value 'tty' for '--console <stdio|pty|unix:PATH>': no console `tty`: write stdio, pty or unix:PATH\n\nFor more information, try '--help'.\n"),
    ("machine_unknown", "--kernel k --machine pc", &[], 64,
     "error: invalid value 'pc' for '--machine <MODEL[,announce=HOW]>': no machine `pc`: write ferrix or firecracker\n\nFor more information, try '--help'.\n"),
    ("gdb_without_a_port", "--kernel k --gdb localhost", &[], 64,
     "error: invalid value 'localhost' for '--gdb <ADDR:PORT>': `localhost` is no address with a port; write for example 127.0.0.1:1234\n\nFor more information, try '--help'.\n"),
    ("timeout_of_no_time", "--kernel k --timeout 0", &[], 64,
     "error: invalid value '0' for '--timeout <SECS>': `0` is no number of seconds; write 1 or more\n\nFor more information, try '--help'.\n"),
    ("level_unknown", "--kernel k --log-level loud", &[], 64,
     "error: invalid value 'loud' for '--log-level <LEVEL>': `loud` is no level of messages; write off, error, warn, info, debug or trace\n\nFor more information, try '--help'.\n"),
    ("on_crash_unknown", "--kernel k --on-crash wait", &[], 64,
     "error: invalid value 'wait' for '--on-crash <exit|wait-gdb|dump>'\n  [possible values: exit, wait-gdb, dump]\n\n  tip: a similar value exists: 'wait-gdb'\n\nFor more information, try '--help'.\n"),
    ("trace_in_no_folder", "--kernel k --trace no/trace", &[("k", Good)], 70,
     "vmm: cannot write a trace to no/trace: No such file or directory (os error 2); name another file by --trace\n"),
    ("manifest_missing", "no.toml", &[], 66,
     "vmm: cannot read image manifest no.toml: No such file or directory (os error 2); name an existing image, e.g. images/default.toml\n"),
    ("manifest_is_a_folder", ".", &[], 66,
     "vmm: cannot read image manifest .: Is a directory (os error 21); name an existing image, e.g. images/default.toml\n"),
    ("manifest_is_no_text", "i.toml", &[("i.toml", Bytes(&[0xff, 0xfe, 0]))], 66,
     "vmm: bad image manifest i.toml: it is no text (UTF-8); name an image manifest, or boot a kernel by --kernel\n"),
    ("manifest_empty", "i.toml", &[("i.toml", Text(""))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 1, column 1\n  |\n1 | \n  | ^\nmissing field `kernel`\n"),
    ("manifest_unknown_key", "i.toml", &[("i.toml", Text("kernel = \"good\"\ncpu = 2\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 1\n  |\n2 | cpu = 2\n  | ^^^\nunknown field `cpu`, expected one of `kernel`, `cpus`, `memory`, `append`, `command`, `root`, `console`, `module`, `disk`\n"),
    ("manifest_wrong_type", "i.toml", &[("i.toml", Text("kernel = \"good\"\ncpus = \"two\"\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 8\n  |\n2 | cpus = \"two\"\n  |        ^^^^^\ninvalid type: string \"two\", expected u32\n"),
    ("manifest_negative_cpus", "i.toml", &[("i.toml", Text("kernel = \"good\"\ncpus = -1\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 8\n  |\n2 | cpus = -1\n  |        ^^\ninvalid value: integer `-1`, expected u32\n"),
    ("manifest_memory_is_no_size", "i.toml", &[("i.toml", Text("kernel = \"good\"\nmemory = \"lots\"\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 10\n  |\n2 | memory = \"lots\"\n  |          ^^^^^^\n`lots` is no size of memory; write for example 256M or 4G\n"),
    ("manifest_memory_is_odd", "i.toml", &[("i.toml", Text("kernel = \"good\"\nmemory = 5000\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 10\n  |\n2 | memory = 5000\n  |          ^^^^\n`5000` is no whole number of 4 KiB pages; write for example 256M\n"),
    ("manifest_unknown_file_system", "i.toml", &[("i.toml", Text("kernel = \"good\"\nroot = \"ntfs\"\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 8\n  |\n2 | root = \"ntfs\"\n  |        ^^^^^^\nunknown variant `ntfs`, expected `ext2`\n"),
    ("manifest_disk_without_path", "i.toml", &[("i.toml", Text("kernel = \"good\"\n[[disk]]\nread_only = true\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 1\n  |\n2 | [[disk]]\n  | ^^^^^^^^\nmissing field `path`\n"),
    ("manifest_disk_of_two_modes", "i.toml", &[("i.toml", Text("kernel = \"good\"\n[[disk]]\npath = \"d\"\nread_only = true\nsnapshot = true\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 1\n  |\n2 | [[disk]]\n  | ^^^^^^^^\na disk is `read_only` or a `snapshot`, not both\n"),
    ("manifest_unknown_key_of_a_module", "i.toml", &[("i.toml", Text("kernel = \"good\"\n[[module]]\npath = \"m\"\nname = \"x\"\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 4, column 1\n  |\n4 | name = \"x\"\n  | ^^^^\nunknown field `name`, expected `path` or `args`\n"),
    ("manifest_key_twice", "i.toml", &[("i.toml", Text("kernel = \"good\"\nkernel = \"good\"\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 2, column 1\n  |\n2 | kernel = \"good\"\n  | ^^^^^^\nduplicate key\n"),
    ("manifest_unfinished", "i.toml", &[("i.toml", Text("kernel = \"good\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 1, column 15\n  |\n1 | kernel = \"good\n  |               ^\ninvalid basic string, expected `\"`\n"),
    ("manifest_without_kernel", "i.toml", &[("i.toml", Text("cpus = 1\n"))], 66,
     "vmm: bad image manifest i.toml: TOML parse error at line 1, column 1\n  |\n1 | cpus = 1\n  | ^\nmissing field `kernel`\n"),
    ("manifest_no_cpus", "i.toml", &[("i.toml", Text("kernel = \"good\"\ncpus = 0\n")), ("good", Good)], 64,
     "vmm: 0 CPUs are not possible; give --cpus 1 to 64\n"),
    ("manifest_module_missing", "i.toml", &[("i.toml", Text("kernel = \"good\"\n[[module]]\npath = \"sub/m\"\n")), ("good", Good)], 66,
     "vmm: cannot read boot module sub/m: No such file or directory (os error 2); check the path, or build the image first (scripts/build)\n"),
    ("image_kernel_missing", "i.toml", &[("i.toml", Text("kernel = \"sub/k\"\n"))], 66,
     "vmm: cannot read kernel sub/k: No such file or directory (os error 2); check the path, or build the image first (scripts/build)\n"),
    ("kernel_missing", "--kernel k", &[], 66,
     "vmm: cannot read kernel k: No such file or directory (os error 2); check the path, or build the image first (scripts/build)\n"),
    ("kernel_is_a_folder", "--kernel .", &[], 66,
     "vmm: cannot read kernel .: is a directory; check the path, or build the image first (scripts/build)\n"),
    ("kernel_empty", "--kernel k", &[("k", Bytes(&[]))], 66,
     "vmm: cannot boot kernel k: it is not an ELF file, nor a Linux bzImage: it begins with nothing (the file is empty); name the kernel itself (an ELF file with a PVH note, vmlinux or bzImage), not packed in anything else\n"),
    ("kernel_is_a_script", "--kernel k", &[("k", Text("#!/bin/sh\n"))], 66,
     "vmm: cannot boot kernel k: it is not an ELF file, nor a Linux bzImage: it begins with 23 21 2f 62 (a script); name the kernel itself (an ELF file with a PVH note, vmlinux or bzImage), not packed in anything else\n"),
    ("kernel_is_packed", "--kernel k", &[("k", Bytes(b"\x28\xb5\x2f\xfd more"))], 66,
     "vmm: cannot boot kernel k: it is not an ELF file, nor a Linux bzImage: it begins with 28 b5 2f fd (zstd); name the kernel itself (an ELF file with a PVH note, vmlinux or bzImage), not packed in anything else\n"),
    ("kernel_cut_in_its_header", "--kernel k", &[("k", Cut(40))], 66,
     "vmm: cannot boot kernel k: its ELF headers are damaged (Bad offset: 0x40); build or copy the kernel again\n"),
    ("kernel_cut_in_a_segment", "--kernel k", &[("k", Cut(0x1002))], 66,
     "vmm: cannot boot kernel k: its segment at 0x100000 goes past the end of the file; build or copy the kernel again\n"),
    ("kernel_for_arm", "--kernel k", &[("k", Elf(&[(18, &[183])]))], 66,
     "vmm: cannot boot kernel k: it is built for a 64-bit little-endian machine, e_machine 183 (ARM 64-bit architecture (AARCH64)), where 64-bit little-endian x86-64 (ELFCLASS64, ELFDATA2LSB, e_machine 62) is expected; build it for x86_64\n"),
    ("kernel_of_32_bits", "--kernel k", &[("k", Elf(&[(4, &[1])]))], 66,
     "vmm: cannot boot kernel k: it is built for a 32-bit little-endian machine, e_machine 62 (AMD x86-64 architecture), where 64-bit little-endian x86-64 (ELFCLASS64, ELFDATA2LSB, e_machine 62) is expected; build it for x86_64\n"),
    ("kernel_big_endian", "--kernel k", &[("k", Elf(&[(5, &[2])]))], 66,
     "vmm: cannot boot kernel k: it is built for a 64-bit big-endian machine, e_machine 15872 (unknown), where 64-bit little-endian x86-64 (ELFCLASS64, ELFDATA2LSB, e_machine 62) is expected; build it for x86_64\n"),
    ("kernel_without_notes", "--kernel k", &[("k", Elf(&[(64, &[0])]))], 66,
     "vmm: cannot boot kernel k: it has no PVH entry note (owner \"Xen\", type 18 XEN_ELFNOTE_PHYS32_ENTRY, in a PT_NOTE segment): it has no such notes at all; build it with PVH support (for Linux: CONFIG_PVH), and keep the section of the note in a segment of the linker script\n"),
    ("kernel_with_another_note", "--kernel k", &[("k", Elf(&[(184, &[17])]))], 66,
     "vmm: cannot boot kernel k: it has no PVH entry note (owner \"Xen\", type 18 XEN_ELFNOTE_PHYS32_ENTRY, in a PT_NOTE segment): its notes are Xen 17; build it with PVH support (for Linux: CONFIG_PVH), and keep the section of the note in a segment of the linker script\n"),
    ("kernel_note_of_wrong_size", "--kernel k", &[("k", Elf(&[(180, &[2])]))], 66,
     "vmm: cannot boot kernel k: its PVH entry note holds 2 bytes, where an address of 4 or 8 is expected; correct the note\n"),
    ("kernel_entry_outside", "--kernel k", &[("k", Elf(&[(192, &[0, 0, 0, 2])]))], 66,
     "vmm: cannot boot kernel k: the PVH ELF entry 0x2000000 lies in none of its segments (0x100000..0x10100b); correct its linker script\n"),
    ("kernel_without_segments", "--kernel k", &[("k", Elf(&[(120, &[6])]))], 66,
     "vmm: cannot boot kernel k: it has no segment to load (PT_LOAD); link it as a static executable\n"),
    ("kernel_too_low", "--kernel k", &[("k", Elf(&[(144, &[0, 0, 8])]))], 66,
     "vmm: cannot boot kernel k: its segment at physical address 0x80000 is below 1 MiB or in the device area; link it at 0x100000 or above\n"),
    ("kernel_in_the_device_area", "--kernel k", &[("k", Elf(&[(144, &[0, 0, 0, 0xd0])]))], 66,
     "vmm: cannot boot kernel k: its segment at physical address 0xd0000000 is below 1 MiB or in the device area; link it at 0x100000 or above\n"),
    ("kernel_with_more_file_than_memory", "--kernel k", &[("k", Elf(&[(160, &[1, 0])]))], 66,
     "vmm: cannot boot kernel k: its ELF headers are damaged (segment at 0x100000 has more file than memory); build or copy the kernel again\n"),
    ("kernel_larger_than_ram", "--kernel k --memory 32M", &[("k", Elf(&[(160, &[0, 0, 0, 4])]))], 66,
     "vmm: cannot boot kernel k: it ends at 0x4100000, beyond RAM of 32M; give --memory a larger size\n"),
    ("bzimage_of_an_old_protocol", "--kernel k", &[("k", BzImage(&[(0x206, &[0x0a, 2])]))], 66,
     "vmm: cannot boot kernel k: it is a Linux bzImage of boot protocol 2.10, where 2.12 (Linux 3.8) or later is expected; build a newer kernel\n"),
    ("bzimage_of_32_bits", "--kernel k", &[("k", BzImage(&[(0x236, &[0])]))], 66,
     "vmm: cannot boot kernel k: it is a Linux bzImage without a 64-bit entry (XLF_KERNEL_64 is not set in its xloadflags); build it for x86_64\n"),
    ("bzimage_cut_off", "--kernel k", &[("k", BzImage(&[(0x1f4, &[0, 1])]))], 66,
     "vmm: cannot boot kernel k: it is a Linux bzImage of 5120 bytes, of which the file has 1547; build or copy the kernel again\n"),
    ("bzimage_too_low", "--kernel k", &[("k", BzImage(&[(0x258, &[0, 0, 0, 0])]))], 66,
     "vmm: cannot boot kernel k: its segment at physical address 0x0 is below 1 MiB or in the device area; link it at 0x100000 or above\n"),
    ("bzimage_larger_than_ram", "--kernel k --memory 32M", &[("k", BzImage(&[(0x263, &[4])]))], 66,
     "vmm: cannot boot kernel k: it ends at 0x5100000, beyond RAM of 32M; give --memory a larger size\n"),
    ("linux_command_line_too_long", "--kernel k --append LONG", &[("k", BzImage(&[]))], 66,
     "vmm: the boot information takes 3071 bytes but only 2048 fit; shorten --append, --command or the modules' args\n"),
    ("command_line_too_long", "--kernel k LONGER", &[("k", Good)], 66,
     "vmm: the boot information takes 700077 bytes but only 621568 fit; shorten --append, --command or the modules' args\n"),
    ("initrd_missing", "--kernel k --initrd no", &[("k", Good)], 66,
     "vmm: cannot read boot module no: No such file or directory (os error 2); check the path, or build the image first (scripts/build)\n"),
    ("initrd_is_a_folder", "--kernel k --initrd .", &[("k", Good)], 66,
     "vmm: cannot read boot module .: is a directory; check the path, or build the image first (scripts/build)\n"),
    ("initrd_larger_than_ram", "--kernel k --memory 32M --initrd d", &[("k", Good), ("d", Size(64 << 20))], 66,
     "vmm: boot module d (67108864 bytes) does not fit in RAM of 32M; give --memory a larger size\n"),
    ("memory_too_little", "--kernel k --memory 4M", &[("k", Good)], 66,
     "vmm: memory of 4M is too little: the kernel and its servers need at least 32M; give --memory a larger size\n"),
    ("cpus_too_many", "--kernel k --cpus 65", &[("k", Good)], 64,
     "vmm: 65 CPUs are not possible; give --cpus 1 to 64\n"),
    ("disks_too_many", "--kernel k DISKS", &[("k", Good)], 64,
     "vmm: 18 disks are too many; attach at most 17\n"),
    ("disk_missing", "--kernel k --disk no", &[("k", Good)], 67,
     "vmm: cannot attach disk no: it does not exist; correct the path, or build the image first (scripts/build)\n"),
    ("disk_is_a_folder", "--kernel k --disk .", &[("k", Good)], 67,
     "vmm: cannot attach disk .: it is no regular file or block device; name a raw disk image\n"),
    ("disk_is_a_device", "--kernel k --disk /dev/null", &[("k", Good)], 67,
     "vmm: cannot attach disk /dev/null: it is no regular file or block device; name a raw disk image\n"),
    ("disk_empty", "--kernel k --disk d", &[("k", Good), ("d", Bytes(&[]))], 67,
     "vmm: cannot attach disk d: it is empty; create it with a size, for example truncate -s 64M FILE\n"),
    ("disk_cut_off", "--kernel k --disk d", &[("k", Good), ("d", Size(700))], 67,
     "vmm: cannot attach disk d: its size of 700 bytes is no multiple of 512; it is no raw disk image, or was cut off\n"),
    ("disk_twice", "--kernel k --disk d --disk d", &[("k", Good), ("d", Size(4096))], 67,
     "vmm: cannot attach disk d: another process writes to it or has it open for reading, or it is another disk of this machine too; end that one, or attach it as FILE,ro or FILE,snapshot in both\n"),
    ("disk_written_and_read", "--kernel k --disk d --disk d,ro", &[("k", Good), ("d", Size(4096))], 67,
     "vmm: cannot attach disk d: another process writes to it or has it open for reading, or it is another disk of this machine too; end that one, or attach it as FILE,ro or FILE,snapshot in both\n"),
    ("disk_without_the_root", "i.toml", &[("i.toml", Text("kernel = \"good\"\nroot = \"ext2\"\n[[disk]]\npath = \"d\"\nsnapshot = true\n")), ("good", Good), ("d", Size(4096))], 67,
     "vmm: cannot attach disk d: it holds no ext2 file system (no magic number 0xEF53 in its superblock), which this image needs on its first disk; make one with mke2fs -t ext2, or give the image's own disk\n"),
];
