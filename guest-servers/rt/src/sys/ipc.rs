//! Messages, ports and sessions.

use super::raw::{Registers, message, plain};
use ferrix_abi::error::{Result, decode};
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag, WaitItem};
use ferrix_abi::{Call, Error};

/// What `call` brought back.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// What else is in the UTCB.
    pub tag: Tag,
    /// Words 0 to 3.
    pub words: [u64; 4],
}

/// What `receive` brought.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Call, send, notification …
    pub kind: Kind,
    /// What else is in the UTCB.
    pub tag: Tag,
    /// Badge of the session, irq or timer; 0 through a plain port handle.
    pub badge: u32,
    /// Sender's process.
    pub pid: u32,
    /// Words 0 to 3.
    pub words: [u64; 4],
    /// What to reply to.
    pub token: u64,
}

fn number(call: Call, tag: Tag) -> u64 {
    u64::from(call as u8) | u64::from(tag.0) << 8
}

/// Sends and waits for the reply.
#[inline]
pub fn call(destination: Handle, tag: Tag, words: [u64; 4]) -> Result<Reply> {
    call_raw(u64::from(destination.0), tag, words)
}

/// The same, to a thread.
pub fn call_thread(tid: u32, tag: Tag, words: [u64; 4]) -> Result<Reply> {
    call_raw(u64::from(tid), tag.with(tag.0 | Tag::TO_THREAD), words)
}

#[inline]
fn call_raw(rdi: u64, tag: Tag, words: [u64; 4]) -> Result<Reply> {
    let mut registers = Registers {
        rax: number(Call::Call, tag),
        rdi,
        words,
        r9: 0,
    };
    message(&mut registers);
    let rax = decode(registers.rax)?;
    Ok(Reply {
        tag: Tag((rax >> 8) as u32),
        words: registers.words,
    })
}

/// Sends without waiting for a reply; returns when the message is received.
pub fn send(destination: Handle, tag: Tag, words: [u64; 4]) -> Result<()> {
    let rdi = u64::from(destination.0);
    let mut registers = Registers {
        rax: number(Call::Send, tag),
        rdi,
        words,
        r9: 0,
    };
    message(&mut registers);
    decode(registers.rax).map(drop)
}

/// The same, to a thread.
pub fn send_thread(tid: u32, tag: Tag, words: [u64; 4]) -> Result<()> {
    let rax = number(Call::Send, tag.with(tag.0 | Tag::TO_THREAD));
    let mut registers = Registers {
        rax,
        rdi: u64::from(tid),
        words,
        r9: 0,
    };
    message(&mut registers);
    decode(registers.rax).map(drop)
}

/// Waits for a message on a port (or, with [`Handle::NONE`], one addressed to this thread).
pub fn receive(port: Handle, tag: Tag) -> Result<Received> {
    let rdi = u64::from(port.0);
    let mut registers = Registers {
        rax: number(Call::Receive, tag),
        rdi,
        words: [0; 4],
        r9: 0,
    };
    message(&mut registers);
    received(&registers)
}

/// Waits for a message that the thread `tid` addresses to this thread.
pub fn receive_from(tid: u32, tag: Tag) -> Result<Received> {
    let words = [u64::from(tid), 0, 0, 0];
    let mut registers = Registers {
        rax: number(Call::Receive, tag),
        rdi: 0,
        words,
        r9: 0,
    };
    message(&mut registers);
    received(&registers)
}

/// Replies to a call.
#[inline]
pub fn reply(token: u64, tag: Tag, words: [u64; 4]) -> Result<()> {
    let mut registers = Registers {
        rax: number(Call::Reply, tag),
        rdi: 0,
        words,
        r9: token,
    };
    message(&mut registers);
    decode(registers.rax).map(drop)
}

/// Replies, then waits for the next message, in one system call.
#[inline]
pub fn reply_receive(port: Handle, token: u64, tag: Tag, words: [u64; 4]) -> Result<Received> {
    let rdi = u64::from(port.0);
    let mut registers = Registers {
        rax: number(Call::ReplyReceive, tag),
        rdi,
        words,
        r9: token,
    };
    message(&mut registers);
    received(&registers)
}

#[inline]
fn received(registers: &Registers) -> Result<Received> {
    let rax = decode(registers.rax)?;
    Ok(Received {
        kind: Kind(rax as u8),
        tag: Tag((rax >> 8) as u32),
        badge: registers.rdi as u32,
        pid: (registers.rdi >> 32) as u32,
        words: registers.words,
        token: registers.r9,
    })
}

/// Makes a port.
pub fn port_create() -> Result<Handle> {
    plain(Call::PortCreate, []).map(handle)
}

/// Makes a session on a port.
pub fn session_create(port: Handle, badge: u32, ready: u32) -> Result<Handle> {
    plain(
        Call::SessionCreate,
        [port.0.into(), badge.into(), ready.into()],
    )
    .map(handle)
}

/// Changes a session's readiness.
pub fn session_signal(port: Handle, badge: u32, set: u32, clear: u32) -> Result<()> {
    plain(
        Call::SessionSignal,
        [port.0.into(), badge.into(), set.into(), clear.into()],
    )
    .map(drop)
}

/// Badge of one of the port's own sessions, and how many handles to it there are anywhere.
pub fn session_users(port: Handle, session: Handle) -> Result<(u32, u32)> {
    let both = plain(Call::SessionBadge, [port.0.into(), session.0.into()])?;
    Ok((both as u32, (both >> 32) as u32))
}

/// Badge of one of the port's own sessions.
pub fn session_badge(port: Handle, session: Handle) -> Result<u32> {
    plain(Call::SessionBadge, [port.0.into(), session.0.into()]).map(|badge| badge as u32)
}

/// Waits until one of the items is ready; returns how many are.
pub fn wait_many(items: &mut [WaitItem], deadline: u64) -> Result<usize> {
    let args = [
        items.as_mut_ptr() as u64,
        items.len() as u64,
        deadline,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel writes only `ready` of the items in the slice.
    unsafe { super::raw::call6(Call::WaitMany, args) }.map(|count| count as usize)
}

/// Asks for a notification at a deadline.
pub fn port_timer(port: Handle, badge: u32, deadline: u64) -> Result<()> {
    plain(Call::PortTimer, [port.0.into(), badge.into(), deadline]).map(drop)
}

/// Which port is behind a port or session handle.
pub fn port_id(handle: Handle) -> Result<u64> {
    plain(Call::PortId, [handle.0.into()])
}

/// Closes a handle.
pub fn close(handle: Handle) -> Result<()> {
    plain(Call::HandleClose, [handle.0.into()]).map(drop)
}

/// Copies a handle.
pub fn duplicate(source: Handle, rights: Rights) -> Result<Handle> {
    plain(Call::HandleDup, [source.0.into(), rights.bits().into()]).map(handle)
}

/// Copies a handle into another process's table; returns its number there.
pub fn grant(process: Handle, source: Handle, rights: Rights) -> Result<Handle> {
    plain(
        Call::HandleGrant,
        [process.0.into(), source.0.into(), rights.bits().into()],
    )
    .map(handle)
}

pub(super) fn handle(value: u64) -> Handle {
    Handle(value as u32)
}

/// A notification's or reply's status word as a result: negative is a Linux errno.
pub fn status(word: u64) -> core::result::Result<u64, i32> {
    let signed = word as i64;
    if signed < 0 {
        Err(-signed as i32)
    } else {
        Ok(word)
    }
}

/// An error as the status word of a reply.
pub fn error_status(error: Error) -> u64 {
    (-i64::from(i32::from(error))) as u64
}
