//! Sockets of the Unix domain.

use std::io;
use std::os::fd::AsRawFd;

use crate::sys::process::{Change, reap};
use crate::sys::signal;
use crate::sys::socket::*;
use crate::util::lockcheck::start;
use crate::util::memcheck::{Check, Wrong, fails, same};
use libc::{
    AF_INET, AF_UNIX, EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN,
    EMSGSIZE, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPIPE, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK,
    MSG_TRUNC, MSG_WAITALL, POLLHUP, POLLIN, POLLOUT, SHUT_RD, SHUT_WR, SIGPIPE, SO_ACCEPTCONN,
    SO_ERROR, SO_PASSCRED, SO_RCVTIMEO, SO_TYPE, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET,
    SOCK_STREAM,
};

pub const CHECKS: &[(&str, Check)] = &[
    ("socket.families", families),
    ("socket.pair", pairs),
    ("socket.stream", stream),
    ("socket.large", large),
    ("socket.messages", messages),
    ("socket.ends", ends),
    ("socket.broken", broken),
    ("socket.names", names),
    ("socket.files", files),
    ("socket.listen", listening),
    ("socket.backlog", backlog),
    ("socket.datagrams", datagrams),
    ("socket.passing", passing),
    ("socket.passed_are_closed", passed_are_closed),
    ("socket.credentials", credentials),
    ("socket.options", options),
    ("socket.std", with_std),
];

fn families() -> Result<(), Wrong> {
    fails("inet", socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT).or_else(|wrong| {
        // Where there is a network it is another system's.
        socket(AF_INET, SOCK_STREAM, 0).map(drop).map_err(|_| wrong)
    })?;
    fails("no family", socket(99, SOCK_STREAM, 0), EAFNOSUPPORT)?;
    let (read, _write) = crate::sys::fd::pipe()?;
    fails("a pipe", listen(&read, 1), ENOTSOCK)
}

fn pairs() -> Result<(), Wrong> {
    for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = pair(kind)?;
        same("kind", option(&a, SO_TYPE)?, kind)?;
        same("sent", write(&a, b"hello")?, 5)?;
        let mut bytes = [0; 16];
        same("received", read(&b, &mut bytes)?, 5)?;
        same("bytes", &bytes[..5], b"hello")?;
        same("back", send(&b, b"x", 0)?, 1)?;
        same("readable", poll(&a, POLLIN | POLLOUT, 0)?, POLLIN | POLLOUT)?;
        fails(
            "nothing there",
            receive(&b, &mut bytes, MSG_DONTWAIT),
            EAGAIN,
        )?;
        same("no name", name(&a, false)?, vec![])?;
    }
    Ok(())
}

fn stream() -> Result<(), Wrong> {
    let (a, b) = pair(SOCK_STREAM)?;
    write(&a, b"abc")?;
    write(&a, b"def")?;
    let mut bytes = [0; 8];
    same("peeked", receive(&b, &mut bytes[..2], MSG_PEEK)?, 2)?;
    same("joined", receive(&b, &mut bytes[..4], 0)?, 4)?;
    same("bytes", &bytes[..4], b"abcd")?;
    same("rest", receive(&b, &mut bytes, 0)?, 2)?;
    let child = start(|| {
        for byte in b"12345678" {
            write(&a, &[*byte])?;
        }
        Ok(())
    })?;
    same("all", receive(&b, &mut bytes, MSG_WAITALL)?, 8)?;
    same("bytes", &bytes, b"12345678")?;
    same("the child", reap(child)?, Change::Exited(0))
}

/// More than the buffers hold, between processes.
fn large() -> Result<(), Wrong> {
    const BYTES: usize = 1 << 20;
    let (a, b) = pair(SOCK_STREAM)?;
    let child = start(|| {
        let block: Vec<u8> = (0..BYTES).map(|at| (at / 7) as u8).collect();
        let sent = write(&a, &block)?;
        (sent == BYTES)
            .then_some(())
            .ok_or(io::Error::from_raw_os_error(254))
    })?;
    drop(a);
    let mut at = 0;
    let mut block = vec![0; 100_000];
    loop {
        let got = read(&b, &mut block)?;
        if got == 0 {
            break;
        }
        let right = block[..got]
            .iter()
            .enumerate()
            .all(|(n, &byte)| byte == ((at + n) / 7) as u8);
        same("content", right, true)?;
        at += got;
    }
    same("bytes", at, BYTES)?;
    same("the child", reap(child)?, Change::Exited(0))
}

fn messages() -> Result<(), Wrong> {
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = pair(kind)?;
        write(&a, b"abcdef")?;
        write(&a, &vec![7; 40_000])?;
        let mut bytes = [0; 4];
        let cut = receive_message(&b, 4, 0)?;
        same(
            "cut",
            (cut.bytes.as_slice(), cut.flags & MSG_TRUNC),
            (&b"abcd"[..], MSG_TRUNC),
        )?;
        same(
            "its length",
            receive(&b, &mut bytes, MSG_TRUNC | MSG_PEEK)?,
            40_000,
        )?;
        let mut large = vec![0; 50_000];
        same("large", read(&b, &mut large)?, 40_000)?;
        same(
            "content",
            large[..40_000].iter().all(|&byte| byte == 7),
            true,
        )?;
        fails("too large", send(&a, &vec![0; 1 << 20], 0), EMSGSIZE)?;
    }
    Ok(())
}

fn ends() -> Result<(), Wrong> {
    let (a, b) = pair(SOCK_STREAM)?;
    write(&a, b"last")?;
    shutdown(&a, SHUT_WR)?;
    let mut bytes = [0; 8];
    same("last", read(&b, &mut bytes)?, 4)?;
    same("end", read(&b, &mut bytes)?, 0)?;
    same("the other way", write(&b, b"x")?, 1)?;
    same("no hang-up", poll(&b, POLLIN, 0)? & POLLHUP, 0)?;
    shutdown(&a, SHUT_RD)?;
    same("there still", read(&a, &mut bytes)?, 1)?;
    same("end", read(&a, &mut bytes)?, 0)?;
    fails("how", shutdown(&a, 9), EINVAL)?;
    drop(a);
    same("hung up", poll(&b, POLLIN, 0)? & POLLHUP, POLLHUP)?;
    let lonely = socket(AF_UNIX, SOCK_STREAM, 0)?;
    shutdown(&lonely, SHUT_RD)?;
    Ok(())
}

fn broken() -> Result<(), Wrong> {
    signal::catch(SIGPIPE)?;
    let (a, b) = pair(SOCK_STREAM)?;
    write(&a, b"unread")?;
    write(&b, b"unread")?;
    drop(b);
    let mut bytes = [0; 8];
    same("what was sent", read(&a, &mut bytes)?, 6)?;
    fails("reset", read(&a, &mut bytes), ECONNRESET)?;
    same("then the end", read(&a, &mut bytes)?, 0)?;
    signal::forget();
    fails("quietly", send(&a, b"x", MSG_NOSIGNAL), EPIPE)?;
    same("no signal", signal::take(SIGPIPE), false)?;
    fails("loudly", write(&a, b"x"), EPIPE)?;
    same("a signal", signal::take(SIGPIPE), true)
}

pub(super) fn abstract_name(what: &str) -> Vec<u8> {
    format!("\0ipccheck-{}-{what}", std::process::id()).into_bytes()
}

fn names() -> Result<(), Wrong> {
    let path = abstract_name("names");
    let one = socket(AF_UNIX, SOCK_STREAM, 0)?;
    bind(&one, &path)?;
    same("its name", name(&one, false)?, path.clone())?;
    fails("a second name", bind(&one, &abstract_name("more")), EINVAL)?;
    let two = socket(AF_UNIX, SOCK_STREAM, 0)?;
    fails("taken", bind(&two, &path), EADDRINUSE)?;
    fails("nobody listens", connect(&two, &path), ECONNREFUSED)?;
    drop(one);
    bind(&two, &path)?;
    let three = socket(AF_UNIX, SOCK_DGRAM, 0)?;
    bind(&three, b"")?;
    let chosen = name(&three, false)?;
    same("chosen", (chosen.len(), chosen[0]), (6, 0))?;
    fails("no peer", name(&three, true), ENOTCONN)
}

fn files() -> Result<(), Wrong> {
    for place in ["/tmp", "/dev/shm"] {
        let path = format!("{place}/ipccheck-{}.socket", std::process::id());
        let check = || -> Result<(), Wrong> {
            let listener = socket(AF_UNIX, SOCK_STREAM, 0)?;
            bind(&listener, path.as_bytes())?;
            let named = [path.as_bytes(), &[0]].concat();
            same("its name", name(&listener, false)?, named)?;
            use std::os::unix::fs::FileTypeExt;
            let kind = std::fs::symlink_metadata(&path)?.file_type();
            same("a socket", kind.is_socket(), true)?;
            fails("open", std::fs::File::open(&path), libc::ENXIO)?;
            let other = socket(AF_UNIX, SOCK_STREAM, 0)?;
            fails("taken", bind(&other, path.as_bytes()), EADDRINUSE)?;
            fails("not yet", connect(&other, path.as_bytes()), ECONNREFUSED)?;
            listen(&listener, 1)?;
            connect(&other, path.as_bytes())?;
            let (served, _) = accept(&listener, 0)?;
            write(&other, b"hi")?;
            same("through", read(&served, &mut [0; 4])?, 2)?;
            drop(listener);
            let third = socket(AF_UNIX, SOCK_STREAM, 0)?;
            fails("gone", connect(&third, path.as_bytes()), ECONNREFUSED)?;
            let unlike = socket(AF_UNIX, SOCK_SEQPACKET, 0)?;
            fails("nobody", connect(&unlike, path.as_bytes()), ECONNREFUSED)
        };
        let result = check();
        std::fs::remove_file(&path)?;
        result.map_err(|wrong| wrong.at(place))?;
        let after = socket(AF_UNIX, SOCK_STREAM, 0)?;
        fails("removed", connect(&after, path.as_bytes()), libc::ENOENT)?;
    }
    let plain = format!("/tmp/ipccheck-{}.plain", std::process::id());
    std::fs::write(&plain, b"x")?;
    let to_file = connect(&socket(AF_UNIX, SOCK_STREAM, 0)?, plain.as_bytes());
    std::fs::remove_file(&plain)?;
    fails("a plain file", to_file, ECONNREFUSED)
}

fn listening() -> Result<(), Wrong> {
    let path = abstract_name("listen");
    let listener = socket(AF_UNIX, SOCK_STREAM, 0)?;
    fails("no name", listen(&listener, 1), EINVAL)?;
    bind(&listener, &path)?;
    fails("not yet", accept(&listener, 0), EINVAL)?;
    listen(&listener, 5)?;
    same("listens", option(&listener, SO_ACCEPTCONN)?, 1)?;
    let child = start(|| {
        let client = socket(AF_UNIX, SOCK_STREAM, 0)?;
        bind(&client, &abstract_name("client"))?;
        connect(&client, &path)?;
        let mut bytes = [0; 4];
        let got = read(&client, &mut bytes)?;
        write(&client, &bytes[..got]).map(drop)
    })?;
    let (served, from) = accept(&listener, SOCK_NONBLOCK)?;
    same("client", from.ends_with(b"-client"), true)?;
    same("peer", peer_ids(&served)?.0, child)?;
    same("its own name", name(&served, false)?, path.clone())?;
    write(&served, b"ping")?;
    same("readable", poll(&served, POLLIN, 60_000)? & POLLIN, POLLIN)?;
    same("pong", read(&served, &mut [0; 4])?, 4)?;
    same("the child", reap(child)?, Change::Exited(0))?;
    let other = socket(AF_UNIX, SOCK_SEQPACKET, 0)?;
    fails("another kind", connect(&other, &path), ECONNREFUSED)?;
    fails("connected", connect(&served, &path), EISCONN)?;
    let datagrams = socket(AF_UNIX, SOCK_DGRAM, 0)?;
    fails("datagrams", listen(&datagrams, 1), EOPNOTSUPP)
}

fn backlog() -> Result<(), Wrong> {
    let path = abstract_name("backlog");
    let listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)?;
    bind(&listener, &path)?;
    listen(&listener, 1)?;
    fails("nobody", accept(&listener, 0), EAGAIN)?;
    let client = || socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    let clients = [client()?, client()?, client()?];
    connect(&clients[0], &path)?;
    connect(&clients[1], &path)?;
    fails("full", connect(&clients[2], &path), EAGAIN)?;
    let ready = poll(&clients[2], POLLOUT, 0)?;
    same("not connected", ready, POLLOUT | POLLHUP)?;
    let child = start(|| {
        let patient = socket(AF_UNIX, SOCK_STREAM, 0)?;
        connect(&patient, &path)?;
        write(&patient, b"x").map(drop)
    })?;
    let mut served = Vec::new();
    while served.len() < 3 {
        poll(&listener, POLLIN, 60_000)?;
        served.push(accept(&listener, 0)?);
    }
    same("the child", reap(child)?, Change::Exited(0))?;
    same("from it", read(&served[2].0, &mut [0; 4])?, 1)
}

fn datagrams() -> Result<(), Wrong> {
    let (one, two) = (
        socket(AF_UNIX, SOCK_DGRAM, 0)?,
        socket(AF_UNIX, SOCK_DGRAM, 0)?,
    );
    let paths = [abstract_name("one"), abstract_name("two")];
    bind(&one, &paths[0])?;
    bind(&two, &paths[1])?;
    send_to(&one, b"abc", &paths[1])?;
    send_to(&one, b"", &paths[1])?;
    same(
        "first",
        receive_from(&two, 9)?,
        (b"abc".to_vec(), paths[0].clone()),
    )?;
    same("empty", receive_from(&two, 9)?, (vec![], paths[0].clone()))?;
    fails("no peer", send(&one, b"x", 0), ENOTCONN)?;
    fails(
        "nobody",
        send_to(&one, b"x", &abstract_name("nobody")),
        ECONNREFUSED,
    )?;
    connect(&one, &paths[1])?;
    send(&one, b"to the peer", 0)?;
    same(
        "received",
        receive_from(&two, 99)?.0,
        b"to the peer".to_vec(),
    )?;
    drop(two);
    fails("gone", send(&one, b"x", 0), ECONNREFUSED)?;
    fails("and forgotten", send(&one, b"x", 0), ENOTCONN)
}

fn passing() -> Result<(), Wrong> {
    let (a, b) = pair(SOCK_STREAM)?;
    let (read_end, write_end) = crate::sys::fd::pipe()?;
    let child = start(|| {
        send_files(&a, b"!", &[write_end.as_raw_fd(), read_end.as_raw_fd()], 0).map(drop)
    })?;
    let mut message = receive_message(&b, 8, 64)?;
    same("the child", reap(child)?, Change::Exited(0))?;
    same("files", message.files.len(), 2)?;
    let (read_copy, write_copy) = (message.files.pop(), message.files.pop());
    let (Some(read_copy), Some(write_copy)) = (read_copy, write_copy) else {
        return fails("files", Ok(()), 0);
    };
    drop((read_end, write_end));
    write(&write_copy, b"through")?;
    same("through", read(&read_copy, &mut [0; 16])?, 7)?;
    drop(write_copy);
    same("end", read(&read_copy, &mut [0; 16])?, 0)?;
    let many: Vec<i32> = (0..9).map(|_| read_copy.as_raw_fd()).collect();
    for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET] {
        let (a, b) = pair(kind)?;
        send_files(&a, b"x", &many, 0)?;
        same("many", receive_message(&b, 8, 200)?.files.len(), 9)?;
        send_files(&a, b"x", &many, 0)?;
        let few = receive_message(&b, 8, 16 + 8)?;
        same(
            "few",
            (few.files.len(), few.flags & libc::MSG_CTRUNC),
            (2, libc::MSG_CTRUNC),
        )?;
    }
    fails("no such file", send_files(&a, b"x", &[999], 0), libc::EBADF)
}

/// What is passed to nobody is closed: with its message, and with its socket.
fn passed_are_closed() -> Result<(), Wrong> {
    for taken in [true, false] {
        let (a, b) = pair(SOCK_STREAM)?;
        let (read_end, write_end) = crate::sys::fd::pipe()?;
        send_files(&a, b"x", &[write_end.as_raw_fd()], 0)?;
        drop(write_end);
        if taken {
            same("only bytes", read(&b, &mut [0; 4])?, 1)?;
        } else {
            drop((a, b));
        }
        same("end of the pipe", read(&read_end, &mut [0; 4])?, 0)?;
    }
    Ok(())
}

fn credentials() -> Result<(), Wrong> {
    let (a, b) = pair(SOCK_STREAM)?;
    let own = std::process::id() as i32;
    same("of the pair", peer_ids(&a)?.0, own)?;
    set_option(&b, SO_PASSCRED, &1)?;
    same("set", option(&b, SO_PASSCRED)?, 1)?;
    let child = start(|| write(&a, b"x").map(drop))?;
    let message = receive_message(&b, 8, 64)?;
    same("the child", reap(child)?, Change::Exited(0))?;
    same("who sent", message.ids.map(|ids| ids.0), Some(child))
}

fn options() -> Result<(), Wrong> {
    let (a, _b) = pair(SOCK_STREAM)?;
    same("no error", option(&a, SO_ERROR)?, 0)?;
    same("does not listen", option(&a, SO_ACCEPTCONN)?, 0)?;
    fails(
        "cannot be set",
        set_option(&a, SO_TYPE, &1),
        libc::ENOPROTOOPT,
    )?;
    fails("too small", set_option(&a, SO_PASSCRED, &1u8), EINVAL)?;
    fails("unknown", option(&a, 9999), libc::ENOPROTOOPT)?;
    let limit = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    set_option(&a, SO_RCVTIMEO, &limit)?;
    fails("in time", read(&a, &mut [0; 4]), EAGAIN)
}

/// As Rust programs use them.
fn with_std() -> Result<(), Wrong> {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    let path = format!("/tmp/ipccheck-{}.std", std::process::id());
    let listener = UnixListener::bind(&path)?;
    let client = std::thread::spawn({
        let path = path.clone();
        move || -> io::Result<String> {
            let mut stream = UnixStream::connect(path)?;
            stream.write_all(b"question")?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        }
    });
    let (mut stream, _) = listener.accept()?;
    let mut question = String::new();
    stream.read_to_string(&mut question)?;
    stream.write_all(b"answer")?;
    drop(stream);
    let answer = client.join().map_err(|_| io::ErrorKind::Other);
    std::fs::remove_file(&path)?;
    same("question", question, "question".into())?;
    same("answer", answer.map_err(io::Error::from)??, "answer".into())?;
    let (one, two) = UnixDatagram::pair()?;
    one.send(b"datagram")?;
    same("datagram", two.recv(&mut [0; 20])?, 8)
}
