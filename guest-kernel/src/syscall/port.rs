//! Ports and sessions.

use ferrix_abi::error::{Error, Result};
use ferrix_abi::handle::{Handle, Rights};

use crate::arch::TrapFrame;
use crate::ipc::{self, Port, Session};
use crate::object::core_lock::lock;
use crate::object::{Core, Object};
use crate::process::Process;
use crate::sched::Next;
use crate::thread::current_process;

/// `PortCreate`.
pub fn create(frame: &mut TrapFrame) -> Next {
    let mut core = lock();
    let result = Port::create(&core).and_then(|port| {
        let rights = Rights::SEND | Rights::RECEIVE | Rights::DUP | Rights::TRANSFER;
        current_process().share_handle(&mut core, Object::Port(port), rights)
    });
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

/// `SessionCreate`.
pub fn session_create(frame: &mut TrapFrame) -> Next {
    let [port, badge, ready, ..] = frame.arguments();
    let mut core = lock();
    let result = make_session(&mut core, Handle(port as u32), badge as u32, ready as u32);
    Next::result(frame, result.map(|handle| handle.0 as u64))
}

fn make_session(core: &mut Core, port: Handle, badge: u32, ready: u32) -> Result<Handle> {
    let process = current_process();
    let port = process.port(core, port, Rights::RECEIVE)?;
    process.handles.get_mut(core).reserve(1)?;
    let session = Session::create(core, process, port, badge, ready)?;
    process.share_handle(
        core,
        Object::Session(session),
        Rights::SEND | Rights::DUP | Rights::TRANSFER,
    )
}

/// `SessionSignal`.
pub fn session_signal(frame: &mut TrapFrame) -> Next {
    let [port, badge, set, clear, ..] = frame.arguments();
    let mut core = lock();
    let found = current_process()
        .port(&core, Handle(port as u32), Rights::RECEIVE)
        .and_then(|port| Session::find(&core, port, badge as u32).ok_or(Error::NotFound));
    let result = found.map(|session| {
        session.signal(&mut core, set as u32, clear as u32);
        0
    });
    Next::result(frame, result)
}

/// `PortTimer`.
pub fn timer(frame: &mut TrapFrame) -> Next {
    let [port, badge, deadline, ..] = frame.arguments();
    let core = lock();
    let result = current_process()
        .port(&core, Handle(port as u32), Rights::RECEIVE)
        .and_then(|port| ipc::set_port_timer(&core, port, badge as u32, deadline));
    Next::result(frame, result.map(|()| 0))
}

/// `PortId`.
pub fn id(frame: &mut TrapFrame) -> Next {
    let core = lock();
    let result = port_behind(&core, current_process(), Handle(frame.rdi as u32));
    Next::result(frame, result.map(|port| port.id.get(&core)))
}

fn port_behind(core: &Core, process: &Process, handle: Handle) -> Result<&'static Port> {
    match process.object(core, handle, Rights::empty())? {
        Object::Port(port) => Ok(port),
        Object::Session(session) => session.live_port(core),
        _ => Err(Error::BadHandle),
    }
}

/// `SessionBadge`.
pub fn session_badge(frame: &mut TrapFrame) -> Next {
    let [port, session, ..] = frame.arguments();
    let core = lock();
    let result = badge_of(&core, Handle(port as u32), Handle(session as u32));
    Next::result(frame, result)
}

fn badge_of(core: &Core, port: Handle, session: Handle) -> Result<u64> {
    let process = current_process();
    let port = process.port(core, port, Rights::RECEIVE)?;
    let session = process.session_of(core, session)?;
    match session.live_port(core) {
        Ok(other) if core::ptr::eq(other, port) => {
            let handles = session.references.get(core);
            Ok(u64::from(session.badge(core)) | u64::from(handles) << 32)
        }
        _ => Err(Error::Invalid),
    }
}
