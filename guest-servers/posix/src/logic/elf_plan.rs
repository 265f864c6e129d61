//! An ELF program becomes a list of mappings.
//!
//! Read-only segments are the file's own pages. Of a writable segment the part that stays as it is after start-up
//! (`PT_GNU_RELRO` of a program at a fixed address) is mapped privately from the file; the rest is fresh memory, one
//! mapping with the zeroed part behind it, into which the program's bytes are copied in user mode: the kernel then
//! copies nothing on the program's first writes.

use crate::errno::{Errno, Result};
use arrayvec::ArrayVec;
use elf::abi::{
    EM_X86_64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_GNU_RELRO, PT_INTERP, PT_LOAD, PT_PHDR,
};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::ParseAt;
use elf::segment::ProgramHeader;
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP, USER_BASE};
use ferrix_abi::vm::Prot;

/// Where a position-independent program is put.
pub const PIE_BASE: u64 = 0x0555_5555_4000;
/// Bytes of an ELF header.
const HEADER_SIZE: usize = 64;
/// Bytes of a program header.
const PHENT: usize = 56;
/// Most program headers.
const PHNUM_MAX: usize = 16;
/// Up to so many bytes of a segment without `PT_GNU_RELRO` are copied; of a longer one only the last page.
const COPY_MAX: u64 = 32 * 1024;

/// Where a mapping's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file's pages from an offset on, read-only.
    Shared(u64),
    /// The same, writes stay private.
    Private(u64),
    /// Zeroed memory.
    Memory,
}

/// A mapping to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// First address.
    pub address: u64,
    /// Bytes, whole pages.
    pub length: u64,
    /// Protection.
    pub prot: Prot,
    /// Contents.
    pub source: Source,
}

/// Bytes of the file to copy into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// To.
    pub address: u64,
    /// From, in the file.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// How to start a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// First instruction.
    pub entry: u64,
    /// What was added to the file's addresses (`AT_BASE` is 0: there is no interpreter).
    pub bias: u64,
    /// Address of the program headers (`AT_PHDR`); 0 if they are not mapped.
    pub headers: u64,
    /// Number of program headers.
    pub header_count: u64,
    /// One past the image's last byte.
    pub end: u64,
    /// Mappings.
    pub maps: ArrayVec<Map, 12>,
    /// Copies.
    pub copies: ArrayVec<Copy, 6>,
}

/// Size of a program header (`AT_PHENT`).
pub const HEADER_ENTRY_SIZE: u64 = PHENT as u64;

/// Plans from the file's beginning (as far as it is in `head`) and its size.
///
/// # Errors
/// `ENOEXEC` for what is no static x86-64 program.
pub fn plan(head: &[u8], file_size: u64) -> Result<Plan> {
    let header = file_header(head)?;
    let table = program_headers(head, &header)?;
    if table.iter().any(|entry| entry.p_type == PT_INTERP) {
        return Err(Errno::ENOEXEC);
    }
    let bias = if header.e_type == ET_DYN { PIE_BASE } else { 0 };
    let mut plan = Plan {
        entry: header.e_entry.checked_add(bias).ok_or(Errno::ENOEXEC)?,
        bias,
        header_count: table.len() as u64,
        ..Plan::default()
    };
    let relocated = header.e_type == ET_DYN;
    for segment in table
        .iter()
        .filter(|entry| entry.p_type == PT_LOAD && entry.p_memsz != 0)
    {
        check(segment, bias, file_size)?;
        if segment.p_flags & PF_W == 0 && segment.p_memsz == segment.p_filesz {
            plan.add_read_only(segment)?;
        } else {
            plan.add_writable(segment, kept_end(segment, &table, relocated))?;
        }
        plan.note_headers(segment, header.e_phoff);
        plan.end = plan.end.max(bias + segment.p_vaddr + segment.p_memsz);
    }
    if let Some(own) = table.iter().find(|entry| entry.p_type == PT_PHDR) {
        plan.headers = bias.wrapping_add(own.p_vaddr);
    }
    if plan.maps.is_empty() {
        Err(Errno::ENOEXEC)
    } else {
        Ok(plan)
    }
}

fn file_header(head: &[u8]) -> Result<FileHeader<LittleEndian>> {
    let head = head.get(..HEADER_SIZE).ok_or(Errno::ENOEXEC)?;
    let ident = parse_ident::<LittleEndian>(head).map_err(|_| Errno::ENOEXEC)?;
    let header = FileHeader::parse_tail(ident, &head[16..]).map_err(|_| Errno::ENOEXEC)?;
    let right_type = header.e_type == ET_EXEC || header.e_type == ET_DYN;
    let right = right_type && header.e_machine == EM_X86_64 && header.class == Class::ELF64;
    if right {
        Ok(header)
    } else {
        Err(Errno::ENOEXEC)
    }
}

type Table = ArrayVec<ProgramHeader, PHNUM_MAX>;

fn program_headers(head: &[u8], header: &FileHeader<LittleEndian>) -> Result<Table> {
    let count = usize::from(header.e_phnum);
    let start = usize::try_from(header.e_phoff).map_err(|_| Errno::ENOEXEC)?;
    if count > PHNUM_MAX || usize::from(header.e_phentsize) != PHENT {
        return Err(Errno::ENOEXEC);
    }
    let end = start.checked_add(count * PHENT).ok_or(Errno::ENOEXEC)?;
    let bytes = head.get(start..end).ok_or(Errno::ENOEXEC)?;
    let parse = |index: usize| {
        ProgramHeader::parse_at(LittleEndian, Class::ELF64, &mut (index * PHENT), bytes)
    };
    (0..count)
        .map(|index| parse(index).map_err(|_| Errno::ENOEXEC))
        .collect()
}

/// Ranges in order, inside the program's part of the address space, page offsets that agree.
fn check(segment: &ProgramHeader, bias: u64, file_size: u64) -> Result<()> {
    let file_end = segment.p_offset.checked_add(segment.p_filesz);
    let end = segment
        .p_vaddr
        .checked_add(segment.p_memsz)
        .and_then(|end| end.checked_add(bias));
    let in_file =
        file_end.is_some_and(|end| end <= file_size) && segment.p_filesz <= segment.p_memsz;
    let in_space =
        segment.p_vaddr + bias >= USER_BASE && end.is_some_and(|end| end < STACK_TOP - (1 << 40));
    let congruent = segment.p_vaddr % PAGE_SIZE == segment.p_offset % PAGE_SIZE;
    if in_file && in_space && congruent {
        Ok(())
    } else {
        Err(Errno::ENOEXEC)
    }
}

/// Up to which address (in the file's terms) a writable segment's pages stay as they are in the file.
fn kept_end(segment: &ProgramHeader, table: &Table, relocated: bool) -> u64 {
    let start = page_down(segment.p_vaddr);
    let last = page_down(segment.p_vaddr + segment.p_filesz);
    if relocated {
        return start;
    }
    let protected = table.iter().find(|entry| entry.p_type == PT_GNU_RELRO);
    match protected {
        Some(relro) if relro.p_vaddr >= start && relro.p_vaddr <= last => {
            page_down(relro.p_vaddr + relro.p_memsz).clamp(start, last)
        }
        _ if segment.p_filesz <= COPY_MAX => start,
        _ => last,
    }
}

impl Plan {
    fn add_read_only(&mut self, segment: &ProgramHeader) -> Result<()> {
        let start = page_down(segment.p_vaddr);
        let length = page_up(segment.p_vaddr + segment.p_filesz) - start;
        let source = Source::Shared(page_down(segment.p_offset));
        self.add(start, length, protection(segment), source)
    }

    fn add_writable(&mut self, segment: &ProgramHeader, kept_end: u64) -> Result<()> {
        let start = page_down(segment.p_vaddr);
        let file_end = segment.p_vaddr + segment.p_filesz;
        let prot = protection(segment);
        if kept_end > start {
            let source = Source::Private(page_down(segment.p_offset));
            self.add(start, kept_end - start, prot, source)?;
        }
        let memory_end = page_up(segment.p_vaddr + segment.p_memsz);
        if memory_end > kept_end {
            self.add(kept_end, memory_end - kept_end, prot, Source::Memory)?;
        }
        let from = segment.p_vaddr.max(kept_end);
        if file_end > from {
            let address = from + self.bias;
            let offset = segment.p_offset + (from - segment.p_vaddr);
            let copy = Copy {
                address,
                offset,
                length: file_end - from,
            };
            self.copies.try_push(copy).map_err(|_| Errno::ENOEXEC)?;
        }
        Ok(())
    }

    fn add(&mut self, address: u64, length: u64, prot: Prot, source: Source) -> Result<()> {
        let map = Map {
            address: address + self.bias,
            length,
            prot,
            source,
        };
        self.maps.try_push(map).map_err(|_| Errno::ENOEXEC)
    }

    fn note_headers(&mut self, segment: &ProgramHeader, offset: u64) {
        if (segment.p_offset..segment.p_offset + segment.p_filesz).contains(&offset) {
            self.headers = self.bias + segment.p_vaddr + (offset - segment.p_offset);
        }
    }
}

fn protection(segment: &ProgramHeader) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, segment.p_flags & PF_R != 0);
    prot.set(Prot::WRITE, segment.p_flags & PF_W != 0);
    prot.set(Prot::EXEC, segment.p_flags & PF_X != 0);
    prot
}

const fn page_down(value: u64) -> u64 {
    value & !(PAGE_SIZE - 1)
}

const fn page_up(value: u64) -> u64 {
    value.next_multiple_of(PAGE_SIZE)
}

#[cfg(test)]
#[path = "elf_plan/tests.rs"]
mod tests;
