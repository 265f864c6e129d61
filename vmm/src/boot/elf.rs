//! ELF kernels.
//!
//! A PVH kernel is a 64-bit x86 ELF whose `PT_NOTE` holds the note `XEN_ELFNOTE_PHYS32_ENTRY`
//! (owner "Xen", type 18): the physical address of its 32-bit entry. Segments go to their `p_paddr`.
//! Linux's `vmlinux` without that note is known by a note of owner "Linux" and entered at `e_entry` by the
//! 64-bit boot protocol.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use elf::ElfStream;
use elf::abi::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2MSB, EM_X86_64, PT_LOAD, PT_NOTE,
};
use elf::endian::AnyEndian;
use elf::note::Note;
use elf::segment::ProgramHeader;
use ferrix_machine::memory::{KERNEL_BASE, MMIO_HOLE_BASE};

use super::bzimage::SetupHeader;
use super::kernel::{Decoded, Defect, Protocol, Segment};

/// `XEN_ELFNOTE_PHYS32_ENTRY` of Xen's `elfnote.h`.
const XEN_ELFNOTE_PHYS32_ENTRY: u64 = 18;
const PVH: &str = "PVH ELF";
const LINUX: &str = "Linux ELF (64-bit boot protocol)";
/// Bytes of the header up to `e_machine`, with it.
const HEAD: usize = 20;
/// Notes that a refusal lists.
const NOTES_LISTED: usize = 8;

/// Decodes a file that begins with ELF's magic.
pub fn decode(mut file: File, length: u64) -> Result<Decoded, Defect> {
    let damaged = |error: elf::ParseError| Defect::Damaged(error.to_string());
    let mut head = [0; HEAD];
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut head))
        .map_err(|error| Defect::Damaged(error.to_string()))?;
    check_machine(&head)?;
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(file).map_err(damaged)?;
    let start = elf.ehdr.e_entry;
    let headers = elf.segments().clone();
    let mut segments = headers
        .iter()
        .filter(|h| h.p_type == PT_LOAD && h.p_memsz > 0)
        .map(|h| segment(h, length))
        .collect::<Result<Vec<_>, _>>()?;
    segments.sort_by_key(|s| s.physical);
    check_disjoint(&segments)?;
    let notes = notes(&mut elf, &headers);
    let (kind, entry, protocol) = match pvh_entry(&notes)? {
        Some(entry) => (PVH, entry, Protocol::Pvh),
        None if notes.iter().any(|note| note.owner == b"Linux") => {
            let header = Box::new(SetupHeader::of_vmlinux());
            (LINUX, start, Protocol::Linux(header))
        }
        None => {
            let found = list(&notes);
            return Err(Defect::NoPvhNote { found });
        }
    };
    check_inside(kind, entry, &segments)?;
    Ok(Decoded {
        segments,
        entry,
        protocol,
        kind,
    })
}

/// Looks at the header's first bytes: what they say of the rest is true for the right machine only.
fn check_machine(head: &[u8; HEAD]) -> Result<(), Defect> {
    let class = match head[EI_CLASS] {
        ELFCLASS32 => "32-bit",
        ELFCLASS64 => "64-bit",
        _ => "strange",
    };
    let machine = [head[HEAD - 2], head[HEAD - 1]];
    let (order, machine) = match head[EI_DATA] {
        ELFDATA2MSB => ("big-endian", u16::from_be_bytes(machine)),
        _ => ("little-endian", u16::from_le_bytes(machine)),
    };
    if (class, order, machine) == ("64-bit", "little-endian", EM_X86_64) {
        return Ok(());
    }
    let name = elf::to_str::e_machine_to_human_str(machine).unwrap_or("unknown");
    Err(Defect::WrongMachine(format!(
        "a {class} {order} machine, e_machine {machine} ({name})"
    )))
}

fn check_inside(kind: &'static str, entry: u64, segments: &[Segment]) -> Result<(), Defect> {
    let ranges = segments
        .iter()
        .map(|s| s.physical..s.physical + s.memory_size);
    if ranges.clone().any(|range| range.contains(&entry)) {
        return Ok(());
    }
    let ranges: Vec<_> = ranges.map(|range| format!("{range:#x?}")).collect();
    Err(Defect::EntryOutside {
        kind,
        entry,
        segments: ranges.join(", "),
    })
}

fn segment(header: &ProgramHeader, length: u64) -> Result<Segment, Defect> {
    let physical = header.p_paddr;
    if header.p_filesz > header.p_memsz {
        return Err(Defect::Damaged(format!(
            "segment at {physical:#x} has more file than memory"
        )));
    }
    let end = header.p_offset.checked_add(header.p_filesz);
    if end.is_none_or(|end| end > length) {
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

/// A note that is no build-id or the like.
struct OwnedNote {
    owner: Vec<u8>,
    kind: u64,
    content: Vec<u8>,
}

/// The notes of every `PT_NOTE`, not only of the first or the last one.
fn notes(elf: &mut ElfStream<AnyEndian, File>, headers: &[ProgramHeader]) -> Vec<OwnedNote> {
    let mut all = Vec::new();
    let is_ours = |h: &&ProgramHeader| h.p_type == PT_NOTE && h.p_align.is_power_of_two();
    for header in headers.iter().filter(is_ours) {
        let Ok(notes) = elf.segment_data_as_notes(header) else {
            continue;
        };
        all.extend(notes.filter_map(|note| match note {
            Note::Unknown(note) => Some(OwnedNote {
                owner: note.name.strip_suffix(b"\0").unwrap_or(note.name).to_vec(),
                kind: note.n_type,
                content: note.desc.to_vec(),
            }),
            _ => None,
        }));
    }
    all
}

/// The address in the PVH note, if there is one.
fn pvh_entry(notes: &[OwnedNote]) -> Result<Option<u64>, Defect> {
    let is_pvh = |note: &&OwnedNote| note.owner == b"Xen" && note.kind == XEN_ELFNOTE_PHYS32_ENTRY;
    let Some(note) = notes.iter().find(is_pvh) else {
        return Ok(None);
    };
    match *note.content {
        [a, b, c, d] => Ok(Some(u32::from_le_bytes([a, b, c, d]).into())),
        [a, b, c, d, e, f, g, h] => Ok(Some(u64::from_le_bytes([a, b, c, d, e, f, g, h]))),
        _ => Err(Defect::BadPvhNote(note.content.len())),
    }
}

fn list(notes: &[OwnedNote]) -> String {
    let name = |note: &OwnedNote| {
        let owner = String::from_utf8_lossy(&note.owner)
            .escape_default()
            .to_string();
        format!("{owner} {}", note.kind)
    };
    let names: Vec<_> = notes.iter().take(NOTES_LISTED).map(name).collect();
    match names.is_empty() {
        true => "it has no such notes at all".into(),
        false => format!("its notes are {}", names.join(", ")),
    }
}
