//! The kernel file: recognised, decoded and validated first, loaded afterwards.
//!
//! [`elf`](super::elf) and [`bzimage`](super::bzimage) decode; both leave a list of segments and an entry, so
//! that everything behind them is the same for every kind of kernel.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use elf::abi::ELFMAGIC;
use ferrix_machine::memory::{KERNEL_BASE, MMIO_HOLE_BASE};

use super::bzimage::{self, SetupHeader};
use super::{BootError, elf as elf_file, open, read_into};
use crate::config::MemorySize;
use crate::memory::Ram;

/// What is wrong with a kernel file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Neither kind of kernel.
    #[error(
        "it is not an ELF file, nor a Linux bzImage: it begins with {0}; name the kernel itself (an ELF file with \
         a PVH note, vmlinux or bzImage), not packed in anything else"
    )]
    Unknown(String),
    /// ELF magic, but the headers make no sense.
    #[error("its ELF headers are damaged ({0}); build or copy the kernel again")]
    Damaged(String),
    /// Another machine's ELF.
    #[error(
        "it is built for {0}, where 64-bit little-endian x86-64 (ELFCLASS64, ELFDATA2LSB, e_machine 62) is expected; \
         build it for x86_64"
    )]
    WrongMachine(String),
    /// Nothing to load.
    #[error("it has no segment to load (PT_LOAD); link it as a static executable")]
    NoSegment,
    /// The PVH note is missing.
    #[error(
        "it has no PVH entry note (owner \"Xen\", type 18 XEN_ELFNOTE_PHYS32_ENTRY, in a PT_NOTE segment): {found}; \
         build it with PVH support (for Linux: CONFIG_PVH), and keep the section of the note in a segment of the \
         linker script"
    )]
    NoPvhNote {
        /// Which notes there are.
        found: String,
    },
    /// The note is there, but what it holds is no address.
    #[error(
        "its PVH entry note holds {0} bytes, where an address of 4 or 8 is expected; correct the note"
    )]
    BadPvhNote(usize),
    /// The entry does not point into a segment.
    #[error(
        "the {kind} entry {entry:#x} lies in none of its segments ({segments}); correct its linker script"
    )]
    EntryOutside {
        /// By which protocol.
        kind: &'static str,
        /// The address.
        entry: u64,
        /// The segments, as ranges of physical addresses.
        segments: String,
    },
    /// A segment is cut off by the end of the file.
    #[error("its segment at {0:#x} goes past the end of the file; build or copy the kernel again")]
    Truncated(u64),
    /// A segment lies where the boot tables are, or wraps around.
    #[error(
        "its segment at physical address {0:#x} is below 1 MiB or in the device area; link it at 0x100000 or above"
    )]
    BadAddress(u64),
    /// Two segments share addresses.
    #[error("its segments overlap at {0:#x}; correct its linker script")]
    Overlap(u64),
    /// Not enough RAM for the kernel.
    #[error("it ends at {end:#x}, beyond RAM of {memory}; give --memory a larger size")]
    TooLarge {
        /// First physical address after the kernel.
        end: u64,
        /// The machine's RAM.
        memory: MemorySize,
    },
    /// A bzImage from before the 64-bit boot protocol had its flags.
    #[error(
        "it is a Linux bzImage of boot protocol {}.{:02}, where 2.12 (Linux 3.8) or later is expected; build a newer \
         kernel",
        .0 >> 8,
        .0 & 0xff
    )]
    OldProtocol(u16),
    /// A bzImage for 32-bit processors.
    #[error(
        "it is a Linux bzImage without a 64-bit entry (XLF_KERNEL_64 is not set in its xloadflags); build it for \
         x86_64"
    )]
    Only32Bit,
    /// A bzImage of which a part is missing.
    #[error(
        "it is a Linux bzImage of {expected} bytes, of which the file has {found}; build or copy the kernel again"
    )]
    CutOff {
        /// By its header.
        expected: u64,
        /// In the file.
        found: u64,
    },
}

/// A loadable segment, validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where its bytes are in the file.
    pub file_offset: u64,
    /// Bytes in the file; the rest up to `memory_size` is zero.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Where it goes in guest-physical memory.
    pub physical: u64,
    /// Where the kernel will map it.
    pub virtual_address: u64,
}

/// How a kernel is entered, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Xen's direct boot: 32-bit entry, start info.
    Pvh,
    /// Linux's 64-bit boot protocol; a bzImage brings its own setup header.
    Linux(Box<SetupHeader>),
}

/// What decoding finds in a kernel file.
#[derive(Debug)]
pub struct Decoded {
    /// Segments in order of their physical address; they do not overlap.
    pub segments: Vec<Segment>,
    /// Physical address of the first instruction.
    pub entry: u64,
    /// How to enter.
    pub protocol: Protocol,
    /// What it is, for people.
    pub kind: &'static str,
}

/// A kernel that passed validation.
#[derive(Debug)]
pub struct KernelImage {
    /// Its name, for messages.
    pub path: PathBuf,
    /// What it is made of.
    pub decoded: Decoded,
    /// The file.
    pub file: File,
}

impl Deref for KernelImage {
    type Target = Decoded;

    fn deref(&self) -> &Decoded {
        &self.decoded
    }
}

impl KernelImage {
    /// Opens and validates a kernel. RAM is not touched.
    pub fn open(path: &Path) -> Result<Self, BootError> {
        let file = open("kernel", path)?;
        let read = |source| BootError::read("kernel", path, source);
        let length = file.metadata().map_err(read)?.len();
        let stream = file.try_clone().map_err(read)?;
        let decoded = decode(stream, length).map_err(|defect| BootError::kernel(path, defect))?;
        let path = path.into();
        Ok(Self {
            path,
            decoded,
            file,
        })
    }

    /// First physical address after the kernel.
    pub fn end(&self) -> u64 {
        self.segments
            .last()
            .map_or(KERNEL_BASE, |s| s.physical + s.memory_size)
    }

    /// Modules end at or below this address.
    pub fn modules_limit(&self) -> u64 {
        match &self.protocol {
            Protocol::Pvh => MMIO_HOLE_BASE,
            Protocol::Linux(header) => {
                let highest = u64::from(header.0.initrd_addr_max);
                MMIO_HOLE_BASE.min(highest + 1)
            }
        }
    }

    /// Whether the kernel lies inside RAM below the hole.
    pub fn check_fits(&self, memory: MemorySize) -> Result<(), BootError> {
        let end = self.end();
        if end <= memory.bytes().min(MMIO_HOLE_BASE) {
            return Ok(());
        }
        let defect = Defect::TooLarge { end, memory };
        Err(BootError::kernel(&self.path, defect))
    }

    /// Copies the segments to RAM, which is zero: BSS needs no work.
    pub fn load(&self, ram: &Ram) -> Result<(), BootError> {
        let mut file = &self.file;
        for segment in &self.segments {
            let copy = file
                .seek(SeekFrom::Start(segment.file_offset))
                .and_then(|_| file.try_clone())
                .and_then(|mut f| read_into(ram, segment.physical, &mut f, segment.file_size));
            copy.map_err(|source| BootError::read("kernel", &self.path, source))?;
        }
        Ok(())
    }
}

/// Recognises the kind of file by its first bytes.
fn decode(mut file: File, length: u64) -> Result<Decoded, Defect> {
    let mut head = Vec::new();
    let read = (&mut file)
        .take(bzimage::HEAD as u64)
        .read_to_end(&mut head);
    read.map_err(|error| Defect::Damaged(error.to_string()))?;
    if head.starts_with(&ELFMAGIC) {
        elf_file::decode(file, length)
    } else if bzimage::is_one(&head) {
        bzimage::decode(&head, length)
    } else {
        Err(Defect::Unknown(beginning(&head)))
    }
}

/// The first bytes, as a reader may recognise them.
fn beginning(head: &[u8]) -> String {
    const KNOWN: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"#!", "a script"),
    ];
    let bytes = head.iter().take(4).map(|byte| format!("{byte:02x}"));
    let bytes: Vec<_> = bytes.collect();
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    match (bytes.is_empty(), known) {
        (true, _) => "nothing (the file is empty)".into(),
        (_, Some((_, name))) => format!("{} ({name})", bytes.join(" ")),
        (_, None) => bytes.join(" "),
    }
}
