//! `--on-crash dump`: an ELF core of the guest, which gdb opens beside the kernel's ELF.
//!
//! Each vCPU is a thread (`NT_PRSTATUS`). Memory is there by the virtual addresses of the vCPU that died, as
//! its page tables have them, and each page of RAM is in the file once; holes where it is zero.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use kvm_bindings::{kvm_regs, kvm_sregs};
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::paging::{Mapping, Mode};
use crate::memory::Ram;

const PAGE: u64 = 4096;
/// RAM is copied in pieces of this size.
const CHUNK: u64 = 64 << 10;
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// More program headers have no room in an ELF file's 16 bits (`PN_XNUM`).
const MOST_MAPPINGS: usize = 0xfff0;
const NT_PRSTATUS: u32 = 1;
/// `struct elf_prstatus` of x86-64, and places in it.
const STATUS_SIZE: usize = 336;
const STATUS_SIGNAL: usize = 12;
const STATUS_PID: usize = 32;
const STATUS_REGISTERS: usize = 112;
const SIGABRT: u16 = 6;

/// The registers of a vCPU.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// Its number.
    pub index: usize,
    /// General registers.
    pub regs: kvm_regs,
    /// Segment and control registers.
    pub sregs: kvm_sregs,
}

/// Writes a core. The first CPU is the one that died.
pub fn write(file: &File, cpus: &[Cpu], ram: &Ram) -> io::Result<()> {
    let mappings = cpus
        .first()
        .map_or_else(Vec::new, |cpu| mappings(&cpu.sregs, ram));
    let notes: Vec<u8> = cpus.iter().flat_map(note).collect();
    let headers = FILE_HEADER + PROGRAM_HEADER * (1 + mappings.len());
    let image = ((headers + notes.len()) as u64).next_multiple_of(PAGE);
    let mut head = file_header(1 + mappings.len());
    let of_notes = Mapping {
        length: notes.len() as u64,
        ..Mapping::default()
    };
    head.extend(program_header(PT_NOTE, headers as u64, &of_notes));
    for mapping in &mappings {
        let offset = image + offset_in_image(ram, mapping.physical).unwrap_or(0);
        head.extend(program_header(PT_LOAD, offset, mapping));
    }
    head.extend(notes);
    file.write_all_at(&head, 0)?;
    let size: u64 = ram.iter().map(|region| region.len()).sum();
    file.set_len(image + size)?;
    write_ram(file, image, ram)
}

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// What is mapped to RAM; without paging, RAM itself.
fn mappings(sregs: &kvm_sregs, ram: &Ram) -> Vec<Mapping> {
    let mut all = Mode::of(sregs).mappings(ram, MOST_MAPPINGS);
    if all.is_empty() {
        all.push(Mapping {
            address: 0,
            physical: 0,
            length: u64::MAX,
        });
    }
    let regions = |mapping: Mapping| ram.iter().filter_map(move |region| in_ram(mapping, region));
    let mut in_ram: Vec<_> = all.into_iter().flat_map(regions).collect();
    in_ram.truncate(MOST_MAPPINGS);
    in_ram
}

/// The part of a mapping that is of this region.
fn in_ram(mapping: Mapping, region: &impl GuestMemoryRegion) -> Option<Mapping> {
    let start = region.start_addr().raw_value().max(mapping.physical);
    let end = region.start_addr().raw_value() + region.len();
    let length = end
        .min(mapping.physical.saturating_add(mapping.length))
        .checked_sub(start)?;
    (length > 0).then_some(Mapping {
        address: mapping.address + (start - mapping.physical),
        physical: start,
        length,
    })
}

/// Regions follow each other in the file.
fn offset_in_image(ram: &Ram, physical: u64) -> Option<u64> {
    let mut before = 0;
    for region in ram.iter() {
        let start = region.start_addr().raw_value();
        if (start..start + region.len()).contains(&physical) {
            return Some(before + physical - start);
        }
        before += region.len();
    }
    None
}

fn write_ram(file: &File, image: u64, ram: &Ram) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK as usize];
    for region in ram.iter() {
        let start = region.start_addr().raw_value();
        let offset = image + offset_in_image(ram, start).unwrap_or(0);
        for at in (0..region.len()).step_by(CHUNK as usize) {
            let piece = &mut bytes[..CHUNK.min(region.len() - at) as usize];
            ram.read_slice(piece, GuestAddress(start + at))
                .map_err(io::Error::other)?;
            if piece.iter().any(|&byte| byte != 0) {
                file.write_all_at(piece, offset + at)?;
            }
        }
    }
    Ok(())
}

fn file_header(headers: usize) -> Vec<u8> {
    const CORE: u16 = 4;
    const X86_64: u16 = 62;
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(16, 0);
    bytes.extend([CORE, X86_64].iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend(1u32.to_le_bytes());
    for word in [0, FILE_HEADER as u64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    let (own, each, count) = (FILE_HEADER as u16, PROGRAM_HEADER as u16, headers as u16);
    for half in [own, each, count, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn program_header(kind: u32, offset: u64, mapping: &Mapping) -> Vec<u8> {
    const READ_WRITE_EXECUTE: u32 = 7;
    let (address, physical, length) = (mapping.address, mapping.physical, mapping.length);
    let mut bytes = [kind.to_le_bytes(), READ_WRITE_EXECUTE.to_le_bytes()].concat();
    for word in [offset, address, physical, length, length, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

fn note(cpu: &Cpu) -> Vec<u8> {
    let mut status = vec![0; STATUS_SIZE];
    status[STATUS_SIGNAL..STATUS_SIGNAL + 2].copy_from_slice(&SIGABRT.to_le_bytes());
    status[STATUS_PID..STATUS_PID + 4].copy_from_slice(&(cpu.index as u32 + 1).to_le_bytes());
    let (r, s) = (&cpu.regs, &cpu.sregs);
    // In the order of `struct user_regs_struct`.
    let general = [
        r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax, r.rcx, r.rdx,
        r.rsi, r.rdi,
    ];
    let [cs, ss, ds] = [s.cs, s.ss, s.ds].map(|segment| segment.selector.into());
    let [es, fs, gs] = [s.es, s.fs, s.gs].map(|segment| segment.selector.into());
    let (fs_base, gs_base) = (s.fs.base, s.gs.base);
    let rest = [
        u64::MAX,
        r.rip,
        cs,
        r.rflags,
        r.rsp,
        ss,
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
    ];
    let registers = general.into_iter().chain(rest);
    for (index, register) in registers.enumerate() {
        let at = STATUS_REGISTERS + 8 * index;
        status[at..at + 8].copy_from_slice(&register.to_le_bytes());
    }
    let mut bytes = Vec::new();
    for word in [5, STATUS_SIZE as u32, NT_PRSTATUS] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"CORE\0\0\0\0");
    bytes.extend(status);
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use elf::ElfStream;
    use elf::endian::AnyEndian;

    use super::*;
    use crate::config::MemorySize;

    #[test]
    fn of_a_mapping_that_reaches_beyond_ram_the_part_inside_is_kept() {
        let ram = crate::memory::allocate(MemorySize::mib(2)).unwrap();
        let region = ram.iter().next().unwrap();
        let mapping = |address, physical, length| Mapping {
            address,
            physical,
            length,
        };
        let kept = in_ram(mapping(0xffff_8000_0010_0000, 1 << 20, 1 << 30), region);
        assert_eq!(kept, Some(mapping(0xffff_8000_0010_0000, 1 << 20, 1 << 20)));
        assert_eq!(in_ram(mapping(0, 2 << 20, 4096), region), None, "devices");
        assert_eq!(
            in_ram(mapping(0, 0, u64::MAX), region),
            Some(mapping(0, 0, 2 << 20))
        );
    }

    #[test]
    fn a_core_holds_registers_and_memory() {
        let ram = crate::memory::allocate(MemorySize::mib(2)).unwrap();
        ram.write_slice(b"needle", GuestAddress(0x12_3456)).unwrap();
        let regs = kvm_regs {
            rip: 0xabcd,
            ..Default::default()
        };
        let cpu = Cpu {
            index: 0,
            regs,
            sregs: kvm_sregs::default(),
        };
        let mut file = tempfile::tempfile().unwrap();
        write(&file, &[cpu.clone(), cpu], &ram).unwrap();
        let elf = ElfStream::<AnyEndian, _>::open_stream(file.try_clone().unwrap()).unwrap();
        let [notes, memory] = elf.segments()[..] else {
            panic!("two headers")
        };
        assert_eq!((notes.p_type, notes.p_filesz), (PT_NOTE, 2 * (20 + 336)));
        assert_eq!((memory.p_vaddr, memory.p_memsz), (0, 2 << 20));
        let mut bytes = Vec::new();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let at = memory.p_offset as usize + 0x12_3456;
        assert_eq!(&bytes[at..at + 6], b"needle");
        let rip = notes.p_offset as usize + 20 + STATUS_REGISTERS + 16 * 8;
        assert_eq!(bytes[rip..rip + 2], 0xabcdu16.to_le_bytes());
    }
}
