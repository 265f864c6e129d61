//! Sockets, counters and lists of descriptors to wait for, as far as `std` does not have them.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{check, check_size};

/// An open socket, counter or list.
pub type Fd = OwnedFd;

fn owned(fd: i32) -> Fd {
    // SAFETY: the call just made it, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// `socket`.
pub fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<Fd> {
    // SAFETY: numbers only.
    check(unsafe { libc::socket(family, kind, protocol) }).map(owned)
}

/// `socketpair` of the Unix domain.
pub fn pair(kind: i32) -> io::Result<(Fd, Fd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two numbers.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    Ok((owned(fds[0]), owned(fds[1])))
}

/// An address: `sun_path`, whose length counts.
fn address(path: &[u8]) -> (libc::sockaddr_un, u32) {
    // SAFETY: integers only.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = *from as _;
    }
    (address, 2 + path.len() as u32)
}

/// `bind`.
pub fn bind(fd: &Fd, path: &[u8]) -> io::Result<()> {
    let (address, length) = address(path);
    // SAFETY: a live structure, of which `length` bytes are read.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) }).map(drop)
}

/// `connect`.
pub fn connect(fd: &Fd, path: &[u8]) -> io::Result<()> {
    let (address, length) = address(path);
    // SAFETY: as in `bind`.
    check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), length) }).map(drop)
}

/// `listen`.
pub fn listen(fd: &Fd, backlog: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// `accept4`; the peer's `sun_path`.
pub fn accept(fd: &Fd, flags: i32) -> io::Result<(Fd, Vec<u8>)> {
    // SAFETY: integers only.
    let mut from: libc::sockaddr_un = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&from) as u32;
    let place = (&raw mut from).cast();
    // SAFETY: a live structure of so many bytes.
    let new = check(unsafe { libc::accept4(fd.as_raw_fd(), place, &mut length, flags) })?;
    Ok((owned(new), path_of(&from, length)))
}

fn path_of(address: &libc::sockaddr_un, length: u32) -> Vec<u8> {
    let path = address.sun_path.iter().map(|&byte| byte as u8);
    path.take((length as usize).saturating_sub(2)).collect()
}

/// `getsockname` or `getpeername`.
pub fn name(fd: &Fd, peer: bool) -> io::Result<Vec<u8>> {
    // SAFETY: integers only.
    let mut name: libc::sockaddr_un = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&name) as u32;
    let place = (&raw mut name).cast();
    // SAFETY: a live structure of so many bytes.
    check(unsafe {
        match peer {
            true => libc::getpeername(fd.as_raw_fd(), place, &mut length),
            false => libc::getsockname(fd.as_raw_fd(), place, &mut length),
        }
    })?;
    Ok(path_of(&name, length))
}

/// `send`.
pub fn send(fd: &Fd, bytes: &[u8], flags: i32) -> io::Result<usize> {
    // SAFETY: a live slice.
    check_size(unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// `sendto`.
pub fn send_to(fd: &Fd, bytes: &[u8], path: &[u8]) -> io::Result<usize> {
    let (address, length) = address(path);
    let (place, count) = (bytes.as_ptr().cast(), bytes.len());
    let to = (&raw const address).cast();
    // SAFETY: a live slice and a live structure.
    check_size(unsafe { libc::sendto(fd.as_raw_fd(), place, count, 0, to, length) })
}

/// `recv`.
pub fn receive(fd: &Fd, into: &mut [u8], flags: i32) -> io::Result<usize> {
    // SAFETY: a live slice.
    check_size(unsafe { libc::recv(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), flags) })
}

/// `recvfrom`: bytes, and the sender's `sun_path`.
pub fn receive_from(fd: &Fd, room: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
    // SAFETY: integers only.
    let mut from: libc::sockaddr_un = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&from) as u32;
    let mut bytes = vec![0; room];
    let place = (&raw mut from).cast();
    // SAFETY: a live slice and a live structure of so many bytes.
    let got = check_size(unsafe {
        let into = bytes.as_mut_ptr().cast();
        libc::recvfrom(fd.as_raw_fd(), into, room, 0, place, &mut length)
    })?;
    bytes.truncate(got);
    Ok((bytes, path_of(&from, length)))
}

/// What `recvmsg` brought.
#[derive(Debug)]
pub struct Message {
    /// Bytes.
    pub bytes: Vec<u8>,
    /// `msg_flags`.
    pub flags: i32,
    /// Descriptors.
    pub files: Vec<OwnedFd>,
    /// Pid, user, group.
    pub ids: Option<(i32, u32, u32)>,
}

/// Room for control messages.
const CONTROL: usize = 1200;

/// `sendmsg` with descriptors.
pub fn send_files(fd: &Fd, bytes: &[u8], files: &[i32], flags: i32) -> io::Result<usize> {
    let mut control = [0u64; CONTROL / 8];
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let length = mem::size_of_val(files);
    // SAFETY: the header points to live memory, the control message is written where the macros say, within the
    // buffer, which has room for 253 descriptors.
    check_size(unsafe {
        let mut head: libc::msghdr = mem::zeroed();
        head.msg_iov = &mut vector;
        head.msg_iovlen = 1;
        head.msg_control = control.as_mut_ptr().cast();
        head.msg_controllen = libc::CMSG_SPACE(length as u32) as _;
        let first = libc::CMSG_FIRSTHDR(&head);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(length as u32) as _;
        std::ptr::copy_nonoverlapping(files.as_ptr().cast(), libc::CMSG_DATA(first), length);
        libc::sendmsg(fd.as_raw_fd(), &head, flags)
    })
}

/// `recvmsg` with so much room for data and for control messages.
pub fn receive_message(fd: &Fd, room: usize, control_room: usize) -> io::Result<Message> {
    let mut control = [0u64; CONTROL / 8];
    let mut bytes = vec![0u8; room];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: room,
    };
    // SAFETY: the header points to live memory; control messages are read where the macros say.
    unsafe {
        let mut head: libc::msghdr = mem::zeroed();
        head.msg_iov = &mut vector;
        head.msg_iovlen = 1;
        head.msg_control = control.as_mut_ptr().cast();
        head.msg_controllen = control_room.min(CONTROL) as _;
        let got = check_size(libc::recvmsg(fd.as_raw_fd(), &mut head, 0))?;
        bytes.truncate(got);
        let mut message = Message {
            bytes,
            flags: head.msg_flags,
            files: Vec::new(),
            ids: None,
        };
        let mut next = libc::CMSG_FIRSTHDR(&head);
        while !next.is_null() {
            let data = libc::CMSG_DATA(next);
            let length = (*next).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            match (*next).cmsg_type {
                libc::SCM_RIGHTS => {
                    for index in 0..length / 4 {
                        message
                            .files
                            .push(owned(data.cast::<i32>().add(index).read_unaligned()));
                    }
                }
                libc::SCM_CREDENTIALS => {
                    let ids = data.cast::<libc::ucred>().read_unaligned();
                    message.ids = Some((ids.pid, ids.uid, ids.gid));
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(&head, next);
        }
        Ok(message)
    }
}

/// An integer option of the socket level.
pub fn option(fd: &Fd, name: i32) -> io::Result<i32> {
    let (mut value, mut length) = (0, 4);
    let place = (&raw mut value).cast();
    // SAFETY: a live number of four bytes.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, place, &mut length) })?;
    Ok(value)
}

/// Sets an option of the socket level.
pub fn set_option<T>(fd: &Fd, name: i32, value: &T) -> io::Result<()> {
    let (place, length) = ((&raw const *value).cast(), mem::size_of::<T>() as u32);
    // SAFETY: a live value of so many bytes.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, place, length) })
        .map(drop)
}

/// `SO_PEERCRED`.
pub fn peer_ids(fd: &Fd) -> io::Result<(i32, u32, u32)> {
    // SAFETY: integers only.
    let mut ids: libc::ucred = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&ids) as u32;
    let place = (&raw mut ids).cast();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: a live structure of so many bytes.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, place, &mut length) })?;
    Ok((ids.pid, ids.uid, ids.gid))
}

/// `shutdown`.
pub fn shutdown(fd: &Fd, how: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), how) }).map(drop)
}

/// `eventfd`.
pub fn counter(value: u32, flags: i32) -> io::Result<Fd> {
    // SAFETY: numbers only.
    check(unsafe { libc::eventfd(value, flags) }).map(owned)
}

/// `read` into a buffer.
pub fn read(fd: &Fd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a live slice.
    check_size(unsafe { libc::read(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) })
}

/// `write` of a buffer.
pub fn write(fd: &Fd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: a live slice.
    check_size(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// What `poll` says of one descriptor at once, or within some milliseconds.
pub fn poll(fd: &Fd, events: i16, wait: i32) -> io::Result<i16> {
    let mut one = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: one live structure.
    check(unsafe { libc::poll(&mut one, 1, wait) })?;
    Ok(one.revents)
}

/// A list of descriptors to wait for.
pub fn list() -> io::Result<Fd> {
    // SAFETY: numbers only.
    check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(owned)
}

/// Changes a list.
pub fn control(list: &Fd, operation: i32, fd: i32, events: u32, data: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: a live structure.
    check(unsafe { libc::epoll_ctl(list.as_raw_fd(), operation, fd, &mut event) }).map(drop)
}

/// What is ready of a list: events and data.
pub fn wait(list: &Fd, most: usize, milliseconds: i32) -> io::Result<Vec<(u32, u64)>> {
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; most];
    let (place, most) = (events.as_mut_ptr(), most as i32);
    // SAFETY: room for so many structures.
    let count = check(unsafe { libc::epoll_wait(list.as_raw_fd(), place, most, milliseconds) })?;
    let ready = events[..count as usize].iter();
    Ok(ready.map(|event| (event.events, event.u64)).collect())
}

/// What `poll` says of each of several descriptors.
pub fn poll_all(all: &[Fd], events: i16) -> io::Result<Vec<i16>> {
    let entry = |fd: &Fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    let mut entries: Vec<libc::pollfd> = all.iter().map(entry).collect();
    // SAFETY: so many live structures.
    check(unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, 0) })?;
    Ok(entries.iter().map(|entry| entry.revents).collect())
}

/// How many of the descriptors `select` finds readable.
pub fn select_readable(all: &[Fd]) -> io::Result<i32> {
    // SAFETY: all-zero is a valid set; all descriptors are below its size, which the macro checks.
    check(unsafe {
        let mut set: libc::fd_set = mem::zeroed();
        all.iter()
            .for_each(|fd| libc::FD_SET(fd.as_raw_fd(), &mut set));
        let null = std::ptr::null_mut();
        let mut at_once: libc::timeval = mem::zeroed();
        libc::select(libc::FD_SETSIZE as i32, &mut set, null, null, &mut at_once)
    })
}

/// What `ioctl` says of a socket with a command that counts bytes.
pub fn count_bytes(fd: &Fd, command: libc::Ioctl) -> io::Result<i32> {
    let mut count: i32 = 0;
    // SAFETY: the commands that are used write one number.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), command, &raw mut count) })?;
    Ok(count)
}
