//! Reading and writing: `read`, `write` and their vectored and positioned forms, `lseek`, `sendfile`.

use super::io_vectors::Vectors;
use super::mq::be_present;
use super::{limits, messages, receiving};
use crate::server::{self, Channel};
use crate::state;
use crate::user;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::SIGPIPE;
use ferrix_posix::descriptors::Descriptor;
use ferrix_posix::slots::SLOT_SIZE;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{self, io, kind, position};
use ferrix_proto::request::{Head, Place};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::sys::signal::{self, Target};
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::{RWF_NOWAIT, SEEK_CUR};

/// A transfer's place in the file and flags: words 1 and 2.
#[derive(Clone, Copy)]
struct How {
    position: u64,
    flags: u64,
}

const CURRENT: How = How {
    position: position::CURRENT,
    flags: 0,
};

impl How {
    fn at(offset: u64) -> Result<How> {
        if (offset as i64) < 0 {
            Err(Errno::EINVAL)
        } else {
            Ok(How {
                position: offset,
                flags: 0,
            })
        }
    }

    /// `preadv2`: -1 is the current offset.
    fn with_flags(offset: u64, flags: u64) -> Result<How> {
        let how = if offset == u64::MAX {
            CURRENT
        } else {
            How::at(offset)?
        };
        match flags as u32 {
            0 => Ok(how),
            RWF_NOWAIT => Ok(How {
                flags: io::NON_BLOCKING,
                ..how
            }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The same for a write to this file: with how large it may become.
    fn writing(self, descriptor: &Descriptor) -> How {
        let limit = match u64::from(descriptor.kind) {
            kind::REGULAR => limits::write_flags(),
            _ => 0,
        };
        How {
            flags: self.flags | limit,
            ..self
        }
    }

    fn after(self, done: u64) -> How {
        if self.position == position::CURRENT {
            self
        } else {
            How {
                position: self.position + done,
                ..self
            }
        }
    }
}

pub fn read(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, ..] = frame.args();
    read_all(fd, Vectors::one(buffer, length)?, CURRENT)
}

pub fn write(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, ..] = frame.args();
    write_all(fd, Vectors::one(buffer, length)?, CURRENT)
}

pub fn pread(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, offset, ..] = frame.args();
    read_all(fd, Vectors::one(buffer, length)?, How::at(offset)?)
}

pub fn pwrite(frame: &mut Frame) -> Result<u64> {
    let [fd, buffer, length, offset, ..] = frame.args();
    write_all(fd, Vectors::one(buffer, length)?, How::at(offset)?)
}

pub fn readv(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, ..] = frame.args();
    read_all(fd, Vectors::many(list, count)?, CURRENT)
}

pub fn writev(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, ..] = frame.args();
    write_all(fd, Vectors::many(list, count)?, CURRENT)
}

pub fn preadv(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, offset, ..] = frame.args();
    read_all(fd, Vectors::many(list, count)?, How::at(offset)?)
}

pub fn pwritev(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, offset, ..] = frame.args();
    write_all(fd, Vectors::many(list, count)?, How::at(offset)?)
}

pub fn preadv2(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, offset, _, flags] = frame.args();
    read_all(
        fd,
        Vectors::many(list, count)?,
        How::with_flags(offset, flags)?,
    )
}

pub fn pwritev2(frame: &mut Frame) -> Result<u64> {
    let [fd, list, count, offset, _, flags] = frame.args();
    write_all(
        fd,
        Vectors::many(list, count)?,
        How::with_flags(offset, flags)?,
    )
}

/// Reads until the buffers are full, the file ends, or (on what is no regular file) something came.
fn read_all(fd: u64, mut vectors: Vectors, how: How) -> Result<u64> {
    let descriptor = state::descriptor(fd)?;
    match u64::from(descriptor.kind) {
        kind::SOCKET if how.position != position::CURRENT => return Err(Errno::ESPIPE),
        kind::SOCKET => return receiving::read(fd, vectors),
        kind::POLLER => return Err(Errno::EINVAL),
        _ => {}
    }
    let wanted = vectors.total;
    let mut done = 0;
    while done < wanted {
        let piece = read_piece(fd, &descriptor, &mut vectors, how.after(done));
        let (asked, got) = match piece {
            Ok(piece) => piece,
            Err(errno) if done == 0 => return Err(errno.restartable()),
            Err(_) => break,
        };
        done += got;
        if got < asked || !descriptor.is_seekable() {
            break;
        }
    }
    Ok(done)
}

/// How many bytes come only together: a counter's number.
fn whole(descriptor: &Descriptor) -> u64 {
    match u64::from(descriptor.kind) {
        kind::EVENT => 8,
        _ => 1,
    }
}

/// How many bytes one call writes at most: one number to a counter.
fn most_written(descriptor: &Descriptor) -> u64 {
    match u64::from(descriptor.kind) {
        kind::EVENT => whole(descriptor),
        _ => u64::MAX,
    }
}

/// One request: bytes asked for, bytes got.
fn read_piece(
    fd: u64,
    descriptor: &Descriptor,
    vectors: &mut Vectors,
    how: How,
) -> Result<(u64, u64)> {
    let mut wanted = vectors.total.min(SLOT_SIZE);
    if !descriptor.is_seekable() {
        // What comes out of a pipe or a terminal cannot go back.
        wanted = match vectors.writable(wanted) {
            0 => return Err(Errno::EFAULT),
            fits if fits < wanted.min(whole(descriptor)) => return Err(Errno::EFAULT),
            fits => fits,
        };
    }
    match server::channel(fd, descriptor, wanted)? {
        Channel::Inline => {
            let wanted = wanted.min(LONG_MAX as u64);
            let got = request(
                descriptor,
                file::READ,
                Place::INLINE,
                wanted,
                [how.position, how.flags, 0],
            )?;
            let (bytes, length) = utcb::received_bytes(got.bytes);
            let stored = store(
                descriptor,
                vectors,
                length as u64,
                how,
                |vectors, length| vectors.take_from(&bytes[..length as usize]),
            );
            Ok((wanted, stored?))
        }
        Channel::Window(slot) => {
            let words = [how.position, how.flags, slot.offset()];
            let result = request(descriptor, file::READ, Place::WINDOW, wanted, words);
            let got = checked(result, &slot)?.min(wanted);
            let stored = store(descriptor, vectors, got, how, |vectors, length| {
                vectors.take_from_slot(&slot, length)
            });
            Ok((wanted, stored?))
        }
    }
}

/// Stores what came in the program: all of it, or what its memory has room for; the file's offset goes back to there.
fn store(
    descriptor: &Descriptor,
    vectors: &mut Vectors,
    got: u64,
    how: How,
    copy: impl Fn(&mut Vectors, u64) -> Result<()>,
) -> Result<u64> {
    let before = *vectors;
    let Err(errno) = copy(vectors, got) else {
        return Ok(got);
    };
    let fits = before.writable(got);
    if how.position == position::CURRENT && descriptor.is_seekable() {
        let back = (got - fits).wrapping_neg();
        let words = [back, u64::from(SEEK_CUR), 0];
        // The call fails anyway, or tells how much came.
        let _ = server::ask(Handle(descriptor.handle), file::SEEK, words);
    }
    if fits == 0 {
        return Err(errno);
    }
    *vectors = before;
    copy(vectors, fits).map(|()| fits)
}

/// Writes everything, or as much as can be.
fn write_all(fd: u64, mut vectors: Vectors, how: How) -> Result<u64> {
    let descriptor = state::descriptor(fd)?;
    match u64::from(descriptor.kind) {
        kind::SOCKET if how.position != position::CURRENT => return Err(Errno::ESPIPE),
        kind::SOCKET => return messages::write(fd, vectors),
        kind::POLLER => return Err(Errno::EINVAL),
        // It may wait at the server.
        kind::EVENT => be_present()?,
        _ => {}
    }
    let how = how.writing(&descriptor);
    let wanted = vectors.total.min(most_written(&descriptor));
    let mut done = 0;
    while done < wanted {
        let before = vectors;
        match write_piece(fd, &descriptor, &mut vectors, how.after(done)) {
            Ok(0) => break,
            Ok(taken) => {
                done += taken;
                // What was not taken is sent again.
                vectors = before;
                vectors.skip(taken)?;
            }
            Err(errno) if done == 0 => return Err(failed_write(errno)),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn write_piece(fd: u64, descriptor: &Descriptor, vectors: &mut Vectors, how: How) -> Result<u64> {
    let wanted = vectors.total.min(SLOT_SIZE).min(most_written(descriptor));
    match server::channel(fd, descriptor, wanted)? {
        Channel::Inline => {
            let mut bytes = [0; LONG_MAX];
            let bytes = &mut bytes[..wanted.min(LONG_MAX as u64) as usize];
            vectors.give_to(bytes)?;
            let length = bytes.len();
            let head = Head::new(file::WRITE, Place::INLINE, length as u32);
            let tag = Tag::new(length, 0, 0).with(Tag::INTERRUPTIBLE);
            let session = Handle(descriptor.handle);
            let answer = server::patient(session, || {
                utcb::put_bytes(bytes);
                exchange(session, tag, head, [how.position, how.flags, 0])
            })?;
            Ok(answer.value.min(length as u64))
        }
        Channel::Window(slot) => {
            vectors.give_to_slot(&slot, wanted)?;
            let words = [how.position, how.flags, slot.offset()];
            let result = request(descriptor, file::WRITE, Place::WINDOW, wanted, words);
            Ok(checked(result, &slot)?.min(wanted))
        }
    }
}

fn request(
    descriptor: &Descriptor,
    operation: u16,
    place: Place,
    length: u64,
    words: [u64; 3],
) -> Result<Answer> {
    let head = Head::new(operation, place, length as u32);
    let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
    let session = Handle(descriptor.handle);
    server::patient(session, || exchange(session, tag, head, words))
}

/// The bytes moved. After a restart of the server the window is forgotten, and the program's call made again.
fn checked(result: Result<Answer>, slot: &crate::window::Slot) -> Result<u64> {
    match result {
        Ok(answer) => Ok(answer.value),
        Err(errno) if server::has_restarted(slot.server(), errno) => Err(Errno::RESTART),
        Err(errno) => Err(errno),
    }
}

fn failed_write(errno: Errno) -> Errno {
    if errno == Errno::EPIPE {
        let info = SignalInfo {
            signo: SIGPIPE,
            ..SignalInfo::default()
        };
        // The thread exists: it is the caller.
        let _ = signal::send(Target::Thread, utcb::tid() as i32, &info);
    }
    limits::too_large(errno).restartable()
}

pub fn lseek(frame: &mut Frame) -> Result<u64> {
    let [fd, offset, whence, ..] = frame.args();
    let descriptor = state::descriptor(fd)?;
    let answer = server::ask(Handle(descriptor.handle), file::SEEK, [offset, whence, 0])?;
    Ok(answer.words[0])
}

/// `sendfile`: from one description to another through their windows, without the program's memory.
pub fn sendfile(frame: &mut Frame) -> Result<u64> {
    let [to, from, offset_at, count, ..] = frame.args();
    let start = user::read_optional::<u64>(offset_at)?;
    let how = start.map_or(Ok(CURRENT), How::at)?;
    let done = transfer((from, how), (to, CURRENT), count)?;
    if let Some(start) = start {
        user::write(offset_at, &(start + done))?;
    }
    Ok(done)
}

/// `copy_file_range`.
pub fn copy_file_range(frame: &mut Frame) -> Result<u64> {
    let [from, from_at, to, to_at, count, flags] = frame.args();
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let (from_start, to_start) = (
        user::read_optional::<u64>(from_at)?,
        user::read_optional::<u64>(to_at)?,
    );
    let from_how = from_start.map_or(Ok(CURRENT), How::at)?;
    let to_how = to_start.map_or(Ok(CURRENT), How::at)?;
    let seekable = |fd| state::descriptor(fd).map(|descriptor| descriptor.is_seekable());
    if !seekable(from)? || !seekable(to)? {
        return Err(Errno::EINVAL);
    }
    let done = transfer((from, from_how), (to, to_how), count)?;
    for (place, start) in [(from_at, from_start), (to_at, to_start)] {
        if let Some(start) = start {
            user::write(place, &(start + done))?;
        }
    }
    Ok(done)
}

/// Moves up to one slot of data; the program (or `std`) calls again for more.
fn transfer(from: (u64, How), to: (u64, How), count: u64) -> Result<u64> {
    let source = state::descriptor(from.0)?;
    let target = state::descriptor(to.0)?;
    let wanted = count.min(SLOT_SIZE);
    // Both channels are chosen as for a large transfer, so that slots are there.
    let (Channel::Window(source_slot), Channel::Window(target_slot)) = (
        server::channel(from.0, &source, SLOT_SIZE)?,
        server::channel(to.0, &target, SLOT_SIZE)?,
    ) else {
        return Err(Errno::EAGAIN);
    };
    let words = [from.1.position, from.1.flags, source_slot.offset()];
    let got =
        request(&source, file::READ, Place::WINDOW, wanted, words).map_err(Errno::restartable)?;
    let got = got.value.min(wanted);
    if got == 0 {
        return Ok(0);
    }
    target_slot.fill_from_slot(&source_slot, got)?;
    let how = to.1.writing(&target);
    let mut done = 0;
    while done < got {
        let words = [
            how.after(done).position,
            how.flags,
            target_slot.offset() + done,
        ];
        match request(&target, file::WRITE, Place::WINDOW, got - done, words) {
            Ok(answer) if answer.value != 0 => done += answer.value.min(got - done),
            Err(errno) if done == 0 => return Err(failed_write(errno)),
            _ => break,
        }
    }
    Ok(done)
}
