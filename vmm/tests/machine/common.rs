//! Handmade PVH kernels: a few bytes of machine code in a minimal ELF.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::NamedTempFile;

/// Where the code is loaded and entered, in 32-bit protected mode.
pub const CODE_BASE: u32 = 0x10_0000;
const CODE_OFFSET: u64 = 0x1000;

/// Machine code, written one instruction at a time.
#[derive(Default)]
pub struct Code(Vec<u8>);

impl Code {
    /// mov edx, port; mov eax, value; out dx, eax (or al).
    pub fn out(mut self, port: u16, value: u32, bits: u8) -> Self {
        self.0.push(0xba);
        self.0.extend(u32::from(port).to_le_bytes());
        self.0.push(0xb8);
        self.0.extend(value.to_le_bytes());
        self.0.push(if bits == 8 { 0xee } else { 0xef });
        self
    }

    /// Writes each byte to the UART.
    pub fn print(self, text: &str) -> Self {
        text.bytes()
            .fold(self, |code, byte| code.out(0x3f8, byte.into(), 8))
    }

    /// Any other instructions.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Ends the machine.
    pub fn exit(self, status: u32) -> Self {
        self.out(0xf4, status, 32)
    }

    /// An ELF file with this code as its only segment.
    pub fn kernel(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&elf(&self.0)).unwrap();
        file
    }
}

impl Code {
    /// The bytes of [`Self::kernel`].
    pub fn elf(&self) -> Vec<u8> {
        elf(&self.0)
    }

    /// A Linux bzImage with this code at its 64-bit entry.
    pub fn bzimage(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&self.bzimage_bytes()).unwrap();
        file
    }

    /// The bytes of [`Self::bzimage`].
    pub fn bzimage_bytes(&self) -> Vec<u8> {
        const SETUP: usize = 1024;
        const ENTRY: usize = SETUP + 0x200;
        let mut bytes = vec![0; ENTRY];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0x1f1, &[1]);
        put(0x1fe, &0xaa55u16.to_le_bytes());
        put(0x200, &[0xeb, 0x66]);
        put(0x202, b"HdrS");
        put(0x206, &0x020fu16.to_le_bytes());
        put(0x22c, &0x7fff_ffffu32.to_le_bytes());
        put(0x236, &1u16.to_le_bytes());
        put(0x238, &2047u32.to_le_bytes());
        put(0x258, &0x100_0000u64.to_le_bytes());
        put(0x260, &0x10_0000u32.to_le_bytes());
        bytes.extend(&self.0);
        bytes
    }
}

fn elf(code: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [4u32, 4, 18] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"Xen\0");
    note.extend(CODE_BASE.to_le_bytes());
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(16, 0);
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [u64::from(CODE_BASE), 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0; 4]);
    for half in [64u16, 56, 2, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    let (base, size, notes) = (u64::from(CODE_BASE), code.len() as u64, note.len() as u64);
    for header in [
        [4 | 4 << 32, 64 + 2 * 56, 0, 0, notes, notes, 4],
        [
            1 | 7 << 32,
            CODE_OFFSET,
            base,
            base,
            size,
            size + 0x1000,
            4096,
        ],
    ] {
        bytes.extend(header.iter().flat_map(|word: &u64| word.to_le_bytes()));
    }
    bytes.extend(note);
    bytes.resize(CODE_OFFSET as usize, 0);
    bytes.extend(code);
    bytes
}

/// `vmm run ARGUMENTS`, standard input closed.
pub fn vmm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmm"))
        .arg("run")
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// `vmm run --kernel KERNEL ARGUMENTS`.
pub fn boot(kernel: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["--kernel", kernel.to_str().unwrap(), "--timeout", "20"];
    all.extend(arguments);
    vmm(&all)
}

/// Whether `/dev/kvm` can be opened; says so if not.
pub fn have_kvm() -> bool {
    let open = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    if let Err(error) = &open {
        eprintln!("SKIPPED: /dev/kvm cannot be opened: {error}");
    }
    open.is_ok()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
