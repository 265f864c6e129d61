//! The kernel's ELF: decoded and validated first, loaded afterwards.
//!
//! A PVH kernel is a 64-bit x86 ELF whose `PT_NOTE` holds the note `XEN_ELFNOTE_PHYS32_ENTRY`
//! (owner "Xen", type 18): the physical address of its 32-bit entry. Segments go to their `p_paddr`.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use elf::ElfStream;
use elf::abi::{ELFMAGIC, EM_X86_64, PT_LOAD, PT_NOTE};
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::note::Note;
use elf::segment::ProgramHeader;
use ferrix_machine::memory::{KERNEL_BASE, MMIO_HOLE_BASE};

use super::{BootError, open, read_into};
use crate::config::MemorySize;
use crate::memory::Ram;

/// `XEN_ELFNOTE_PHYS32_ENTRY` of Xen's `elfnote.h`.
const XEN_ELFNOTE_PHYS32_ENTRY: u64 = 18;

/// What is wrong with a kernel file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// No ELF magic.
    #[error("it is not an ELF file; name the uncompressed kernel (vmlinux, not bzImage)")]
    NotElf,
    /// ELF magic, but the headers make no sense.
    #[error("its ELF headers are damaged ({0}); build or copy the kernel again")]
    Damaged(String),
    /// Another machine's ELF.
    #[error("it is built for another machine, not 64-bit x86; build it for x86_64")]
    WrongMachine,
    /// Nothing to load.
    #[error("it has no segment to load; link it as a static executable")]
    NoSegment,
    /// The PVH note is missing.
    #[error(
        "it has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); build it with PVH support (for Linux: CONFIG_PVH)"
    )]
    NoPvhNote,
    /// The PVH entry does not point into a segment.
    #[error("its PVH entry {0:#x} lies in none of its segments; correct its linker script")]
    EntryOutside(u64),
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

/// A kernel that passed validation.
#[derive(Debug)]
pub struct KernelImage {
    /// The file, for messages and for symbols later.
    pub path: PathBuf,
    /// Segments in order of their physical address; they do not overlap.
    pub segments: Vec<Segment>,
    /// The 32-bit physical entry.
    pub entry: u64,
    file: File,
}

impl KernelImage {
    /// Opens and validates a kernel. RAM is not touched.
    pub fn open(path: &Path) -> Result<Self, BootError> {
        let file = open("kernel", path)?;
        let read = |source| BootError::Read {
            what: "kernel",
            path: path.into(),
            source,
        };
        let length = file.metadata().map_err(read)?.len();
        let stream = file.try_clone().map_err(read)?;
        let (segments, entry) = decode(stream, length).map_err(|defect| BootError::Kernel {
            path: path.into(),
            defect,
        })?;
        Ok(Self {
            path: path.into(),
            segments,
            entry,
            file,
        })
    }

    /// First physical address after the kernel.
    pub fn end(&self) -> u64 {
        self.segments
            .last()
            .map_or(KERNEL_BASE, |s| s.physical + s.memory_size)
    }

    /// Whether the kernel lies inside RAM below the hole.
    pub fn check_fits(&self, memory: MemorySize) -> Result<(), BootError> {
        let end = self.end();
        if end <= memory.bytes().min(MMIO_HOLE_BASE) {
            return Ok(());
        }
        let defect = Defect::TooLarge { end, memory };
        Err(BootError::Kernel {
            path: self.path.clone(),
            defect,
        })
    }

    /// Copies the segments to RAM, which is zero: BSS needs no work.
    pub fn load(&self, ram: &Ram) -> Result<(), BootError> {
        let mut file = &self.file;
        for segment in &self.segments {
            let copy = file
                .seek(SeekFrom::Start(segment.file_offset))
                .and_then(|_| file.try_clone())
                .and_then(|mut f| read_into(ram, segment.physical, &mut f, segment.file_size));
            copy.map_err(|source| BootError::Read {
                what: "kernel",
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn decode(mut file: File, length: u64) -> Result<(Vec<Segment>, u64), Defect> {
    use std::io::Read;
    let mut magic = [0; 4];
    if file.read_exact(&mut magic).is_err() || magic != ELFMAGIC {
        return Err(Defect::NotElf);
    }
    let damaged = |error: elf::ParseError| Defect::Damaged(error.to_string());
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(file).map_err(damaged)?;
    let header = elf.ehdr;
    if header.class != Class::ELF64
        || header.endianness != AnyEndian::Little
        || header.e_machine != EM_X86_64
    {
        return Err(Defect::WrongMachine);
    }
    let headers = elf.segments().clone();
    let mut segments = headers
        .iter()
        .filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0)
        .map(|h| segment(h, length))
        .collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|s| s.physical);
    check_disjoint(&segments)?;
    let entry = pvh_entry(&mut elf, &headers).ok_or(Defect::NoPvhNote)?;
    let holds = |s: &Segment| (s.physical..s.physical + s.memory_size).contains(&entry);
    if !segments.iter().any(holds) {
        return Err(Defect::EntryOutside(entry));
    }
    Ok((segments, entry))
}

fn segment(header: &ProgramHeader, length: u64) -> Result<Segment, Defect> {
    let physical = header.p_paddr;
    if header.p_filesz > header.p_memsz {
        return Err(Defect::Damaged(format!(
            "segment at {physical:#x} has more file than memory"
        )));
    }
    if header
        .p_offset
        .checked_add(header.p_filesz)
        .is_none_or(|end| end > length)
    {
        return Err(Defect::Truncated(physical));
    }
    let end = physical.checked_add(header.p_memsz);
    if physical < KERNEL_BASE || end.is_none_or(|end| end > MMIO_HOLE_BASE) {
        return Err(Defect::BadAddress(physical));
    }
    Ok(Segment {
        file_offset: header.p_offset,
        file_size: header.p_filesz,
        memory_size: header.p_memsz,
        physical,
        virtual_address: header.p_vaddr,
    })
}

fn check_disjoint(sorted: &[Segment]) -> Result<(), Defect> {
    if sorted.is_empty() {
        return Err(Defect::NoSegment);
    }
    for pair in sorted.windows(2) {
        if pair[0].physical + pair[0].memory_size > pair[1].physical {
            return Err(Defect::Overlap(pair[1].physical));
        }
    }
    Ok(())
}

/// Looks through every `PT_NOTE`, not only the first or the last one.
fn pvh_entry(elf: &mut ElfStream<AnyEndian, File>, headers: &[ProgramHeader]) -> Option<u64> {
    for header in headers
        .iter()
        .filter(|h| h.p_type == PT_NOTE && h.p_align.is_power_of_two())
    {
        let Ok(notes) = elf.segment_data_as_notes(header) else {
            continue;
        };
        for note in notes {
            let Note::Unknown(note) = note else { continue };
            let owner = note.name.strip_suffix(b"\0").unwrap_or(note.name);
            if owner != b"Xen" || note.n_type != XEN_ELFNOTE_PHYS32_ENTRY {
                continue;
            }
            return match *note.desc {
                [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
                [a, b, c, d, e, f, g, h] => Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
                _ => None,
            };
        }
    }
    None
}
