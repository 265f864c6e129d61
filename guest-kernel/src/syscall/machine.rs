//! Interrupts, the log, power, statistics.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::info::SystemStats;
use ferrix_abi::machine::RESTART;

use super::unlocked;
use crate::arch::msi::Message;
use crate::arch::pci::{self, Access};
use crate::arch::{TrapFrame, power};
use crate::irq::Irq;
use crate::mm::audit;
use crate::mm::uaccess::{UserPtr, UserSlice};
use crate::object::core_lock::{lock, with_lock};
use crate::object::{Core, Object};
use crate::ports::Grant;
use crate::sched::Next;
use crate::stats;
use crate::thread::{self, current_process};

/// Longest text of one `Log`.
const LOG_MAX: usize = 512;

/// `Null`.
pub fn null(frame: &mut TrapFrame) -> Next {
    frame.rax = 0;
    Next::Caller
}

/// `IrqBind`.
pub fn bind_irq(frame: &mut TrapFrame) -> Next {
    let [gsi, port, badge, resource, ..] = frame.arguments();
    let mut core = lock();
    let result = bind(
        &mut core,
        gsi,
        Handle(port as u32),
        badge as u32,
        Handle(resource as u32),
    );
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

fn bind(core: &mut Core, gsi: u64, port: Handle, badge: u32, resource: Handle) -> Result<Handle> {
    let process = current_process();
    process.check_resource(core, resource, Rights::IRQ)?;
    let port = process.port(core, port, Rights::RECEIVE)?;
    process.handles.get_mut(core).reserve(1)?;
    let gsi = u32::try_from(gsi).map_err(|_| Error::Invalid)?;
    let irq = Irq::bind(core, gsi, port, badge)?;
    process.share_handle(
        core,
        Object::Irq(irq),
        Rights::WRITE | Rights::DUP | Rights::TRANSFER,
    )
}

/// `MsiBind`.
pub fn bind_message(frame: &mut TrapFrame) -> Next {
    let [port, badge, resource, ..] = frame.arguments();
    let mut core = lock();
    let (port, resource) = (Handle(port as u32), Handle(resource as u32));
    let result = message(&mut core, port, badge as u32, resource).map(|(handle, message)| {
        frame.rdx = message.address as u64 | (message.data as u64) << 32;
        handle.0 as u64
    });
    Next::result(frame, result)
}

fn message(
    core: &mut Core,
    port: Handle,
    badge: u32,
    resource: Handle,
) -> Result<(Handle, Message)> {
    let process = current_process();
    process.check_resource(core, resource, Rights::IRQ)?;
    let port = process.port(core, port, Rights::RECEIVE)?;
    process.handles.get_mut(core).reserve(1)?;
    let (irq, message) = Irq::bind_message(core, port, badge)?;
    let rights = Rights::WRITE | Rights::DUP | Rights::TRANSFER;
    let handle = process.share_handle(core, Object::Irq(irq), rights)?;
    Ok((handle, message))
}

/// `PciConfig`.
pub fn pci_config(frame: &mut TrapFrame) -> Next {
    let [register, write, value, resource, ..] = frame.arguments();
    let access = match write {
        0 => Access::Read,
        _ => Access::Write(value as u32),
    };
    let result = current_process()
        .check_resource(&lock(), Handle(resource as u32), Rights::PHYSICAL)
        .and_then(|()| pci::access(register as u32, access).ok_or(Error::NotFound));
    Next::result(frame, result.map(u64::from))
}

/// `IrqAck`.
pub fn acknowledge_irq(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let result = match current_process().object(&core, Handle(frame.rdi as u32), Rights::empty()) {
        Ok(Object::Irq(irq)) => {
            irq.acknowledge(&core);
            Ok(0)
        }
        _ => Err(Error::BadHandle),
    };
    Next::result(frame, result)
}

/// `PortsGrant`.
pub fn grant_ports(frame: &mut TrapFrame) -> Next {
    let [first, count, resource, ..] = frame.arguments();
    let result = give_ports(&mut lock(), first, count, Handle(resource as u32));
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

/// The handle can neither be copied nor leave, so the ports are this process's alone.
fn give_ports(core: &mut Core, first: u64, count: u64, resource: Handle) -> Result<Handle> {
    let process = current_process();
    process.check_resource(core, resource, Rights::IOPORT)?;
    process.handles.get_mut(core).reserve(1)?;
    let grant = Grant::new(core, first, count, process)?;
    process.share_handle(core, Object::Ports(grant), Rights::NO_INHERIT)
}

/// `LogTake`.
pub fn take_log(frame: &mut TrapFrame) -> Next {
    let [buffer, length, resource, ..] = frame.arguments();
    let permitted =
        current_process().check_resource(&lock(), Handle(resource as u32), Rights::IOPORT);
    if let Err(error) = permitted {
        return Next::error(frame, error);
    }
    let result = unlocked(|| {
        let mut copy = [0; LOG_MAX];
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LOG_MAX);
        let count = crate::log::take(&mut copy[..length]);
        UserSlice::<u8>::new(buffer, count).write(&copy[..count])?;
        Ok(count as u64)
    });
    Next::result(frame, result)
}

/// `Log`.
pub fn log(frame: &mut TrapFrame) -> Next {
    let [text, length, ..] = frame.arguments();
    let result = unlocked(|| {
        let mut copy = [0; LOG_MAX];
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(LOG_MAX);
        UserSlice::<u8>::new(text, length).read(&mut copy[..length])?;
        crate::log::write(&copy[..length]);
        Ok(0)
    });
    Next::result(frame, result)
}

/// `PowerOff`.
pub fn power_off(frame: &mut TrapFrame) -> Next {
    let [status, resource, ..] = frame.arguments();
    let permitted =
        current_process().check_resource(&lock(), Handle(resource as u32), Rights::POWER);
    match permitted {
        Ok(()) if status as u32 & RESTART != 0 => power::reset(),
        Ok(()) => {
            #[cfg(feature = "sections")]
            crate::sync::section::report();
            crate::sync::lockdep::report();
            audit::at_end();
            power::exit(status as u32 & 0xff)
        }
        Err(error) => Next::error(frame, error),
    }
}

/// `Milestone`.
pub fn milestone(frame: &mut TrapFrame) -> Next {
    power::milestone(frame.rdi as u8);
    Next::result(frame, Ok(0))
}

/// `SystemStats`.
pub fn statistics(frame: &mut TrapFrame) -> Next {
    let target = UserPtr::<SystemStats>::new(frame.rdi);
    let before = unlocked(|| {
        while !with_lock(thread::reap) {}
        Ok(stats::before())
    });
    let counted = before.map(|before| stats::collect(&lock(), &before));
    let result = unlocked(|| target.write(&counted?));
    Next::result(frame, result.map(|()| 0))
}
