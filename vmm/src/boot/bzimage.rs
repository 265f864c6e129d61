//! Linux's bzImage: a setup header, the real-mode code that nobody runs here, and the packed kernel.
//!
//! Linux's `Documentation/arch/x86/boot.rst`, "The Real-Mode Kernel Header" and "64-bit Boot Protocol": the
//! protected-mode part goes to `pref_address`, has `init_size` bytes to unpack itself in, and is
//! entered 0x200 bytes in.

use ferrix_machine::memory::{KERNEL_BASE, MMIO_HOLE_BASE};
use linux_loader::loader::bootparam::{LOADED_HIGH, XLF_KERNEL_64, setup_header};
use vm_memory::ByteValued;

use super::kernel::{Decoded, Defect, Protocol, Segment};

/// Linux's header, at this offset of the file and of the zero page.
pub type SetupHeader = Header;

/// Bytes of the file that hold the whole header.
pub const HEAD: usize = HEADER + size_of::<setup_header>();
const HEADER: usize = 0x1f1;
const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: &[u8] = b"HdrS";
const MAGIC_OFFSET: usize = 0x202;
/// The first version with `xloadflags`.
const OLDEST: u16 = 0x020c;
/// From the start of the protected-mode part to its 64-bit entry.
const ENTRY_64: u64 = 0x200;
const SECTOR: u64 = 512;
/// `setup_sects` of kernels that say 0.
const DEFAULT_SETUP_SECTORS: u64 = 4;
/// Highest address of an initrd, and longest command line, of a kernel that brings no header.
const INITRD_MAX: u32 = 0x7fff_ffff;
const COMMAND_LINE_MAX: u32 = 2047;

/// The setup header; a newtype, since comparing a packed structure is comparing its bytes.
#[derive(Clone, Copy)]
pub struct Header(pub setup_header);

impl Header {
    /// What the protocol needs at least, for a kernel that is no bzImage.
    pub fn of_vmlinux() -> Self {
        Self(setup_header {
            boot_flag: BOOT_FLAG,
            header: u32::from_le_bytes([b'H', b'd', b'r', b'S']),
            version: OLDEST,
            loadflags: LOADED_HIGH,
            initrd_addr_max: INITRD_MAX,
            cmdline_size: COMMAND_LINE_MAX,
            ..Default::default()
        })
    }

    fn read(head: &[u8]) -> Self {
        let mut header = setup_header::default();
        // The byte after the jump's opcode says where the header ends.
        let end = (MAGIC_OFFSET + usize::from(head[0x201])).clamp(HEADER, head.len());
        let bytes = &head[HEADER..end];
        header.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
        Self(header)
    }
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice() == other.0.as_slice()
    }
}

impl Eq for Header {}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.0.version;
        write!(f, "Header({version:#x})")
    }
}

/// Whether a file begins as a bzImage does.
pub fn is_one(head: &[u8]) -> bool {
    head.get(0x1fe..0x200) == Some(&BOOT_FLAG.to_le_bytes())
        && head.get(MAGIC_OFFSET..MAGIC_OFFSET + MAGIC.len()) == Some(MAGIC)
}

/// Decodes a file of `length` bytes of which `head` is the beginning.
pub fn decode(head: &[u8], length: u64) -> Result<Decoded, Defect> {
    if head.len() < HEAD {
        let (expected, found) = (HEAD as u64, head.len() as u64);
        return Err(Defect::CutOff { expected, found });
    }
    let header = Header::read(head);
    let setup = header.0;
    if setup.version < OLDEST {
        return Err(Defect::OldProtocol(setup.version));
    }
    if setup.xloadflags & XLF_KERNEL_64 == 0 {
        return Err(Defect::Only32Bit);
    }
    let sectors = match u64::from(setup.setup_sects) {
        0 => DEFAULT_SETUP_SECTORS,
        sectors => sectors,
    };
    let file_offset = (sectors + 1) * SECTOR;
    let expected = file_offset + u64::from(setup.syssize) * 16;
    // The last paragraph need not be whole.
    if length.saturating_add(15) < expected || length <= file_offset + ENTRY_64 {
        return Err(Defect::CutOff {
            expected,
            found: length,
        });
    }
    let file_size = length - file_offset;
    let segment = place(&setup, file_offset, file_size)?;
    Ok(Decoded {
        entry: segment.physical + ENTRY_64,
        segments: vec![segment],
        protocol: Protocol::Linux(Box::new(header)),
        kind: "Linux bzImage (64-bit boot protocol)",
    })
}

fn place(setup: &setup_header, file_offset: u64, file_size: u64) -> Result<Segment, Defect> {
    let physical = setup.pref_address;
    let memory_size = u64::from(setup.init_size).max(file_size);
    let end = physical.checked_add(memory_size);
    if physical < KERNEL_BASE || end.is_none_or(|end| end > MMIO_HOLE_BASE) {
        return Err(Defect::BadAddress(physical));
    }
    Ok(Segment {
        file_offset,
        file_size,
        memory_size,
        physical,
        virtual_address: physical,
    })
}
