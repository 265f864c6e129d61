//! Sockets that were passed through sockets and that nobody can receive any more, because only messages in such sockets
//! lead to them: as on Linux they are looked for, and what they hold is dropped.

use super::{Id, Inbox, Sockets, State};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl<R> Sockets<R> {
    /// All descriptors in messages, with the sockets that hold them.
    pub fn passed(&self) -> impl Iterator<Item = &R> {
        let inboxes = self.sockets.values().map(|socket| &socket.inbox);
        inboxes.flat_map(rights)
    }

    /// Sockets that hold descriptors and that nobody can reach: `is_open` tells which ones have descriptors outside of
    /// messages, `carried` which socket a passed descriptor is.
    pub fn unreachable(
        &self,
        is_open: impl Fn(Id) -> bool,
        carried: impl Fn(&R) -> Option<Id>,
    ) -> Vec<Id> {
        let mut to_visit: Vec<Id> = self.sockets.keys().copied().collect();
        let embryos = self.embryos();
        to_visit.retain(|id| !embryos.contains(id) && is_open(*id));
        let mut reached: BTreeSet<Id> = to_visit.iter().copied().collect();
        while let Some(id) = to_visit.pop() {
            let Some(socket) = self.sockets.get(&id) else {
                continue;
            };
            let mut next: Vec<Id> = rights(&socket.inbox).filter_map(&carried).collect();
            if let State::Listening { pending, .. } = &socket.state {
                next.extend(pending);
            }
            to_visit.extend(next.into_iter().filter(|&id| reached.insert(id)));
        }
        let left = self.sockets.iter().filter(|(id, _)| !reached.contains(id));
        let holding = left.filter(|(_, socket)| rights(&socket.inbox).next().is_some());
        holding.map(|(&id, _)| id).collect()
    }

    /// Those that wait to be accepted.
    fn embryos(&self) -> BTreeSet<Id> {
        let states = self.sockets.values().map(|socket| &socket.state);
        let pending = states.filter_map(|state| match state {
            State::Listening { pending, .. } => Some(pending),
            _ => None,
        });
        pending.flatten().copied().collect()
    }

    /// Drops what a socket has to receive.
    pub fn drop_messages(&mut self, id: Id) {
        if let Ok(socket) = self.get(id) {
            let limit = socket.inbox.limit;
            socket.inbox = Inbox::default();
            socket.inbox.limit = limit;
        }
    }
}

fn rights<R>(inbox: &Inbox<R>) -> impl Iterator<Item = &R> {
    inbox.packets.iter().flat_map(|packet| &packet.rights)
}
