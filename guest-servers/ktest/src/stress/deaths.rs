//! Clients that call servers, while either are killed at random and replaced.
//!
//! A call ends with its reply, or because its deadline has passed, or because its server has died: who waits for anything else
//! is a test that does not end. `clients=64 servers=8 rounds=N` on the command line makes more of it.

use alloc::vec::Vec;

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{LONG_MAX, Tag};
use ferrix_abi::signal::number::SIGKILL;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, utcb};

use super::{Random, serve, sleep_us};
use crate::options;
use crate::support::*;

/// Calls of one client.
const CALLS: u64 = 40;

pub fn run(random: &mut Random) -> Outcome {
    let (clients, servers) = options::clients_and_servers();
    let mut ports = Vec::new();
    let mut serving = Vec::new();
    for _ in 0..servers {
        let port = ipc::port_create()?;
        ports.push(port);
        serving.push(spawn(|| serve(port))?);
    }
    let mut calling = Vec::new();
    for _ in 0..clients {
        let seed = random.below(u64::MAX);
        calling.push(spawn(|| calls(&ports, &mut Random::from_seed(seed)))?);
    }
    for _ in 0..(clients + servers) / 2 {
        sleep_us(random.below(1500));
        if random.below(3) == 0 {
            let which = random.below(servers) as usize;
            end(serving[which])?;
            serving[which] = spawn(|| serve(ports[which]))?;
        } else if !calling.is_empty() {
            let which = random.below(calling.len() as u64) as usize;
            end(calling.swap_remove(which))?;
        }
    }
    calling.into_iter().try_for_each(succeeded)?;
    serving.into_iter().try_for_each(end)?;
    Ok(ports.into_iter().try_for_each(ipc::close)?)
}

/// Kills a process, which may have ended well before.
fn end(pid: u32) -> Outcome {
    kill(pid as i32, SIGKILL)?;
    let status = status_of(pid)?;
    holds(status == SIGKILL || status == 0, "it was well")
}

fn calls(ports: &[Handle], random: &mut Random) -> Outcome {
    for number in 0..CALLS {
        let port = ports[random.below(ports.len() as u64) as usize];
        let size = match random.below(3) {
            0 => random.below(LONG_MAX as u64 + 1) as usize,
            _ => 0,
        };
        let mut tag = Tag::new(size, 0, 0);
        if random.below(4) == 0 {
            utcb::set_deadline(clock::monotonic_ns() + random.below(400_000));
            tag = tag.with(Tag::TIMEOUT);
        }
        utcb::put_bytes(&[number as u8; LONG_MAX][..size]);
        match ipc::call(port, tag, [number, 7, 0, 0]) {
            Ok(reply) => {
                equal([reply.words[0], reply.words[1]], [number + 1, 7])?;
                let (bytes, length) = utcb::received_bytes(reply.tag.bytes());
                equal(length, size)?;
                let same = bytes[..length].iter().all(|byte| *byte == number as u8);
                holds(same, "the bytes come back")?;
            }
            Err(Error::BrokenPipe) => {}
            Err(Error::TimedOut) if tag.0 & Tag::TIMEOUT != 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
