//! Kernel files: ELF with the notes of each protocol, bzImage, and damaged ones.

/// Where code is in the file.
const CODE: usize = 0x1000;
const ENTRY: u64 = 0x10_0000;
const EM_X86_64: u16 = 62;

/// A note as in a `PT_NOTE` segment.
fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [owner.len() as u32, content.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    for part in [owner, content] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A program header: type and flags, then the words behind them.
type Header = [u64; 7];

/// An ELF file with these notes, and segments to load at these addresses, of these sizes in memory.
fn elf(machine: u16, notes: &[Vec<u8>], loads: &[(u64, u64)]) -> Vec<u8> {
    let count = notes.len() + loads.len();
    let (mut headers, mut content) = (Vec::<Header>::new(), Vec::<u8>::new());
    for note in notes {
        let at = (64 + 56 * count + content.len()) as u64;
        let length = note.len() as u64;
        headers.push([4 | 4 << 32, at, 0, 0, length, length, 4]);
        content.extend(note);
    }
    for &(address, size) in loads {
        headers.push([1 | 7 << 32, CODE as u64, address, address, 16, size, 4096]);
    }
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([2, machine].iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend(1u32.to_le_bytes());
    bytes.extend([ENTRY, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    let sizes = [64, 56, count as u16, 64, 0, 0];
    bytes.extend(sizes.iter().flat_map(|half| half.to_le_bytes()));
    bytes.extend(headers.iter().flatten().flat_map(|word| word.to_le_bytes()));
    bytes.extend(content);
    bytes.resize(CODE, 0);
    bytes.extend([0xf4; 16]);
    bytes
}

/// A bzImage of boot protocol 2.12 with two sectors of code.
fn bz_image(loadflags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    let mut put = |at: usize, with: &[u8]| bytes[at..at + with.len()].copy_from_slice(with);
    put(0x1f1, &[1]);
    put(0x1f4, &64u32.to_le_bytes());
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    put(0x202, b"HdrS");
    put(0x206, &0x20cu16.to_le_bytes());
    put(0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(0x236, &loadflags.to_le_bytes());
    put(0x238, &255u32.to_le_bytes());
    put(0x258, &ENTRY.to_le_bytes());
    put(0x260, &0x2000u32.to_le_bytes());
    bytes.resize(0x400 + 1024, 0xf4);
    bytes
}

/// Good kernels of each kind first, then damaged ones.
pub fn kernel() -> Vec<Vec<u8>> {
    let pvh = note(b"Xen\0", 18, &(ENTRY as u32).to_le_bytes());
    let wide = note(b"Xen\0", 18, &ENTRY.to_le_bytes());
    let linux = note(b"Linux\0", 0, b"6.1.0");
    let load = [(ENTRY, 0x2000)];
    let good = elf(EM_X86_64, std::slice::from_ref(&pvh), &load);
    let cut_off = good[..good.len() - 1].to_vec();
    vec![
        good,
        elf(EM_X86_64, &[linux.clone(), wide], &load),
        elf(EM_X86_64, &[linux], &[(ENTRY, 16), (0x20_0000, 0x1000)]),
        bz_image(1),
        bz_image(0),
        cut_off,
        elf(EM_X86_64, &[note(b"Xen\0", 18, b"abc")], &load),
        elf(EM_X86_64, &[note(b"GNU\0", 3, b"0123")], &load),
        elf(
            EM_X86_64,
            std::slice::from_ref(&pvh),
            &[(ENTRY, 16), (ENTRY, 16)],
        ),
        elf(EM_X86_64, std::slice::from_ref(&pvh), &[(u64::MAX, 2)]),
        elf(3, &[pvh], &load),
        b"#!/bin/sh\n".to_vec(),
        Vec::new(),
    ]
}
