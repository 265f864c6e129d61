//! Linux kernels: bzImage, vmlinux without a PVH note.

use super::*;
use crate::boot::linux;

/// A bzImage whose protected-mode part is 1024 bytes of `hlt`.
fn bzimage() -> Vec<u8> {
    let mut image = vec![0; 1024];
    image.extend([0xf4; 1024]);
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]); // setup_sects
    put(0x1f4, &64u32.to_le_bytes()); // syssize
    put(0x1fe, &0xaa55u16.to_le_bytes());
    put(0x200, &[0xeb, 0x66]);
    put(0x202, b"HdrS");
    put(0x206, &0x020fu16.to_le_bytes());
    put(0x22c, &0x7fff_ffffu32.to_le_bytes()); // initrd_addr_max
    put(0x236, &1u16.to_le_bytes()); // xloadflags
    put(0x238, &2047u32.to_le_bytes()); // cmdline_size
    put(0x258, &0x100_0000u64.to_le_bytes()); // pref_address
    put(0x260, &0x20_0000u32.to_le_bytes()); // init_size
    image
}

#[test]
fn a_bzimage_goes_to_its_preferred_address() {
    let kernel = open_bytes(&bzimage()).unwrap();
    assert_eq!((kernel.entry, kernel.end()), (0x100_0200, 0x120_0000));
    let segment = kernel.segments[0];
    assert_eq!((segment.file_offset, segment.file_size), (1024, 1024));
    assert!(matches!(kernel.protocol, Protocol::Linux(_)));
}

#[test]
fn each_defect_of_a_bzimage_is_named() {
    let with = |at: usize, bytes: &[u8]| {
        let mut image = bzimage();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        open_bytes(&image).unwrap_err().to_string()
    };
    let old = with(0x206, &0x020au16.to_le_bytes());
    assert!(old.contains("2.10") && old.contains("2.12"), "{old}");
    let narrow = with(0x236, &[0, 0]);
    assert!(narrow.contains("XLF_KERNEL_64"), "{narrow}");
    let cut = with(0x1f4, &1000u32.to_le_bytes());
    assert!(cut.contains("17024 bytes") && cut.contains("2048"), "{cut}");
    let low = with(0x258, &0x8000u64.to_le_bytes());
    assert!(low.contains("0x8000"), "{low}");
    let wraps = with(0x258, &u64::MAX.to_le_bytes());
    assert!(wraps.contains("device area"), "{wraps}");
    for length in [0x1fe, 0x206, 0x261, 1024, 1500] {
        assert!(open_bytes(&bzimage()[..length]).is_err(), "{length} bytes");
    }
}

proptest::proptest! {
    #[test]
    fn damaged_setup_headers_never_panic(offset in 0x1f0usize..0x270, value: [u8; 4]) {
        let mut bytes = bzimage();
        bytes[offset..offset + 4].copy_from_slice(&value);
        let Ok(kernel) = open_bytes(&bytes) else { return Ok(()) };
        let config = config(vec![]);
        if kernel.check_fits(config.memory).is_ok() {
            let ram = memory::allocate(config.memory).unwrap();
            let _ = load(&config, &kernel, &ram);
        }
    }
}

#[test]
fn linux_finds_its_zero_page_memory_map_and_initrd() {
    let mut module = tempfile::NamedTempFile::new().unwrap();
    module.write_all(&[7; 5000]).unwrap();
    let one = ModuleConfig {
        path: module.path().into(),
        args: "initrd".into(),
    };
    let config = config(vec![one.clone(), one]);
    let ram = memory::allocate(config.memory).unwrap();
    let entry = load(&config, &open_bytes(&bzimage()).unwrap(), &ram).unwrap();
    let Entry::Linux {
        instruction,
        boot_params,
    } = entry
    else {
        panic!("{entry:?}");
    };
    assert_eq!(instruction, 0x100_0200);
    let word = |at: u64| ram.read_obj::<u32>(GuestAddress(boot_params + at)).unwrap();
    assert_eq!(word(0x202), 0x5372_6448, "HdrS");
    assert_eq!(
        ram.read_obj::<u8>(GuestAddress(boot_params + 0x210))
            .unwrap(),
        0xff
    );
    assert_eq!(read_u64(&ram, boot_params + 0x70), ACPI_BASE);
    assert_eq!(
        (word(0x218), word(0x21c)),
        (0x120_0000, 8192 + 5000),
        "both modules"
    );
    let mut line = [0; 6];
    ram.read_slice(&mut line, GuestAddress(word(0x228).into()))
        .unwrap();
    assert_eq!(&line, b"quiet ");
    assert_eq!(
        ram.read_obj::<u8>(GuestAddress(boot_params + 0x1e8))
            .unwrap(),
        2
    );
    assert_eq!(read_u64(&ram, boot_params + 0x2d0 + 20), 0x10_0000);
    // The second GiB's third large page, by the tables.
    let root = read_u64(&ram, linux::PAGE_TABLES) & !0xfff;
    let directory = read_u64(&ram, root + 8) & !0xfff;
    assert_eq!(read_u64(&ram, directory + 16), (1 << 30 | 4 << 20) | 0x83);
}

#[test]
fn a_linux_without_pvh_is_entered_at_its_start() {
    let kernel = ElfBuilder {
        notes: vec![note(b"Linux\0", 0x100, b"salt")],
        ..good()
    };
    let kernel = kernel.open().unwrap();
    assert_eq!(kernel.entry, 0x10_0000);
    assert!(matches!(kernel.protocol, Protocol::Linux(_)));
}

#[test]
fn a_command_line_that_linux_would_cut_is_refused() {
    let mut config = config(vec![]);
    config.append = "x".repeat(3000);
    let ram = memory::allocate(config.memory).unwrap();
    let error = load(&config, &open_bytes(&bzimage()).unwrap(), &ram).unwrap_err();
    assert!(error.to_string().contains("only 2048 fit"), "{error}");
}
