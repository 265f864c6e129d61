use super::*;
use crate::errno::*;
use proptest::prelude::*;
use std::vec;

type All = Sockets<u32>;
const ME: Credentials = Credentials {
    pid: 1,
    uid: 2,
    gid: 3,
};

fn send(bytes: &[u8]) -> Send<u32> {
    Send {
        to: None,
        bytes: bytes.to_vec(),
        rights: Vec::new(),
        credentials: ME,
        charge: None,
    }
}

fn to(name: &Name, bytes: &[u8]) -> Send<u32> {
    Send {
        to: Some(name.clone()),
        ..send(bytes)
    }
}

fn name(text: &str) -> Name {
    Name::Abstract(text.as_bytes().to_vec())
}

fn got(answer: Result<Answer<Received<u32>>>) -> Received<u32> {
    match answer {
        Ok(Answer::Done(received)) => received,
        other => panic!("{other:?}"),
    }
}

fn take(all: &mut All, id: Id, room: usize) -> Vec<u8> {
    got(all.receive(id, room, Take::Away)).bytes
}

#[test]
fn a_stream_has_no_boundaries_but_at_descriptors() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    all.send(a, send(b"ab")).unwrap();
    all.send(a, send(b"cd")).unwrap();
    let with = Send {
        rights: vec![7],
        ..send(b"ef")
    };
    all.send(a, with).unwrap();
    all.send(a, send(b"gh")).unwrap();
    assert_eq!(take(&mut all, b, 3), b"abc");
    assert_eq!(take(&mut all, b, 9), b"d");
    let piece = got(all.receive(b, 1, Take::Away));
    assert_eq!((piece.bytes, piece.rights), (b"e".to_vec(), vec![7]));
    let rest = got(all.receive(b, 9, Take::Away));
    assert_eq!((rest.bytes, rest.rights), (b"fgh".to_vec(), vec![]));
}

#[test]
fn messages_keep_their_boundaries_and_lose_their_ends() {
    let mut all = All::default();
    for kind in [Type::Datagram, Type::SeqPacket] {
        let [a, b] = all.pair(kind, ME);
        all.send(a, send(b"abc")).unwrap();
        all.send(a, send(b"")).unwrap();
        assert_eq!(got(all.receive(b, 2, Take::Peek)).bytes, b"ab");
        let first = got(all.receive(b, 2, Take::Away));
        assert_eq!((first.bytes, first.length), (b"ab".to_vec(), 3));
        assert_eq!(got(all.receive(b, 2, Take::Away)).length, 0);
        assert!(matches!(
            all.receive(b, 2, Take::Away),
            Ok(Answer::Wait(ready::READABLE))
        ));
    }
}

#[test]
fn connections_wait_at_their_listener() {
    let mut all = All::default();
    let listener = all.create(Type::Stream, ME);
    assert_eq!(all.listen(listener, 1, ME), Err(EINVAL));
    all.bind(listener, name("x"), b"\0x").unwrap();
    let clients: Vec<Id> = (0..3).map(|_| all.create(Type::Stream, ME)).collect();
    assert_eq!(all.connect(clients[0], &name("x"), ME), Err(ECONNREFUSED));
    all.listen(listener, 1, ME).unwrap();
    for &client in &clients[..2] {
        assert_eq!(all.connect(client, &name("x"), ME), Ok(Answer::Done(())));
    }
    let full = all.connect(clients[2], &name("x"), ME);
    assert_eq!(full, Ok(Answer::Wait(ready::WRITABLE)));
    assert_eq!(all.readiness(clients[2]), 0, "nothing that would wake it");
    all.wait_no_more(clients[2]);
    let unconnected = ready::WRITABLE | ready::HANG_UP;
    assert_eq!(all.readiness(clients[2]), unconnected);
    assert!(all.connect(clients[2], &name("x"), ME).is_ok());
    all.send(clients[0], send(b"hi")).unwrap();
    let Ok(Answer::Done(first)) = all.accept(listener) else {
        panic!("it waits");
    };
    assert_eq!(take(&mut all, first, 9), b"hi");
    assert_ne!(all.readiness(clients[2]) & ready::WRITABLE, 0);
    let seq = all.create(Type::SeqPacket, ME);
    assert_eq!(all.connect(seq, &name("x"), ME), Err(ECONNREFUSED));
    assert_eq!(all.connect(clients[0], &name("x"), ME), Err(EISCONN));
    all.close(listener);
    let after = got(all.receive(clients[1], 1, Take::Away));
    assert_eq!(after.length, 0, "never accepted: closed");
    assert_eq!(all.send(clients[1], send(b"x")), Err(EPIPE));
}

#[test]
fn datagrams_go_to_names_and_only_peers_send_to_the_connected() {
    let mut all = All::default();
    let ids: Vec<Id> = (0..3).map(|_| all.create(Type::Datagram, ME)).collect();
    for (id, text) in ids.iter().zip(["a", "b", "c"]) {
        all.bind(*id, name(text), text.as_bytes()).unwrap();
    }
    assert_eq!(all.send(ids[0], send(b"x")), Err(ENOTCONN));
    all.send(ids[0], to(&name("b"), b"x")).unwrap();
    assert_eq!(got(all.receive(ids[1], 9, Take::Away)).from, b"a");
    all.connect(ids[1], &name("c"), ME).unwrap();
    assert_eq!(all.send(ids[0], to(&name("b"), b"x")), Err(EPERM));
    assert_eq!(all.connect(ids[0], &name("b"), ME), Err(EPERM));
    all.close(ids[2]);
    assert_eq!(all.send(ids[1], send(b"x")), Err(ECONNREFUSED));
    assert_eq!(all.send(ids[1], send(b"x")), Err(ENOTCONN));
}

#[test]
fn a_full_socket_makes_its_senders_wait_until_half_is_free() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    let block = vec![1; 100_000];
    let taken = |all: &mut All| all.send(a, send(&block)).unwrap();
    assert_eq!(taken(&mut all), Answer::Done(100_000));
    assert_eq!(taken(&mut all), Answer::Done(100_000));
    assert_eq!(taken(&mut all), Answer::Done(12_992));
    assert_eq!(taken(&mut all), Answer::Wait(ready::WRITABLE));
    take(&mut all, b, 50_000);
    assert_eq!(all.readiness(a) & ready::WRITABLE, 0);
    take(&mut all, b, 60_000);
    assert_ne!(all.readiness(a) & ready::WRITABLE, 0);
}

#[test]
fn ends_are_seen_and_resets_told() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    all.send(a, send(b"x")).unwrap();
    all.shutdown(a, false, true).unwrap();
    assert_eq!(all.send(a, send(b"x")), Err(EPIPE));
    assert_eq!(take(&mut all, b, 9), b"x");
    assert_eq!(got(all.receive(b, 9, Take::Away)).length, 0);
    assert_eq!(all.readiness(b) & ready::HANG_UP, 0);
    all.send(b, send(b"unread")).unwrap();
    all.close(a);
    assert_eq!(all.readiness(b) & ready::HANG_UP, ready::HANG_UP);
    assert_eq!(all.receive(b, 9, Take::Away).err(), Some(ECONNRESET));
    assert_eq!(got(all.receive(b, 9, Take::Away)).length, 0);
}

proptest! {
    /// Whatever the sizes of sends and receives, a stream is the bytes in their order.
    #[test]
    fn a_stream_is_its_bytes(steps in prop::collection::vec((any::<bool>(), 1usize..40_000), 1..60)) {
        let mut all = All::default();
        let [a, b] = all.pair(Type::Stream, ME);
        let (mut sent, mut received) = (0usize, 0usize);
        for (sends, size) in steps {
            if sends {
                let bytes: Vec<u8> = (sent..sent + size).map(|at| at as u8).collect();
                if let Answer::Done(taken) = all.send(a, send(&bytes)).unwrap() {
                    prop_assert!(taken > 0);
                    sent += taken;
                } else {
                    prop_assert_eq!(all.get(b).unwrap().inbox.room(), 0);
                }
            } else if let Answer::Done(piece) = all.receive(b, size, Take::Away).unwrap() {
                prop_assert!(piece.bytes.iter().enumerate().all(|(at, &byte)| byte == (received + at) as u8));
                prop_assert!(!piece.bytes.is_empty() && piece.bytes.len() <= size);
                received += piece.bytes.len();
            } else {
                prop_assert_eq!(sent, received);
            }
            prop_assert_eq!(all.get(b).unwrap().inbox.bytes(), sent - received);
        }
    }
}

#[test]
fn notes_are_lost_when_nobody_receives_them() {
    let mut all = All::default();
    let id = all.create(Type::Notification, ME);
    for _ in 0..100_000 {
        all.tell(id, vec![0; 32]);
    }
    assert_eq!(all.get(id).unwrap().inbox.room(), 0);
    assert_eq!(take(&mut all, id, 40).len(), 32);
    all.tell(id, vec![1; 32]);
    assert_eq!(all.get(id).unwrap().inbox.room(), 0);
}

#[test]
fn an_error_is_told_once() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    all.send(a, send(b"unread")).unwrap();
    all.close(b);
    assert_ne!(all.readiness(a) & ready::ERROR, 0);
    all.take_touched();
    assert_eq!(all.take_error(a), Ok(ECONNRESET));
    assert_eq!(all.take_touched(), [a]);
    assert_eq!(all.readiness(a) & ready::ERROR, 0);
    assert_eq!(all.take_error(a), Ok(0));
}

#[test]
fn what_is_sent_is_bounded_by_its_sender_too() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    all.get(a).unwrap().send_limit = 100;
    assert_eq!(all.send(a, send(&[0; 300])), Ok(Answer::Done(100)));
    assert_eq!(all.unreceived(a), 100);
    assert_eq!(all.send(a, send(b"x")), Ok(Answer::Wait(ready::WRITABLE)));
    assert_eq!(all.readiness(a) & ready::WRITABLE, 0);
    take(&mut all, b, 40);
    assert_eq!(all.readiness(a) & ready::WRITABLE, 0, "little room");
    take(&mut all, b, 20);
    assert_eq!(all.readiness(a) & ready::WRITABLE, ready::WRITABLE);
    assert_eq!(all.send(a, send(&[0; 300])), Ok(Answer::Done(60)));
    let [c, _d] = all.pair(Type::SeqPacket, ME);
    all.get(c).unwrap().send_limit = 100;
    assert_eq!(all.send(c, send(&[0; 101])), Err(EMSGSIZE));
}

#[test]
fn the_first_datagram_is_what_can_be_read_at_once() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Datagram, ME);
    all.send(a, send(b"abc")).unwrap();
    all.send(a, send(b"12345")).unwrap();
    let inbox = &all.get(b).unwrap().inbox;
    assert_eq!((inbox.first_bytes(), inbox.bytes()), (3, 8));
}

#[test]
fn who_closes_while_waiting_is_forgotten_by_the_receiver() {
    let mut all = All::default();
    let receiver = all.create(Type::Datagram, ME);
    all.bind(receiver, name("r"), b"\0r").unwrap();
    let mut waited = 0;
    for _ in 0..1000 {
        let sender = all.create(Type::Datagram, ME);
        let full = to(&name("r"), &[0; 60_000]);
        waited += usize::from(all.send(sender, full) == Ok(Answer::Wait(ready::WRITABLE)));
        all.close(sender);
    }
    assert!(waited > 900);
    assert_eq!(all.get(receiver).unwrap().senders, []);
}

/// Sends a descriptor of a socket.
fn pass(all: &mut All, id: Id, passed: Id) {
    let rights = vec![passed];
    all.send(
        id,
        Send {
            rights,
            ..send(b"x")
        },
    )
    .unwrap();
}

#[test]
fn sockets_that_only_lead_to_each_other_are_found() {
    let mut all = All::default();
    let [a, b] = all.pair(Type::Stream, ME);
    let [c, d] = all.pair(Type::Stream, ME);
    pass(&mut all, a, b);
    pass(&mut all, c, d);
    let unreachable =
        |all: &All, open: &[Id]| all.unreachable(|id| open.contains(&id), |&id| Some(id));
    assert_eq!(unreachable(&all, &[a, b, c, d]), []);
    assert_eq!(unreachable(&all, &[a, c, d]), [b]);
    // Whoever can receive from `d` gets at `b`.
    pass(&mut all, c, b);
    assert_eq!(unreachable(&all, &[a, c, d]), []);
    assert_eq!(unreachable(&all, &[a, c]), [b, d]);
    all.drop_messages(b);
    all.drop_messages(d);
    assert_eq!(all.passed().count(), 0);
}

#[test]
fn what_waits_to_be_accepted_is_reached_through_the_listener() {
    let mut all = All::default();
    let listener = all.create(Type::Stream, ME);
    all.bind(listener, name("l"), b"\0l").unwrap();
    all.listen(listener, 5, ME).unwrap();
    let client = all.create(Type::Stream, ME);
    all.connect(client, &name("l"), ME).unwrap();
    pass(&mut all, client, listener);
    let left = |all: &All, open: Id| all.unreachable(|id| id == open, |&id| Some(id));
    assert_eq!(left(&all, listener), []);
    assert_eq!(
        left(&all, client).len(),
        1,
        "the listener is in its own queue"
    );
}
