//! Init: the first process, made from the first boot module. Its pages are mapped where they lie.

use alloc::sync::Arc;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::Rights;
use ferrix_abi::info::{BootInfo, Module, PciHost, VirtioDevice};
use ferrix_abi::layout::{BOOT_INFO, PAGE_SIZE};
use ferrix_abi::sched::SERVER_DEFAULT;
use ferrix_abi::vm::{MapFlags, Prot};

use super::create::create_empty;
use super::elf::{self, HEAD, Segment};
use super::kind::{Life, Process};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::boot::{self, BootModule};
use crate::mm::{AddressSpace, Frame, KernelStack, MapRequest, PhysAddr, VmObject};
use crate::object::core_lock::lock;
use crate::object::{Core, Object};
use crate::sched::{self, Parameters};
use crate::thread::{self, ANY_CPU, Start};

const STACK_SIZE: u64 = 64 << 10;
/// Init's stack ends here.
const STACK_TOP: u64 = 0x1000_0000;

/// Makes init out of the first boot module. It runs when the boot CPU enters its idle loop.
///
/// # Panics
/// If there is no such module, or it is no program: nothing could run.
pub fn start_init() {
    let modules = boot::modules();
    let Some((first, others)) = modules.split_first() else {
        panic!("no boot module: the first one must be init (see the image's manifest)");
    };
    if let Err(error) = start(first, others) {
        panic!(
            "boot module {:?} cannot be started as init: {error:?}",
            first.arguments
        );
    }
    #[cfg(feature = "sections")]
    crate::sync::section::forget();
}

fn start(init: &BootModule, others: &[BootModule]) -> Result<()> {
    let space = AddressSpace::new()?;
    let entry = load(&space, init)?;
    map_stack(&space)?;
    let kernel_stack = KernelStack::new()?;
    cpu::disable_interrupts();
    let mut core = lock();
    let process = create_empty(&mut core, None, space.clone(), init.arguments.as_bytes())?;
    let info = boot_info(&mut core, process, others)?;
    space.map_boot_info(&info)?;
    let frame = TrapFrame::user(entry, STACK_TOP - 8, BOOT_INFO);
    let parameters = Parameters::from_priority(SERVER_DEFAULT).ok_or(Error::Invalid)?;
    let how = Start {
        parameters,
        affinity: ANY_CPU,
        mask: 0,
    };
    let thread = thread::create(&mut core, process, &frame, how, kernel_stack)?;
    process.life.set(&core, Life::Alive);
    sched::place(&core, thread);
    Ok(())
}

/// Maps the segments; returns the entry.
fn load(space: &AddressSpace, module: &BootModule) -> Result<u64> {
    let mut head = [0; HEAD];
    let length = HEAD.min(module.size as usize);
    Frame::containing(module.address).read(0, &mut head[..length]);
    let image = elf::parse(&head[..length]).ok_or(Error::Invalid)?;
    let object = VmObject::module(module.address, module.size)?;
    for segment in &image.segments {
        map_segment(space, module, &object, segment)?;
    }
    Ok(image.entry)
}

fn map_segment(
    space: &AddressSpace,
    module: &BootModule,
    object: &Arc<VmObject>,
    segment: &Segment,
) -> Result<()> {
    let slack = segment.address % PAGE_SIZE;
    if segment.offset % PAGE_SIZE != slack || segment.offset + segment.file_size > module.size {
        return Err(Error::Invalid);
    }
    let start = segment.address - slack;
    let file_end = segment.address + segment.file_size;
    let mapped_end = if segment.file_size == 0 {
        start
    } else {
        file_end.next_multiple_of(PAGE_SIZE)
    };
    let end = (segment.address + segment.memory_size).next_multiple_of(PAGE_SIZE);
    let mut prot = Prot::READ;
    prot.set(Prot::WRITE, segment.writable);
    prot.set(Prot::EXEC, segment.executable);
    if mapped_end > start {
        if segment.writable {
            clear_behind(module, segment.offset + segment.file_size);
        }
        let shown = Some(object.clone());
        map(
            space,
            start,
            mapped_end - start,
            prot,
            shown,
            segment.offset - slack,
        )?;
    }
    if end > mapped_end {
        map(space, mapped_end, end - mapped_end, prot, None, 0)?;
    }
    Ok(())
}

/// Zeroes the rest of the last page of a segment's file part: what follows in the file is not needed.
fn clear_behind(module: &BootModule, end: u64) {
    let within = (end % PAGE_SIZE) as usize;
    if within != 0 {
        let zeroes = [0; PAGE_SIZE as usize];
        let frame = Frame::containing(PhysAddr(module.address.0 + end));
        frame.write(within, &zeroes[within..]);
    }
}

fn map(
    space: &AddressSpace,
    address: u64,
    length: u64,
    prot: Prot,
    object: Option<Arc<VmObject>>,
    offset: u64,
) -> Result<()> {
    // What init writes is its own: its children get copies.
    let flags = match prot.contains(Prot::WRITE) {
        true => MapFlags::FIXED | MapFlags::PRIVATE,
        false => MapFlags::FIXED,
    };
    let request = MapRequest {
        address,
        length,
        prot,
        max: prot,
        flags,
        object,
        offset,
    };
    space.map(request).map(drop)
}

fn map_stack(space: &AddressSpace) -> Result<()> {
    map(
        space,
        STACK_TOP - STACK_SIZE,
        STACK_SIZE,
        Prot::READ | Prot::WRITE,
        None,
        0,
    )
}

/// What init is told: the resource with every right, the other modules, the devices.
fn boot_info(core: &mut Core, init: &'static Process, modules: &[BootModule]) -> Result<BootInfo> {
    let empty = Module {
        handle: 0,
        arguments_length: 0,
        size: 0,
        arguments: [0; 112],
    };
    let mut info = BootInfo {
        resource: 0,
        module_count: 0,
        virtio_count: 0,
        reserved: 0,
        modules: [empty; ferrix_abi::info::MODULES_MAX],
        virtio: [VirtioDevice::default(); ferrix_abi::info::VIRTIO_MAX],
        pci: PciHost::default(),
    };
    info.resource = init.add_handle(core, Object::Resource, Rights::all())?.0;
    for (slot, module) in info.modules.iter_mut().zip(modules) {
        let object = Object::Memory(VmObject::module(module.address, module.size)?);
        let rights = Rights::READ | Rights::WRITE | Rights::DUP | Rights::TRANSFER;
        slot.handle = init.add_handle(core, object, rights)?.0;
        slot.size = module.size;
        let length = module.arguments.len().min(slot.arguments.len());
        slot.arguments[..length].copy_from_slice(&module.arguments.as_bytes()[..length]);
        slot.arguments_length = length as u32;
        info.module_count += 1;
    }
    let devices = boot::devices();
    info.pci = devices.pci;
    for (slot, device) in info.virtio.iter_mut().zip(devices.virtio) {
        *slot = device;
        info.virtio_count += 1;
    }
    Ok(info)
}
