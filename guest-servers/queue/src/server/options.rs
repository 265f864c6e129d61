//! Options of sockets (socket(7), unix(7)).

use super::Server;
use ferrix_queue::errno::{EINVAL, ENOPROTOOPT, Result};
use ferrix_queue::socket::{Id, Type};
use ferrix_rt::service::{Outcome, Reply, Request};
use linux_raw_sys::net;

/// Smallest and largest buffer, as Linux doubles what is asked for.
const BUFFER: core::ops::RangeInclusive<u64> = 2304..=425_984;

impl Server {
    /// `getsockopt(2)`.
    pub(super) fn get_option(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        let value = self.option(id, request.words[0] as u32)?;
        self.signal_sockets();
        Ok(Some(Reply::value(0).with_words([value[0], value[1], 0])))
    }

    fn option(&mut self, id: Id, option: u32) -> Result<[u64; 2]> {
        if option == net::SO_ERROR {
            return Ok([self.sockets.all.take_error(id)? as u64, 0]);
        }
        let listens = self.sockets.all.listens(id);
        let socket = self.sockets.all.get(id)?;
        let number = match option {
            net::SO_TYPE => match socket.kind {
                Type::Stream => net::SOCK_STREAM,
                Type::Datagram => net::SOCK_DGRAM,
                Type::SeqPacket => net::SOCK_SEQPACKET,
                Type::Notification => net::SOCK_RAW,
            },
            net::SO_DOMAIN if socket.kind == Type::Notification => net::AF_NETLINK,
            net::SO_DOMAIN => net::AF_UNIX,
            net::SO_PROTOCOL => 0,
            net::SO_ACCEPTCONN => listens.into(),
            net::SO_PEERCRED => {
                let peer = socket.peer_credentials;
                let none = peer.pid == 0;
                let ids = if none {
                    [u32::MAX; 2]
                } else {
                    [peer.uid, peer.gid]
                };
                return Ok([u64::from(peer.pid) | u64::from(ids[0]) << 32, ids[1].into()]);
            }
            net::SO_RCVBUF => socket.inbox.limit as u32,
            net::SO_SNDBUF => socket.send_limit as u32,
            net::SO_RCVLOWAT => 1,
            _ => 0,
        };
        match self.sockets.options.get(&(id, option)) {
            Some(&value) => Ok(value),
            None if is_known(option) => Ok([number.into(), 0]),
            None => Err(ENOPROTOOPT),
        }
    }

    /// `setsockopt(2)`.
    pub(super) fn set_option(&mut self, request: &Request) -> Outcome {
        let (id, _) = self.socket(request.badge)?;
        let [option, first, second] = request.words;
        let option = option as u32;
        let mut value = [first, second];
        let socket = self.sockets.all.get(id)?;
        match option {
            net::SO_PASSCRED => {
                value[0] = u64::from(first != 0);
                socket.passes_credentials = first != 0;
            }
            net::SO_RCVBUF | net::SO_SNDBUF => {
                value[0] = (first.saturating_mul(2)).clamp(*BUFFER.start(), *BUFFER.end());
                match option {
                    net::SO_RCVBUF => socket.inbox.limit = value[0] as usize,
                    _ => socket.send_limit = value[0] as usize,
                }
            }
            net::SO_RCVTIMEO | net::SO_SNDTIMEO | net::SO_LINGER => {}
            net::SO_REUSEADDR
            | net::SO_REUSEPORT
            | net::SO_KEEPALIVE
            | net::SO_BROADCAST
            | net::SO_OOBINLINE
            | net::SO_DONTROUTE => value[0] = u64::from(first != 0),
            net::SO_PRIORITY | net::SO_RCVLOWAT | net::SO_TIMESTAMP | net::SO_MARK => {}
            net::SO_TYPE
            | net::SO_DOMAIN
            | net::SO_PROTOCOL
            | net::SO_ERROR
            | net::SO_ACCEPTCONN
            | net::SO_PEERCRED => return Err(ENOPROTOOPT),
            _ => return Err(ENOPROTOOPT),
        }
        if value[0] > i64::MAX as u64 {
            return Err(EINVAL);
        }
        self.sockets.options.insert((id, option), value);
        Ok(Some(Reply::value(0)))
    }
}

fn is_known(option: u32) -> bool {
    matches!(
        option,
        net::SO_TYPE
            | net::SO_DOMAIN
            | net::SO_PROTOCOL
            | net::SO_ACCEPTCONN
            | net::SO_RCVBUF
            | net::SO_SNDBUF
            | net::SO_RCVLOWAT
            | net::SO_RCVTIMEO
            | net::SO_SNDTIMEO
            | net::SO_LINGER
            | net::SO_PASSCRED
            | net::SO_REUSEADDR
            | net::SO_REUSEPORT
            | net::SO_KEEPALIVE
            | net::SO_BROADCAST
            | net::SO_OOBINLINE
            | net::SO_DONTROUTE
            | net::SO_PRIORITY
            | net::SO_TIMESTAMP
            | net::SO_MARK
    )
}
