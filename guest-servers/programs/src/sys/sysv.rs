//! System V message queues and semaphores.

use std::io;
use std::mem;

use super::{check, check_size};

/// `msgget`.
pub fn queue(key: i32, flags: i32) -> io::Result<i32> {
    // SAFETY: numbers only.
    check(unsafe { libc::msgget(key, flags) })
}

/// `msgsnd`.
pub fn send(id: i32, kind: i64, bytes: &[u8], flags: i32) -> io::Result<()> {
    let buffer = [&kind.to_ne_bytes(), bytes].concat();
    // SAFETY: a live buffer: the type, then the bytes.
    check(unsafe { libc::msgsnd(id, buffer.as_ptr().cast(), bytes.len(), flags) }).map(drop)
}

/// `msgrcv`: type and bytes.
pub fn receive(id: i32, room: usize, kind: i64, flags: i32) -> io::Result<(i64, Vec<u8>)> {
    let mut buffer = vec![0u8; 8 + room];
    let got = receive_into(id, &mut buffer, kind, flags)?;
    let kind = i64::from_ne_bytes(buffer[..8].try_into().unwrap_or_default());
    Ok((kind, buffer[8..8 + got].to_vec()))
}

/// The same into a buffer: the type in its first 8 bytes, then the message; how many bytes that has.
pub fn receive_into(id: i32, buffer: &mut [u8], kind: i64, flags: i32) -> io::Result<usize> {
    let (place, room) = (buffer.as_mut_ptr().cast(), buffer.len() - 8);
    // SAFETY: a live buffer: room for the type, then for the bytes.
    check_size(unsafe { libc::msgrcv(id, place, room, kind, flags) })
}

/// `msgctl(IPC_STAT)`.
pub fn queue_state(id: i32) -> io::Result<libc::msqid_ds> {
    // SAFETY: integers only.
    let mut state: libc::msqid_ds = unsafe { mem::zeroed() };
    // SAFETY: a live structure.
    check(unsafe { libc::msgctl(id, libc::IPC_STAT, &mut state) })?;
    Ok(state)
}

/// `msgctl(IPC_SET)`.
pub fn set_queue(id: i32, mut state: libc::msqid_ds) -> io::Result<()> {
    // SAFETY: a live structure.
    check(unsafe { libc::msgctl(id, libc::IPC_SET, &mut state) }).map(drop)
}

/// `msgctl(IPC_RMID)`.
pub fn remove_queue(id: i32) -> io::Result<()> {
    // SAFETY: the command takes no structure.
    check(unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// `semget`.
pub fn set(key: i32, count: i32, flags: i32) -> io::Result<i32> {
    // SAFETY: numbers only.
    check(unsafe { libc::semget(key, count, flags) })
}

/// An operation: number, change, flags.
pub type Operation = (u16, i16, i32);

fn operations(all: &[Operation]) -> Vec<libc::sembuf> {
    all.iter()
        .map(|&(number, change, flags)| libc::sembuf {
            sem_num: number,
            sem_op: change,
            sem_flg: flags as i16,
        })
        .collect()
}

/// `semop`.
pub fn operate(id: i32, all: &[Operation]) -> io::Result<()> {
    let mut all = operations(all);
    // SAFETY: a live slice.
    check(unsafe { libc::semop(id, all.as_mut_ptr(), all.len()) }).map(drop)
}

/// `semtimedop`.
pub fn operate_for(id: i32, all: &[Operation], milliseconds: i64) -> io::Result<()> {
    let mut all = operations(all);
    let limit = libc::timespec {
        tv_sec: milliseconds / 1000,
        tv_nsec: milliseconds % 1000 * 1_000_000,
    };
    let (place, count) = (all.as_mut_ptr(), all.len());
    // SAFETY: a live slice and a live structure.
    let result = unsafe { libc::syscall(libc::SYS_semtimedop, id, place, count, &raw const limit) };
    check(result as i32).map(drop)
}

/// `semctl` with a number: values, pids, counts, removal.
pub fn control(id: i32, number: i32, command: i32, value: i32) -> io::Result<i32> {
    // SAFETY: the commands that checks use take a number or nothing.
    check(unsafe { libc::semctl(id, number, command, value) })
}

/// `semctl(GETALL)`.
pub fn values(id: i32, count: usize) -> io::Result<Vec<u16>> {
    let mut values = vec![0u16; count];
    // SAFETY: a live slice with room for all values.
    check(unsafe { libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()) })?;
    Ok(values)
}

/// `semctl(SETALL)`.
pub fn set_values(id: i32, values: &[u16]) -> io::Result<()> {
    // SAFETY: a live slice with all values.
    check(unsafe { libc::semctl(id, 0, libc::SETALL, values.as_ptr()) }).map(drop)
}

/// How many semaphores `semctl(IPC_STAT)` says that a set has.
pub fn set_count(id: i32) -> io::Result<u16> {
    // `struct semid_ds`, which the crate has for some C libraries only: the number is its 11th word.
    let mut state = [0u64; 16];
    // SAFETY: room for more than the structure.
    check(unsafe { libc::semctl(id, 0, libc::IPC_STAT, state.as_mut_ptr()) })?;
    Ok(state[10] as u16)
}
