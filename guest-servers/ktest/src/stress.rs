//! Much at once, by chance: the seed on the command line makes it happen again.

mod crowd;
mod deaths;

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, Kind, LONG_MAX, MapMode, Tag};
use ferrix_abi::sched::{NORMAL_DEFAULT, Policy};
use ferrix_abi::signal::number::{SIGCONT, SIGKILL, SIGSTOP};
use ferrix_rt::sys::{ipc, process, thread, utcb};
use ferrix_rt::{clock, log};

use crate::options;
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("calls_and_deaths", calls_and_deaths),
    ("clients_and_servers", clients_and_servers),
    ("forks", forks),
    ("page_ranges", page_ranges),
    ("timers_and_kills", timers_and_kills),
    ("threads", threads),
];

/// xorshift64 (Marsaglia).
pub struct Random(u64);

impl Random {
    /// For a round of a test.
    pub fn new(round: u64) -> Random {
        Random::from_seed(options::seed().wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn each_round(test: fn(&mut Random) -> Outcome) -> Outcome {
    for round in 0..options::rounds() {
        test(&mut Random::new(round)).inspect_err(|_| {
            log!("ktest", "round {round} of seed={}", options::seed());
        })?;
    }
    Ok(())
}

fn sleep_us(microseconds: u64) {
    let _ = thread::sleep_until(clock::monotonic_ns() + microseconds * 1000);
}

/// Answers calls with as many bytes as came.
fn serve(port: Handle) -> Outcome {
    let mut received = ipc::receive(port, Tag::SHORT)?;
    loop {
        let next = match received.kind {
            Kind::CALL => {
                let [number, client, ..] = received.words;
                let words = [number + 1, client, 0, received.pid.into()];
                let tag = Tag::new(received.tag.bytes(), 0, 0);
                ipc::reply_receive(port, received.token, tag, words)
            }
            _ => ipc::receive(port, Tag::SHORT),
        };
        received = match next {
            Err(Error::NoSuchProcess) => ipc::receive(port, Tag::SHORT)?,
            other => other?,
        };
    }
}

/// Three server threads, six clients; one client dies, one is stopped for a while, then the server dies.
fn calls_and_deaths() -> Outcome {
    each_round(|random| {
        let port = ipc::port_create()?;
        let server = spawn(|| {
            start_thread(move || serve(port))?;
            start_thread(move || serve(port))?;
            serve(port)
        })?;
        let mut clients = [0; 6];
        for (number, client) in clients.iter_mut().enumerate() {
            let mut own = Random(random.below(u64::MAX) | 1);
            *client = spawn(|| calls(port, number as u64, &mut own))?;
        }
        sleep_us(random.below(30_000));
        kill(clients[0] as i32, SIGKILL)?;
        kill(clients[1] as i32, SIGSTOP)?;
        sleep_us(2000);
        kill(clients[1] as i32, SIGCONT)?;
        for (number, client) in clients.into_iter().enumerate() {
            let status = status_of(client)?;
            let killed = number == 0 && status == SIGKILL;
            holds(status == 0 || killed, "the client succeeds")?;
        }
        kill(server as i32, SIGKILL)?;
        equal(status_of(server)?, SIGKILL)?;
        Ok(ipc::close(port)?)
    })
}

fn calls(port: Handle, client: u64, random: &mut Random) -> Outcome {
    for number in 0..300u64 {
        let size = match random.below(3) {
            0 => random.below(LONG_MAX as u64 + 1) as usize,
            _ => 0,
        };
        utcb::put_bytes(&[number as u8; LONG_MAX][..size]);
        let reply = ipc::call(port, Tag::new(size, 0, 0), [number, client, 0, 0])?;
        let [next, same, _, pid] = reply.words;
        equal((next, same, pid), (number + 1, client, utcb::pid().into()))?;
        let (bytes, length) = utcb::received_bytes(reply.tag.bytes());
        equal(length, size)?;
        holds(
            bytes[..length].iter().all(|byte| *byte == number as u8),
            "the bytes come back",
        )?;
        if random.below(32) == 0 {
            sleep_us(random.below(300));
        }
    }
    Ok(())
}

/// Many clients and servers, all of which may be killed at any moment.
fn clients_and_servers() -> Outcome {
    each_round(deaths::run)
}

/// Trees of processes whose parents end before, with or after their children.
fn forks() -> Outcome {
    each_round(|random| {
        let pages = Pages::new(8)?;
        for number in 0..40 {
            pages.write(number % 8, number);
            let (depth, pause) = (random.below(4), random.below(500));
            let pid = spawn(|| tree(depth, pause, pages, number))?;
            if random.below(3) == 0 {
                kill(pid as i32, SIGKILL)?;
            }
            let status = status_of(pid)?;
            holds(status == 0 || status == SIGKILL, "the tree succeeds")?;
            equal(pages.read(number % 8), number)?;
        }
        Ok(())
    })
}

fn tree(depth: u64, pause: u64, pages: Pages, number: u64) -> Outcome {
    equal(pages.read(number % 8), number)?;
    pages.write(number % 8, u64::MAX);
    if depth != 0 {
        spawn(|| {
            pages.write(number % 8, number);
            tree(depth - 1, pause / 2, pages, number)
        })?;
    }
    sleep_us(pause);
    Ok(())
}

/// Ranges in every mode, of a client that may die on the way.
fn page_ranges() -> Outcome {
    each_round(|random| {
        let port = ipc::port_create()?;
        let seed = random.below(u64::MAX) | 1;
        let client = spawn(|| send_ranges(port, &mut Random(seed)))?;
        for number in 0..40 {
            let call = ipc::receive(port, Tag::SHORT)?;
            for index in 0..call.tag.maps() {
                let pages = received_map(index);
                equal(pages.read(0), call.words[0])?;
                pages.unmap()?;
            }
            if number == 39 {
                kill(client as i32, SIGKILL)?;
            }
            let reply = ipc::reply(call.token, Tag::SHORT, [0; 4]);
            holds(reply.is_ok() || number == 39, "the reply arrives")?;
        }
        equal(status_of(client)?, SIGKILL)?;
        Ok(ipc::close(port)?)
    })
}

fn send_ranges(port: Handle, random: &mut Random) -> Outcome {
    for value in 1.. {
        let count = random.below(5) as usize;
        for index in 0..count {
            let pages = Pages::new(1 + random.below(20))?;
            pages.write(0, value);
            put_map(index, pages.item(MapMode(random.below(4) as u32)));
        }
        ipc::call(port, Tag::new(0, 0, count), [value, 0, 0, 0])?;
    }
    Ok(())
}

/// Processes that wait in every way, ended at any moment. They want more than a slow host has: with a lower
/// priority than their parent's they cannot keep it from going on.
fn timers_and_kills() -> Outcome {
    each_round(|random| {
        let mut waiting = [0; 12];
        for pid in &mut waiting {
            let how = random.below(6);
            let pause = (200 + random.below(3000)) * 1000;
            *pid = spawn(|| wait_somehow(how, pause))?;
        }
        sleep_us(random.below(5000));
        for pid in waiting {
            kill(pid as i32, SIGKILL)?;
            equal(status_of(pid)?, SIGKILL)?;
        }
        Ok(())
    })
}

/// Threads that call, wait for each other, move, change priorities and make more threads, in a process that is stopped
/// and continued meanwhile, and killed at times.
fn threads() -> Outcome {
    each_round(|random| {
        let port = ipc::port_create()?;
        let seed = random.below(u64::MAX);
        let crowd = spawn(|| crowd::run(port, &mut Random::from_seed(seed)))?;
        for _ in 0..random.below(12) {
            sleep_us(random.below(3000));
            kill(crowd as i32, SIGSTOP)?;
            sleep_us(random.below(500));
            kill(crowd as i32, SIGCONT)?;
        }
        let killed = random.below(3) == 0;
        if killed {
            kill(crowd as i32, SIGKILL)?;
        }
        let status = status_of(crowd)?;
        holds(
            status == 0 || killed && status == SIGKILL,
            "the crowd succeeds",
        )?;
        Ok(ipc::close(port)?)
    })
}

fn wait_somehow(how: u64, pause: u64) -> Outcome {
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, Handle::NONE)?;
    let port = ipc::port_create()?;
    let session = ipc::session_create(port, 1, 0)?;
    let word = core::sync::atomic::AtomicU32::new(0);
    loop {
        let deadline = clock::monotonic_ns() + pause;
        utcb::set_deadline(deadline);
        // Each of them ends at the deadline in a way of its own.
        let _ = match how {
            0 => thread::sleep_until(deadline),
            1 => ipc::call(session, Tag::SHORT.with(Tag::TIMEOUT), [0; 4]).map(drop),
            2 => thread::futex_wait(word.as_ptr() as u64, 0, deadline, 1),
            3 => ipc::port_timer(port, 1, deadline)
                .and_then(|()| ipc::receive(port, Tag::SHORT).map(drop)),
            4 => ipc::wait_many(&mut [], deadline).map(drop),
            _ => process::wait(
                ferrix_abi::process::WaitFor::Any,
                0,
                ferrix_abi::process::wait::EXITED,
            )
            .map(drop)
            .or(thread::sleep_until(FOREVER)),
        };
    }
}
