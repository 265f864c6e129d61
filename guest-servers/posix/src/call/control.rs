//! `ioctl`.

use super::descriptors::set_non_blocking;
use crate::state::{self, FILES};
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_posix::descriptors::OnExec;
use ferrix_posix::ioctls::{ARGUMENT_MAX, Argument, argument, is_terminal};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{self, kind};
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::exchange;
use ferrix_rt::sys::utcb;
use linux_raw_sys::ioctl::{FIOCLEX, FIONBIO, FIONCLEX};

pub fn ioctl(frame: &mut Frame) -> Result<u64> {
    let [fd, request, word, ..] = frame.args();
    let request = request as u32;
    let descriptor = state::descriptor(fd)?;
    let session = Handle(descriptor.handle);
    let file_like = matches!(
        u64::from(descriptor.kind),
        kind::REGULAR | kind::DIRECTORY | kind::PIPE
    );
    match request {
        FIOCLEX | FIONCLEX => {
            let on_exec = if request == FIOCLEX {
                OnExec::Close
            } else {
                OnExec::Keep
            };
            FILES.lock().table.get_mut(fd)?.on_exec = on_exec;
            Ok(0)
        }
        FIONBIO => set_non_blocking(session, user::read::<u32>(word)? != 0),
        _ if file_like && is_terminal(request) => Err(Errno::ENOTTY),
        _ => ask(session, request, word).map_err(Errno::restartable),
    }
}

fn ask(session: Handle, request: u32, word: u64) -> Result<u64> {
    let mut bytes = [0; ARGUMENT_MAX];
    let (payload, room) = match argument(request) {
        Argument::Integer => (0, 0),
        Argument::In(size) => (size, 0),
        Argument::Out(size) => (0, size),
        Argument::InOut(size) => (size, size),
    };
    user::read_bytes(word, &mut bytes[..payload])?;
    let length = utcb::put_bytes(&bytes[..payload]);
    let head = Head::new(file::IOCTL, Place::INLINE, length as u32);
    let tag = Tag::new(length, 0, 0).with(Tag::INTERRUPTIBLE);
    let answer = exchange(session, tag, head, [request.into(), word, 0])?;
    let got = utcb::get_bytes(&mut bytes, answer.bytes.min(room));
    user::write_bytes(word, &bytes[..got])?;
    Ok(answer.value)
}
