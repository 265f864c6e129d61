use std::io::Write;

use ferrix_machine::memory::{ACPI_BASE, PVH_INFO_BASE};
use vm_memory::{Bytes, GuestAddress};

use super::cmdline::percent_encode;
use super::kernel::Defect;
use super::*;
use crate::memory;

/// Builds kernels with chosen defects.
struct ElfBuilder {
    class: u8,
    machine: u16,
    notes: Vec<Vec<u8>>,
    loads: Vec<(u64, u64)>,
}

const CODE_OFFSET: u64 = 0x1000;

fn note(owner: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((owner.len() as u32).to_le_bytes());
    bytes.extend((desc.len() as u32).to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(owner);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(desc);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn good() -> ElfBuilder {
    ElfBuilder {
        class: 2,
        machine: 62,
        notes: vec![note(b"Xen\0", 18, &0x10_0000u32.to_le_bytes())],
        loads: vec![(0x10_0000, 0x2000)],
    }
}

impl ElfBuilder {
    fn bytes(&self) -> Vec<u8> {
        let mut notes = Vec::<u8>::new();
        let mut headers = Vec::new();
        let count = (self.notes.len() + self.loads.len()) as u64;
        let notes_offset = 64 + 56 * count;
        for note in &self.notes {
            let at = notes_offset + notes.len() as u64;
            headers.push([
                4u64 | 4 << 32,
                at,
                0,
                0,
                note.len() as u64,
                note.len() as u64,
                4,
            ]);
            notes.extend(note);
        }
        for &(physical, memory) in &self.loads {
            headers.push([
                1u64 | 7 << 32,
                CODE_OFFSET,
                physical,
                physical,
                16,
                memory,
                4096,
            ]);
        }
        let mut bytes = vec![0x7f, b'E', b'L', b'F', self.class, 1, 1];
        bytes.resize(16, 0);
        bytes.extend(2u16.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        for word in [0x10_0000u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0u32.to_le_bytes());
        for half in [64u16, 56, count as u16, 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(headers.iter().flatten().flat_map(|w| w.to_le_bytes()));
        bytes.extend(notes);
        bytes.resize(CODE_OFFSET as usize, 0);
        bytes.extend([0xf4; 16]);
        bytes
    }

    fn open(&self) -> Result<KernelImage, BootError> {
        open_bytes(&self.bytes())
    }

    fn defect(&self) -> Defect {
        match self.open() {
            Err(BootError::Kernel { defect, .. }) => defect,
            other => panic!("expected a defect, got {other:?}"),
        }
    }
}

fn open_bytes(bytes: &[u8]) -> Result<KernelImage, BootError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    KernelImage::open(file.path())
}

#[test]
fn good_kernel_is_accepted_and_loaded() {
    let kernel = good().open().unwrap();
    assert_eq!((kernel.entry, kernel.end()), (0x10_0000, 0x10_2000));
    let ram = memory::allocate(MemorySize::mib(32)).unwrap();
    kernel.load(&ram).unwrap();
    let mut bytes = [0; 17];
    ram.read_slice(&mut bytes, GuestAddress(0x10_0000)).unwrap();
    assert_eq!(bytes[..16], [0xf4; 16]);
    assert_eq!(bytes[16], 0, "BSS is zero");
}

#[test]
fn a_later_note_does_not_hide_the_pvh_note() {
    let mut kernel = good();
    kernel.notes.push(note(b"GNU\0", 3, b"build-id"));
    assert!(kernel.open().is_ok());
    kernel.notes.swap(0, 1);
    assert!(kernel.open().is_ok());
}

#[test]
fn each_defect_is_named() {
    assert!(matches!(
        ElfBuilder {
            machine: 183,
            ..good()
        }
        .defect(),
        Defect::WrongMachine(_)
    ));
    assert!(matches!(
        ElfBuilder {
            notes: vec![],
            ..good()
        }
        .defect(),
        Defect::NoPvhNote { .. }
    ));
    let other = vec![note(b"Xen\0", 17, &[0; 4])];
    assert!(matches!(
        ElfBuilder {
            notes: other,
            ..good()
        }
        .defect(),
        Defect::NoPvhNote { .. }
    ));
    let outside = vec![note(b"Xen\0", 18, &7u32.to_le_bytes())];
    assert!(matches!(
        ElfBuilder {
            notes: outside,
            ..good()
        }
        .defect(),
        Defect::EntryOutside { entry: 7, .. }
    ));
    assert!(matches!(
        ElfBuilder {
            loads: vec![],
            ..good()
        }
        .defect(),
        Defect::NoSegment
    ));
    let low = vec![(0x8000, 0x1000)];
    assert!(matches!(
        ElfBuilder {
            loads: low,
            ..good()
        }
        .defect(),
        Defect::BadAddress(0x8000)
    ));
    let wraps = vec![(0x10_0000, u64::MAX)];
    assert!(matches!(
        ElfBuilder {
            loads: wraps,
            ..good()
        }
        .defect(),
        Defect::BadAddress(_)
    ));
    let overlap = vec![(0x10_0000, 0x2000), (0x10_1000, 0x1000)];
    assert!(matches!(
        ElfBuilder {
            loads: overlap,
            ..good()
        }
        .defect(),
        Defect::Overlap(_)
    ));
}

#[test]
fn text_and_truncated_files_are_refused() {
    let not_elf = open_bytes(b"#!/bin/sh\n").unwrap_err().to_string();
    assert!(not_elf.contains("not an ELF file"), "{not_elf}");
    let bytes = good().bytes();
    for length in [0, 3, 20, 63, 100, bytes.len() - 1] {
        assert!(open_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_kernel_larger_than_ram_is_refused() {
    let kernel = ElfBuilder {
        loads: vec![(0x10_0000, 64 << 20)],
        ..good()
    }
    .open()
    .unwrap();
    let error = kernel
        .check_fits(MemorySize::mib(32))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("32M") && error.contains("--memory"),
        "{error}"
    );
    assert!(kernel.check_fits(MemorySize::mib(128)).is_ok());
}

proptest::proptest! {
    #[test]
    fn damaged_headers_never_panic(offset in 0usize..0x100, value: u8) {
        let mut bytes = good().bytes();
        bytes[offset] = value;
        let _ = open_bytes(&bytes);
    }
}

fn config(modules: Vec<ModuleConfig>) -> VmConfig {
    VmConfig {
        machine: MachineConfig::default(),
        kernel: "k".into(),
        modules,
        disks: vec![],
        cpus: 2,
        memory: MemorySize::mib(32),
        append: "quiet".into(),
        command: Some("sh -c \"exit 3\"".into()),
        root: None,
        console: Default::default(),
    }
}

#[test]
fn command_line_is_separated_by_spaces_only() {
    let line = cmdline::build(&config(vec![]));
    assert_eq!(
        line,
        "quiet command=sh%20-c%20%22exit%203%22 \
         virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6"
    );
    assert_eq!(percent_encode("a/b.c_d=e,f:g-h"), "a/b.c_d=e,f:g-h");
    assert_eq!(percent_encode("ü%"), "%C3%BC%25");
}

#[test]
fn firecracker_has_other_windows_and_no_console() {
    let mut config = config(vec![]);
    config.machine = "firecracker".parse().unwrap();
    config.command = None;
    let line = "quiet virtio_mmio.device=4K@0xc0001000:5";
    assert_eq!(cmdline::build(&config), line);
    config.machine = "firecracker,announce=acpi".parse().unwrap();
    assert_eq!(cmdline::build(&config), "quiet");
}

#[test]
fn firecracker_gets_one_initrd_at_the_end_of_ram_and_no_rsdp() {
    let mut module = tempfile::NamedTempFile::new().unwrap();
    module.write_all(&[7; 5000]).unwrap();
    let mut config = config(vec![ModuleConfig {
        path: module.path().into(),
        args: "init -v".into(),
    }]);
    config.machine = "firecracker".parse().unwrap();
    let ram = memory::allocate(config.memory).unwrap();
    load(&config, &good().open().unwrap(), &ram).unwrap();
    let list = read_u64(&ram, PVH_INFO_BASE + 16);
    let (base, size) = (read_u64(&ram, list), read_u64(&ram, list + 8));
    assert_eq!((base % 4096, (base + size).div_ceil(4096)), (0, 8192));
    let mut magic = [0; 6];
    ram.read_slice(&mut magic, GuestAddress(base)).unwrap();
    assert_eq!(&magic, b"070701");
    assert_eq!(
        read_u64(&ram, PVH_INFO_BASE + 32),
        0,
        "the guest looks for it"
    );
    let mut signature = [0; 8];
    ram.read_slice(&mut signature, GuestAddress(ACPI_BASE))
        .unwrap();
    assert_eq!(&signature, b"RSD PTR ");
}

fn read_u64(ram: &Ram, address: u64) -> u64 {
    ram.read_obj(GuestAddress(address)).unwrap()
}

#[test]
fn boot_information_is_complete() {
    let mut module = tempfile::NamedTempFile::new().unwrap();
    module.write_all(&[7; 5000]).unwrap();
    let one = ModuleConfig {
        path: module.path().into(),
        args: "init -v".into(),
    };
    let config = config(vec![one.clone(), one]);
    let ram = memory::allocate(config.memory).unwrap();
    let entry = load(&config, &good().open().unwrap(), &ram).unwrap();
    assert_eq!(
        entry,
        Entry::Pvh {
            instruction: 0x10_0000,
            start_info: PVH_INFO_BASE
        }
    );
    let magic: u32 = ram.read_obj(GuestAddress(PVH_INFO_BASE)).unwrap();
    assert_eq!(magic, 0x336e_c578);
    let modules: u32 = ram.read_obj(GuestAddress(PVH_INFO_BASE + 12)).unwrap();
    assert_eq!(modules, 2);
    let list = read_u64(&ram, PVH_INFO_BASE + 16);
    assert_eq!(read_u64(&ram, list), 0x20_0000, "2 MiB boundary");
    assert_eq!(read_u64(&ram, list + 32), 0x20_2000, "next page");
    assert_eq!(read_u64(&ram, list + 8), 5000);
    let mut args = [0; 8];
    ram.read_slice(&mut args, GuestAddress(read_u64(&ram, list + 16)))
        .unwrap();
    assert_eq!(&args, b"init -v\0");
    let mut signature = [0; 8];
    assert_eq!(read_u64(&ram, PVH_INFO_BASE + 32), ACPI_BASE);
    ram.read_slice(&mut signature, GuestAddress(ACPI_BASE))
        .unwrap();
    assert_eq!(&signature, b"RSD PTR ");
}

#[test]
fn acpi_tables_have_good_checksums() {
    let ram = memory::allocate(MemorySize::mib(32)).unwrap();
    let rsdp = acpi::write(&ram, 4, Model::Ferrix, 3).unwrap();
    let xsdt = read_u64(&ram, rsdp + 24);
    let fadt = read_u64(&ram, xsdt + 36);
    let madt = read_u64(&ram, xsdt + 44);
    let dsdt = read_u64(&ram, fadt + 140);
    for (table, name) in [
        (xsdt, b"XSDT"),
        (fadt, b"FACP"),
        (madt, b"APIC"),
        (dsdt, b"DSDT"),
    ] {
        let length: u32 = ram.read_obj(GuestAddress(table + 4)).unwrap();
        let mut bytes = vec![0; length as usize];
        ram.read_slice(&mut bytes, GuestAddress(table)).unwrap();
        assert_eq!(&bytes[..4], name);
        assert_eq!(
            bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)),
            0,
            "{name:?}"
        );
    }
    let length: u32 = ram.read_obj(GuestAddress(madt + 4)).unwrap();
    assert_eq!(length, 44 + 4 * 8 + 12, "four local APICs and one I/O APIC");
}

#[test]
fn a_module_that_does_not_fit_is_refused() {
    let module = tempfile::NamedTempFile::new().unwrap();
    module.as_file().set_len(64 << 20).unwrap();
    let config = config(vec![ModuleConfig {
        path: module.path().into(),
        args: "big".into(),
    }]);
    let ram = memory::allocate(config.memory).unwrap();
    let error = load(&config, &good().open().unwrap(), &ram).unwrap_err();
    assert!(
        matches!(
            error,
            BootError::ModuleTooLarge {
                size: 67_108_864,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_refusal_says_what_was_found_and_what_is_expected() {
    let message = |defect: Defect| defect.to_string();
    let notes = vec![note(b"GNU\0", 9, &[0; 4]), note(b"Xen\0", 17, &[0; 4])];
    let text = message(ElfBuilder { notes, ..good() }.defect());
    assert!(
        text.contains("GNU 9, Xen 17") && text.contains("type 18"),
        "{text}"
    );
    let text = message(
        ElfBuilder {
            machine: 183,
            ..good()
        }
        .defect(),
    );
    assert!(
        text.contains("e_machine 183") && text.contains("62"),
        "{text}"
    );
    let notes = vec![note(b"Xen\0", 18, &7u32.to_le_bytes())];
    let text = message(ElfBuilder { notes, ..good() }.defect());
    assert!(
        text.contains("0x7") && text.contains("0x100000..0x102000"),
        "{text}"
    );
    let notes = vec![note(b"Xen\0", 18, &[0; 3])];
    let text = message(ElfBuilder { notes, ..good() }.defect());
    assert!(text.contains("3 bytes"), "{text}");
    let text = open_bytes(b"\x1f\x8b\x08\x00more").unwrap_err().to_string();
    assert!(text.contains("1f 8b 08 00 (gzip)"), "{text}");
}

mod linux;
