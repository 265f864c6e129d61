//! What drivers are given: registers, and interrupts by messages.

use alloc::vec::Vec;

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::PHYSICAL_END;
use ferrix_rt::sys::memory::{object_contiguous, object_physical, physical_address};
use ferrix_rt::sys::{ipc, system};

use crate::support::{Outcome, Test, equal, fails, holds, resource};

pub const TESTS: &[Test] = &[
    ("registers_are_not_ram", registers_are_not_ram),
    ("messages_run_out", messages_run_out),
    ("messages_want_the_right", messages_want_the_right),
];

/// Nobody maps RAM as if it were registers, nor the interrupt controllers.
fn registers_are_not_ram() -> Outcome {
    let own = object_contiguous(PAGE_SIZE, resource())?;
    let address = physical_address(own, 0, resource())?;
    let interrupt_controllers = [0xfec0_0000, 0xfee0_0000];
    for forbidden in [0, 0x10_0000, address]
        .into_iter()
        .chain(interrupt_controllers)
    {
        let object = object_physical(forbidden, PAGE_SIZE, resource());
        fails(object, Error::AccessDenied)?;
    }
    let around = object_physical(0xfebf_f000, 3 * PAGE_SIZE, resource());
    fails(around, Error::AccessDenied)?;
    let far = object_physical(PHYSICAL_END, PAGE_SIZE, resource());
    fails(far, Error::Invalid)?;
    let wrapping = object_physical(u64::MAX - PAGE_SIZE + 1, PAGE_SIZE, resource());
    fails(wrapping, Error::AccessDenied)?;
    let device = object_physical(0xf000_0000, PAGE_SIZE, resource())?;
    equal(physical_address(device, 0, resource())?, 0xf000_0000)
}

/// Every message is another one, and a closed handle's can be had again.
fn messages_run_out() -> Outcome {
    let port = ipc::port_create()?;
    let mut bound: Vec<(Handle, u32)> = Vec::new();
    let end = loop {
        match system::msi_bind(port, 1, resource()) {
            Ok((irq, message)) => {
                holds(message.address >> 20 == 0xfee, "a local APIC is written to")?;
                let fresh = bound.iter().all(|(_, data)| *data != message.data);
                holds(fresh, "no message twice")?;
                bound.push((irq, message.data));
            }
            Err(error) => break error,
        }
    };
    equal(end, Error::NoMemory)?;
    holds(bound.len() >= 8, "a few devices can have one")?;
    let (irq, data) = bound.swap_remove(bound.len() / 2);
    ipc::close(irq)?;
    let (_, message) = system::msi_bind(port, 2, resource())?;
    equal(message.data, data)
}

fn messages_want_the_right() -> Outcome {
    let none = ipc::duplicate(resource(), ferrix_abi::handle::Rights::DUP)?;
    let port = ipc::port_create()?;
    fails(system::msi_bind(port, 1, none), Error::NotPermitted)?;
    fails(system::pci_read(0, none), Error::NotPermitted)?;
    fails(system::pci_write(0, 0, none), Error::NotPermitted)?;
    fails(
        system::msi_bind(Handle(9999), 1, resource()),
        Error::BadHandle,
    )
}
