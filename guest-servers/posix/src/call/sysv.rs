//! System V message queues and semaphores: `msgget`, `msgsnd`, `msgrcv`, `msgctl`, `semget`, `semop`, `semtimedop`,
//! `semctl`. The `queue` server keeps them.

use super::mq::{be_present, port};
use crate::server::{self, received};
use crate::user;
use crate::window;
use ferrix_abi::ipc::{FOREVER, LONG_MAX, Tag};
use ferrix_posix::shm::command;
use ferrix_posix::sysv::{
    MessageStatus, SetStatus, message, message_info, semaphore, semaphore_info,
};
use ferrix_posix::time::{deadline, from_timespec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::queue::TAKE;
use ferrix_proto::request::{Head, Place};
use ferrix_proto::sysv::{self as proto, MESSAGE_MAX, OPERATIONS_MAX, SemaphoreSet, stat};
use ferrix_rt::client::{Answer, exchange};
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::utcb;
use linux_raw_sys::general::__kernel_timespec as timespec;

/// Bytes of `struct sembuf`.
const OPERATION: u64 = 6;

fn ask(operation: u16, words: [u64; 3]) -> Result<Answer> {
    server::ask(port()?, operation, words)
}

/// Both halves of a word.
fn word(low: u64, high: u64) -> u64 {
    u64::from(low as u32) | high << 32
}

/// Sends a request with bytes of the program: in the message, or left with the server before.
fn ask_with(operation: u16, words: [u64; 2], place: u64, length: u64) -> Result<Answer> {
    let port = port()?;
    be_present()?;
    let mut bytes = [0; LONG_MAX];
    let (mut inline, mut deposited) = (length as usize, 0);
    if length > LONG_MAX as u64 {
        let server = window::server_of(port)?;
        let slot = window::wait_for_slot(server, port)?;
        slot.fill_from_program(0, place, length)?;
        let head = Head::new(proto::DEPOSIT, Place::WINDOW, length as u32);
        exchange(port, Tag::SHORT, head, [0, 0, slot.offset()])?;
        (inline, deposited) = (0, 1);
    }
    user::read_bytes(place, &mut bytes[..inline])?;
    let length = utcb::put_bytes(&bytes[..inline]);
    let head = Head::new(operation, Place::INLINE, length as u32);
    let tag = Tag::new(length, 0, 0).with(Tag::INTERRUPTIBLE);
    Ok(exchange(port, tag, head, [words[0], words[1], deposited])?)
}

/// Stores what a reply brought, or left with the server; how many bytes.
fn store(answer: &Answer, place: u64) -> Result<u64> {
    let number = answer.words[1];
    if number == 0 {
        let (bytes, length) = utcb::received_bytes(answer.bytes);
        user::write_bytes(place, &bytes[..length])?;
        return Ok(length as u64);
    }
    let port = port()?;
    let server = window::server_of(port)?;
    let slot = window::wait_for_slot(server, port)?;
    let head = Head::new(TAKE, Place::WINDOW, 0);
    let length = exchange(port, Tag::SHORT, head, [number, 0, slot.offset()])?.value;
    slot.copy_to_program(0, place, length)?;
    Ok(length)
}

pub fn msgget(frame: &mut Frame) -> Result<u64> {
    let [key, flags, ..] = frame.args();
    Ok(ask(proto::MESSAGE_GET, [word(key, flags), 0, 0])?.words[0])
}

pub fn msgsnd(frame: &mut Frame) -> Result<u64> {
    let [id, place, length, flags, ..] = frame.args();
    let kind = user::read::<u64>(place)?;
    if length > MESSAGE_MAX || (kind as i64) < 1 || (id as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    ask_with(
        proto::MESSAGE_SEND,
        [word(id, flags), kind],
        place + 8,
        length,
    )
    .map_err(Errno::unless_handled)?;
    Ok(0)
}

pub fn msgrcv(frame: &mut Frame) -> Result<u64> {
    let [id, place, room, kind, flags, _] = frame.args();
    if (room as i64) < 0 || (id as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    be_present()?;
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let head = Head::new(proto::MESSAGE_RECEIVE, Place::INLINE, room);
    let tag = Tag::SHORT.with(Tag::INTERRUPTIBLE);
    let answer = exchange(port()?, tag, head, [word(id, flags), kind, 0])
        .map_err(|errno| Errno::from(errno).unless_handled())?;
    // The server forgets a large message when it is fetched, wherever the program wants it.
    let length = store(&answer, place.saturating_add(8))?;
    user::write(place, &answer.words[0])?;
    Ok(length)
}

pub fn msgctl(frame: &mut Frame) -> Result<u64> {
    let [id, command, buffer, ..] = frame.args();
    let status = |how| -> Result<proto::MessageQueue> {
        received(&ask(proto::MESSAGE_STAT, [word(id, how), 0, 0])?)
    };
    if (id as i32) < 0 || (command as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    match command as u32 & !command::WIDE {
        command::REMOVE => ask(proto::MESSAGE_REMOVE, [word(id, 0), 0, 0]).map(|_| 0),
        command::SET => {
            let new = user::read::<MessageStatus>(buffer)?;
            let owner = &new.permissions;
            let words = [
                word(id, owner.mode.into()),
                word(owner.uid.into(), owner.gid.into()),
            ];
            ask(proto::MESSAGE_SET, [words[0], words[1], new.limit]).map(|_| 0)
        }
        command::STAT => {
            user::write(buffer, &MessageStatus::from(&status(stat::ID)?))?;
            Ok(0)
        }
        how @ (message::STAT_INDEX | message::STAT_INDEX_ANY) => {
            let any = how == message::STAT_INDEX_ANY;
            let queue = status(if any { stat::INDEX_ANY } else { stat::INDEX })?;
            user::write(buffer, &MessageStatus::from(&queue))?;
            Ok(queue.owned.id.into())
        }
        how @ (command::LIMITS | message::USAGE) => {
            let [first, messages, bytes] = ask(proto::MESSAGE_SUMMARY, [0; 3])?.words;
            let used = [u64::from(first as u32), messages, bytes];
            let info = message_info((how == message::USAGE).then_some(used));
            user::write(buffer, &info)?;
            Ok(first >> 32)
        }
        _ => Err(Errno::EINVAL),
    }
}

pub fn semget(frame: &mut Frame) -> Result<u64> {
    let [key, count, flags, ..] = frame.args();
    if (count as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let words = [word(key, flags), u64::from(count as u32), 0];
    Ok(ask(proto::SEMAPHORE_GET, words)?.words[0])
}

pub fn semop(frame: &mut Frame) -> Result<u64> {
    operate(frame, FOREVER)
}

pub fn semtimedop(frame: &mut Frame) -> Result<u64> {
    let limit = user::read_optional::<timespec>(frame.args()[3])?;
    let limit = limit.map(from_timespec).transpose()?;
    operate(
        frame,
        limit.map_or(FOREVER, |limit| deadline(monotonic_ns(), limit)),
    )
}

fn operate(frame: &Frame, until: u64) -> Result<u64> {
    let [id, place, count, ..] = frame.args();
    let count = u64::from(count as u32);
    if count == 0 || (id as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if count > OPERATIONS_MAX as u64 {
        return Err(Errno::E2BIG);
    }
    let words = [word(id, count), until];
    ask_with(proto::SEMAPHORE_OPERATE, words, place, count * OPERATION).map(|_| 0)
}

fn set_status(id: u64, how: u64) -> Result<SemaphoreSet> {
    received(&ask(proto::SEMAPHORE_STAT, [word(id, how), 0, 0])?)
}

pub fn semctl(frame: &mut Frame) -> Result<u64> {
    let [id, number, command, argument, ..] = frame.args();
    if (id as i32) < 0 || (number as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    match command as u32 & !command::WIDE {
        command::REMOVE => ask(proto::SEMAPHORE_REMOVE, [word(id, 0), 0, 0]).map(|_| 0),
        command::SET => {
            let owner = user::read::<SetStatus>(argument)?.permissions;
            let words = [
                word(id, owner.mode.into()),
                word(owner.uid.into(), owner.gid.into()),
                0,
            ];
            ask(proto::SEMAPHORE_SET, words).map(|_| 0)
        }
        command::STAT => {
            user::write(argument, &SetStatus::from(&set_status(id, stat::ID)?))?;
            Ok(0)
        }
        how @ (semaphore::STAT_INDEX | semaphore::STAT_INDEX_ANY) => {
            let any = how == semaphore::STAT_INDEX_ANY;
            let set = set_status(id, if any { stat::INDEX_ANY } else { stat::INDEX })?;
            user::write(argument, &SetStatus::from(&set))?;
            Ok(set.owned.id.into())
        }
        how @ (command::LIMITS | semaphore::USAGE) => {
            let [first, all, _] = ask(proto::SEMAPHORE_SUMMARY, [0; 3])?.words;
            let used = [u64::from(first as u32), all];
            let info = semaphore_info((how == semaphore::USAGE).then_some(used));
            user::write(argument, &info)?;
            Ok(first >> 32)
        }
        command => values(id, number, command, argument),
    }
}

/// The commands about values.
fn values(id: u64, number: u64, command: u32, argument: u64) -> Result<u64> {
    let look = || Ok::<_, Errno>(ask(proto::SEMAPHORE_LOOK, [word(id, number), 0, 0])?.words);
    match command {
        semaphore::GET_VALUE => Ok(look()?[0]),
        semaphore::GET_PID => Ok(look()?[1]),
        semaphore::GET_MORE => Ok(u64::from(look()?[2] as u32)),
        semaphore::GET_ZERO => Ok(look()?[2] >> 32),
        semaphore::SET_VALUE => {
            // A negative number is out of range as much as a large one.
            let words = [word(id, number), u64::from(argument as u32), 0];
            ask(proto::SEMAPHORE_ASSIGN, words).map(|_| 0)
        }
        semaphore::GET_ALL => {
            let answer = ask(proto::SEMAPHORE_VALUES, [word(id, 0), 0, 0])?;
            store(&answer, argument).map(|_| 0)
        }
        semaphore::SET_ALL => {
            let count = ask(proto::SEMAPHORE_STAT, [word(id, stat::COUNT), 0, 0])?;
            let count = received::<SemaphoreSet>(&count)?.count;
            let words = [word(id, 0), 0];
            ask_with(proto::SEMAPHORE_ASSIGN_ALL, words, argument, count * 2).map(|_| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}
