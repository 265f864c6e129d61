//! The objects that a handle can name.

use alloc::sync::Arc;

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};

use super::core_lock::Core;
use crate::ipc::{Port, Session};
use crate::irq::Irq;
use crate::mm::VmObject;
use crate::ports::Grant;
use crate::process::Process;

/// What a handle names. The object's count of handles includes this one, from
/// [`retain`](Object::retain) to [`release`](Object::release).
///
/// Debuggers know its layout: a byte that says which, and 8 bytes on, the address or the number.
#[derive(Clone, Debug)]
#[repr(u8)]
pub enum Object {
    /// A port.
    Port(&'static Port),
    /// A client's connection to a port.
    Session(&'static Session),
    /// A memory object.
    Memory(Arc<VmObject>),
    /// A process.
    Process(&'static Process),
    /// An interrupt line.
    Irq(&'static Irq),
    /// I/O ports that its process may use.
    Ports(Grant),
    /// Privileges; what it allows is in the handle's rights.
    Resource,
}

impl Object {
    /// Counts a handle with these rights.
    pub fn retain(&self, core: &Core, rights: Rights) {
        match self {
            Object::Port(port) => port.retain(core, rights),
            Object::Session(session) => drop(session.references.add(core, 1)),
            Object::Process(process) => drop(process.references.add(core, 1)),
            Object::Irq(irq) => drop(irq.references.add(core, 1)),
            Object::Memory(object) => object.begin_use(rights),
            Object::Ports(_) | Object::Resource => {}
        }
    }

    /// A handle with these rights has been closed.
    pub fn release(&self, core: &mut Core, rights: Rights) {
        match self {
            Object::Port(port) => port.release(core, rights),
            Object::Session(session) => session.release(core),
            Object::Process(process) => {
                process.references.decrement(core);
                process.release_if_unused(core);
            }
            Object::Irq(irq) => irq.release(core),
            Object::Ports(grant) => grant.revoke(core),
            Object::Memory(object) => object.end_use(rights),
            Object::Resource => {}
        }
    }
}

impl Process {
    /// What one of its handles names, if it has the rights.
    #[inline(always)]
    pub fn object<'a>(
        &'a self,
        core: &'a Core,
        handle: Handle,
        rights: Rights,
    ) -> Result<&'a Object> {
        match self.handles.get(core).get(handle) {
            Some((object, held)) if held.contains(rights) => Ok(object),
            _ => Err(Error::BadHandle),
        }
    }

    /// The port that a handle with these rights names.
    pub fn port(&self, core: &Core, handle: Handle, rights: Rights) -> Result<&'static Port> {
        match self.object(core, handle, rights)? {
            Object::Port(port) => Ok(port),
            _ => Err(Error::BadHandle),
        }
    }

    /// The session that a handle names.
    pub fn session_of(&self, core: &Core, handle: Handle) -> Result<&'static Session> {
        match self.object(core, handle, Rights::empty())? {
            Object::Session(session) => Ok(session),
            _ => Err(Error::BadHandle),
        }
    }

    /// The memory object that a handle names, and the handle's rights.
    pub fn memory(&self, core: &Core, handle: Handle) -> Result<(Arc<VmObject>, Rights)> {
        match self.handles.get(core).get(handle) {
            Some((Object::Memory(object), rights)) => Ok((object.clone(), rights)),
            _ => Err(Error::BadHandle),
        }
    }

    /// The process that a handle with these rights names; handle 0 is the process itself.
    pub fn process_named(
        &'static self,
        core: &Core,
        handle: Handle,
        rights: Rights,
    ) -> Result<&'static Process> {
        if handle == Handle::NONE {
            return Ok(self);
        }
        match self.object(core, handle, rights)? {
            Object::Process(process) => Ok(process),
            _ => Err(Error::BadHandle),
        }
    }

    /// Checks that a handle is a resource with these rights.
    pub fn check_resource(&self, core: &Core, handle: Handle, rights: Rights) -> Result<()> {
        match self.handles.get(core).get(handle) {
            Some((Object::Resource, held)) if held.contains(rights) => Ok(()),
            Some((Object::Resource, _)) => Err(Error::NotPermitted),
            _ if handle == Handle::NONE => Err(Error::NotPermitted),
            _ => Err(Error::BadHandle),
        }
    }

    /// Adds a handle, which is counted already; on error the count is given back.
    pub fn add_handle(&self, core: &mut Core, object: Object, rights: Rights) -> Result<Handle> {
        let table = self.handles.get_mut(core);
        match table.reserve(1) {
            Ok(()) => Ok(table.insert(object, rights)),
            Err(error) => {
                object.release(core, rights);
                Err(error)
            }
        }
    }

    /// Adds a handle to an object that somebody else names too.
    pub fn share_handle(&self, core: &mut Core, object: Object, rights: Rights) -> Result<Handle> {
        object.retain(core, rights);
        self.add_handle(core, object, rights)
    }

    /// Takes a handle out. The object is still counted: whoever has it releases it.
    pub fn take_handle(&self, core: &mut Core, handle: Handle) -> Result<(Object, Rights)> {
        self.handles
            .get_mut(core)
            .remove(handle)
            .ok_or(Error::BadHandle)
    }
}

/// The rights that a copy gets: those asked for that the original has. That `fork` does not
/// copy it can always be added.
pub fn granted(held: Rights, asked: Rights) -> Rights {
    held & asked | asked & Rights::NO_INHERIT
}
