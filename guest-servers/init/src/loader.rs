//! Makes a process out of an ELF module: pages are mapped, only writable data is copied.

use crate::modules::Modules;
use crate::startup::Failure;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::memory::{self, Mapping};
use ferrix_rt::sys::{ipc, process};

const STACK_SIZE: u64 = 64 * 1024;
/// Stacks of native processes end here.
const STACK_TOP: u64 = 0x1000_0000;

/// An empty process with a module's image and a stack in it.
#[derive(Clone, Copy)]
pub struct Loaded {
    /// Handle of the process.
    pub process: Handle,
    /// Its pid.
    pub pid: u32,
    /// Where it starts.
    pub entry: u64,
    /// Initial stack pointer: as at a function's entry, 8 below a multiple of 16.
    pub stack: u64,
}

/// Loads module `name` as a new process that `/proc` knows by `arguments`.
pub fn load(modules: &Modules, name: &str, arguments: &str) -> Result<Loaded, Failure> {
    let bytes = modules.bytes(name)?;
    let result = load_bytes(modules, name, arguments, bytes);
    // SAFETY: `bytes` is not used any more.
    unsafe { unmap(bytes) }.map_err(|error| Failure::kernel(name, error))?;
    result
}

unsafe fn unmap(bytes: &'static [u8]) -> Result<(), Error> {
    // SAFETY: the caller's condition.
    unsafe {
        memory::unmap(
            memory::SELF,
            bytes.as_ptr() as u64,
            page_up(bytes.len() as u64),
        )
    }
}

fn load_bytes(
    modules: &Modules,
    name: &str,
    arguments: &str,
    bytes: &[u8],
) -> Result<Loaded, Failure> {
    let not_elf = || Failure::new(name, "the module is no static x86-64 ELF program");
    let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(|_| not_elf())?;
    if file.ehdr.e_machine != EM_X86_64 {
        return Err(not_elf());
    }
    let fail = |error| Failure::kernel(name, error);
    let (process, pid) = process::create(arguments.as_bytes(), modules.resource()).map_err(fail)?;
    let object = modules.object(name)?;
    for segment in file
        .segments()
        .ok_or_else(not_elf)?
        .iter()
        .filter(|segment| segment.p_type == PT_LOAD)
    {
        if segment.p_flags & PF_W != 0 {
            let data = file.segment_data(&segment).map_err(|_| not_elf())?;
            map_data(process, &segment, data).map_err(fail)?;
        } else {
            map_text(process, &segment, object).map_err(fail)?;
        }
    }
    map_stack(process).map_err(fail)?;
    Ok(Loaded {
        process,
        pid,
        entry: file.ehdr.e_entry,
        stack: STACK_TOP - 8,
    })
}

/// Read-only segments: the module's own pages.
fn map_text(process: Handle, segment: &ProgramHeader, object: Handle) -> Result<(), Error> {
    let slack = segment.p_vaddr % PAGE_SIZE;
    let mut prot = Prot::READ;
    prot.set(Prot::EXEC, segment.p_flags & PF_X != 0);
    place(&Mapping {
        process,
        address: segment.p_vaddr - slack,
        length: page_up(segment.p_filesz + slack),
        prot,
        flags: MapFlags::FIXED,
        object,
        offset: segment.p_offset - slack,
    })
}

/// Writable segments: a fresh object with the data copied in; the rest of it is zero.
fn map_data(process: Handle, segment: &ProgramHeader, data: &[u8]) -> Result<(), Error> {
    let slack = segment.p_vaddr % PAGE_SIZE;
    let length = page_up(segment.p_memsz + slack);
    let object = memory::object_create(length)?;
    let mut mapping = Mapping::shared(object, length, Prot::READ | Prot::WRITE);
    if !data.is_empty() {
        let here = memory::map_anywhere(&mapping)?;
        // SAFETY: fresh memory of `length` bytes at `here`, and the data fits: `p_filesz` is at most
        // `p_memsz` (a larger one fails in the slice below); unmapped right after.
        unsafe {
            let target = core::slice::from_raw_parts_mut(here as *mut u8, length as usize);
            target[slack as usize..][..data.len()].copy_from_slice(data);
            memory::unmap(memory::SELF, here, length)?;
        }
    }
    mapping.process = process;
    mapping.address = segment.p_vaddr - slack;
    mapping.flags = MapFlags::FIXED | MapFlags::PRIVATE;
    place(&mapping)?;
    ipc::close(object)
}

fn map_stack(process: Handle) -> Result<(), Error> {
    let mut mapping = Mapping::anonymous(STACK_SIZE, Prot::READ | Prot::WRITE);
    mapping.process = process;
    mapping.address = STACK_TOP - STACK_SIZE;
    mapping.flags |= MapFlags::FIXED;
    place(&mapping)
}

fn place(mapping: &Mapping) -> Result<(), Error> {
    memory::map_anywhere(mapping).map(drop)
}

fn page_up(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_SIZE)
}
