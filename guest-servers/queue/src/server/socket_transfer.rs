//! Sending and receiving on sockets.

use super::Server;
use super::parcels::thread;
use super::sockets::{is_in_window, is_wait, name_of};
use alloc::vec::Vec;
use ferrix_proto::socket::{DATA_MAX, got};
use ferrix_queue::budget::Client;
use ferrix_queue::errno::{EAGAIN, EINVAL, EMSGSIZE, ENOBUFS, EOPNOTSUPP, Result};
use ferrix_queue::socket::{Answer, Credentials, OVERHEAD, Received, Send, Take, Type};
use ferrix_rt::service::{Outcome, Reply, Request};
use ferrix_rt::sys::utcb;
use linux_raw_sys::{general as linux, net};

impl Server {
    /// `sendmsg(2)`. Open files stay for the thread's next try only if it is to wait for that.
    pub(super) fn send_on_socket(&mut self, request: &Request) -> Outcome {
        let outcome = self.try_to_send(request);
        if !matches!(outcome, Ok(Some(reply)) if is_wait(&reply)) {
            self.sockets.staged.remove(&thread(request.caller));
        }
        outcome
    }

    fn try_to_send(&mut self, request: &Request) -> Outcome {
        let [word, staged, _] = request.words;
        let (flags, address) = (word as u32, (word >> 32) as usize);
        let (id, mut status) = self.socket(request.badge)?;
        if flags & net::MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        if flags & net::MSG_DONTWAIT != 0 {
            status |= linux::O_NONBLOCK;
        }
        let (long, length) = utcb::received_bytes(request.bytes);
        let head = if address == 0 { 0 } else { 16 + address };
        let (front, inline) = long[..length].split_at_checked(head).ok_or(EINVAL)?;
        let to = match address {
            0 => None,
            _ => Some(name_of(&front[16..], key(front)?)?),
        };
        let length = request.head.length() as usize;
        if length > DATA_MAX {
            return Err(EMSGSIZE);
        }
        let ids = super::identity(request)?;
        let client = Client {
            pid: request.caller.pid,
            uid: ids.ruid,
        };
        let charge = self.budget.charge(client, length + OVERHEAD);
        let charge = Some(charge.ok_or(ENOBUFS)?);
        let bytes = self.data(request, inline)?;
        let rights = match staged {
            0 => None,
            _ => self.sockets.staged.get(&thread(request.caller)).cloned(),
        };
        let credentials = Credentials {
            pid: request.caller.pid,
            uid: ids.ruid,
            gid: ids.rgid,
        };
        let send = Send {
            to,
            bytes,
            rights: rights.unwrap_or_default(),
            credentials,
            charge,
        };
        let answer = self.sockets.all.send(id, send);
        self.signal_sockets();
        let answer = answer?;
        self.answer(answer, (id, status), net::SO_SNDTIMEO, |taken| {
            Reply::value(taken as u64)
        })
    }

    fn data(&self, request: &Request, inline: &[u8]) -> Result<Vec<u8>> {
        let length = request.head.length() as usize;
        if !is_in_window(request) {
            return inline.get(..length).map(<[u8]>::to_vec).ok_or(EINVAL);
        }
        let mut bytes = alloc::vec![0; length];
        let window = self.connections.window(request.caller.pid)?;
        window.read(request.words[2], &mut bytes)?;
        Ok(bytes)
    }

    /// `recvmsg(2)`.
    pub(super) fn receive_on_socket(&mut self, request: &Request) -> Outcome {
        let flags = request.words[0] as u32;
        let (id, mut status) = self.socket(request.badge)?;
        if flags & net::MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        if flags & net::MSG_DONTWAIT != 0 {
            status |= linux::O_NONBLOCK;
        }
        let take = match flags & net::MSG_PEEK {
            0 => Take::Away,
            _ => Take::Peek,
        };
        let room = (request.head.length() as usize).min(DATA_MAX);
        let answer = self.sockets.all.receive(id, room, take);
        self.signal_sockets();
        let received = match answer? {
            Answer::Done(received) => received,
            Answer::Wait(_) if status & linux::O_NONBLOCK != 0 => return Err(EAGAIN),
            Answer::Wait(bits) => {
                let none = |()| Reply::value(0);
                return self.answer(Answer::Wait(bits), (id, status), net::SO_RCVTIMEO, none);
            }
        };
        self.received(request, id, received)
    }

    fn received(
        &mut self,
        request: &Request,
        id: u32,
        received: Received<alloc::rc::Rc<super::passing::Passed>>,
    ) -> Outcome {
        let asked = request.words[0] as u32;
        let socket = self.sockets.all.get(id)?;
        let (passes, kind) = (socket.passes_credentials, socket.kind);
        let (mut long, mut flags) = (Vec::new(), 0);
        if passes {
            flags |= got::CREDENTIALS;
            let Credentials { pid, uid, gid } = received.credentials;
            long.extend(
                [pid, uid, gid, 0]
                    .iter()
                    .flat_map(|word| word.to_le_bytes()),
            );
        }
        let from: &[u8] = match kind {
            Type::Stream | Type::Notification => &[],
            _ => &received.from,
        };
        long.extend_from_slice(from);
        let stored = received.bytes.len();
        let cut = stored < received.length;
        if cut {
            flags |= net::MSG_TRUNC;
        }
        if is_in_window(request) {
            let window = self.connections.window(request.caller.pid)?;
            window.write(request.words[2], &received.bytes)?;
        } else {
            long.extend_from_slice(&received.bytes);
        }
        let passed = received.rights.len();
        if passed > 0 {
            self.put_unstaged(thread(request.caller), received.rights);
        }
        let status = match asked & net::MSG_TRUNC {
            0 => stored,
            _ => received.length,
        };
        let words = [
            u64::from(flags) | (from.len() as u64) << 32,
            stored as u64 | (passed as u64) << 32,
            0,
        ];
        let reply = Reply::inline(&long).with_words(words);
        Ok(Some(Reply {
            status: status as i64,
            ..reply
        }))
    }
}

fn key(front: &[u8]) -> Result<[u64; 2]> {
    let word = |at: usize| {
        let bytes = front
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or(EINVAL)
    };
    Ok([word(0)?, word(8)?])
}
