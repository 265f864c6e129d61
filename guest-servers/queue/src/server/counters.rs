//! `eventfd(2)`: counters as sessions.

use super::Server;
use super::sessions::Object;
use super::sockets::wait;
use super::{Place, Wait};
use ferrix_abi::ipc::ready;
use ferrix_queue::counter::{Counter, Mode};
use ferrix_queue::errno::{EAGAIN, EBADF, EINTR, EINVAL, Result};
use ferrix_queue::socket::Answer;
use ferrix_queue::waits::FOREVER;
use ferrix_rt::service::{Caller, Outcome, Reply, Request, SESSION_RIGHTS};
use linux_raw_sys::general as linux;

impl Server {
    /// `eventfd2(2)`.
    pub(super) fn create_counter(&mut self, request: &Request) -> Outcome {
        let [value, flags, _] = request.words;
        let mode = match flags as u32 & linux::EFD_SEMAPHORE {
            0 => Mode::All,
            _ => Mode::One,
        };
        let id = self.next_counter;
        self.next_counter += 1;
        let status = flags as u32 & linux::O_NONBLOCK | linux::O_RDWR;
        let (handle, badge) = self.sessions.add(Object::Counter { id }, status)?;
        self.counters.insert(id, Counter::new(value, mode));
        self.signal_counter(badge, id);
        Ok(Some(Reply::value(0).with_handle(handle, SESSION_RIGHTS)))
    }

    /// Takes what a read takes.
    pub(super) fn read_counter(&mut self, request: &Request, id: u32) -> Outcome {
        if (request.head.length() as usize) < size_of::<u64>() {
            return Err(EINVAL);
        }
        let counter = self.counters.get_mut(&id).ok_or(EBADF)?;
        match counter.read() {
            Answer::Wait(bits) => {
                self.may_wait(request.badge)?;
                Ok(Some(wait(bits, 0)))
            }
            Answer::Done(value) => {
                self.admit_writers(request.badge, id);
                self.signal_counter(request.badge, id);
                let bytes = value.to_le_bytes();
                request.answer_bytes(&self.connections, &bytes).map(Some)
            }
        }
    }

    /// Adds what is written.
    pub(super) fn write_counter(&mut self, request: &Request, id: u32) -> Outcome {
        let bytes = request.payload(&self.connections, ferrix_proto::socket::DATA_MAX)?;
        let value = u64::from_le_bytes(*bytes.first_chunk().ok_or(EINVAL)?);
        let counter = self.counters.get_mut(&id).ok_or(EBADF)?;
        match counter.write(value)? {
            Answer::Wait(_) => {
                self.may_wait(request.badge)?;
                let Caller { token, .. } = request.caller;
                if let Some(counter) = self.counters.get_mut(&id) {
                    counter.wait_to_write(token, value);
                }
                self.wait(request.caller, FOREVER, Place::Counter(id), EINTR);
                Ok(None)
            }
            Answer::Done(()) => {
                self.signal_counter(request.badge, id);
                self.sessions.event(request.badge, ready::READABLE);
                Ok(Some(Reply::value(size_of::<u64>() as u64)))
            }
        }
    }

    fn may_wait(&mut self, badge: u32) -> Result<()> {
        match self.sessions.get(badge)?.flags & linux::O_NONBLOCK {
            0 => Ok(()),
            _ => Err(EAGAIN),
        }
    }

    /// Writers that wait get the room that there is.
    fn admit_writers(&mut self, badge: u32, id: u32) {
        while let Some(counter) = self.counters.get_mut(&id)
            && let Some((token, more)) = counter.next_writer()
        {
            let Some(Wait { caller, .. }) = self.waits.take(token) else {
                continue;
            };
            // Who has died meanwhile has written nothing.
            let written = Reply::value(size_of::<u64>() as u64);
            if caller.reply(&written).is_ok() && counter.write(more).is_ok() {
                self.sessions.event(badge, ready::READABLE);
            }
        }
    }

    /// A counter's last descriptor is gone.
    pub(super) fn counter_closed(&mut self, id: u32) {
        if let Some(counter) = self.counters.remove(&id) {
            counter
                .into_writers()
                .for_each(|writer| self.end_wait(writer, EBADF));
        }
    }

    fn signal_counter(&mut self, badge: u32, id: u32) {
        if let Some(counter) = self.counters.get(&id) {
            let bits = counter.readiness();
            self.sessions.signal(badge, bits);
        }
    }
}
