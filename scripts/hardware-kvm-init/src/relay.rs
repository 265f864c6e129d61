//! Threads that carry bytes between the host's ports and the command's pipes or terminal.

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

const CHUNK: usize = 64 << 10;
/// How long background processes that hold the command's output can delay the end, in nanoseconds.
const LINGER: i64 = 50_000_000;

/// Carries what the command writes until its end, and then what is still waiting; gives the count.
pub fn from_command(
    mut pipe: impl Read + AsFd + Send + 'static,
    mut port: File,
    ended: Arc<AtomicBool>,
) -> JoinHandle<Result<u64>> {
    thread::spawn(move || {
        let (mut chunk, mut total) = (vec![0; CHUNK], 0);
        loop {
            let last = ended.load(Ordering::Acquire);
            if !has_input(&pipe)? {
                if last {
                    return Ok(total);
                }
                continue;
            }
            match pipe.read(&mut chunk) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    port.write_all(&chunk[..count])?;
                    total += count as u64;
                }
                // A terminal that nobody has open any more says so by EIO.
                Err(_) if ended.load(Ordering::Acquire) => return Ok(total),
                Err(_) => thread::yield_now(),
            }
        }
    })
}

/// Carries the host's input until it ends or nobody reads it.
pub fn to_command(mut port: File, mut pipe: impl Write + Send + 'static) {
    thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = port.read(&mut chunk) {
            if pipe.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
    });
}

fn has_input(pipe: &impl AsFd) -> Result<bool> {
    let mut polled = [PollFd::new(pipe, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: LINGER,
    };
    Ok(poll(&mut polled, Some(&patience))? > 0)
}
