//! `eventfd(2)`: counters as sessions.

use super::Server;
use super::sessions::Object;
use super::sockets::wait;
use ferrix_abi::ipc::ready;
use ferrix_queue::counter::{Counter, Mode};
use ferrix_queue::errno::{EAGAIN, EBADF, EINVAL};
use ferrix_queue::socket::Answer;
use ferrix_rt::service::{Outcome, Reply, Request, SESSION_RIGHTS};
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
            Answer::Wait(bits) => self.counter_waits(request, bits),
            Answer::Done(value) => {
                self.signal_counter(request.badge, id);
                let bytes = value.to_le_bytes();
                request.answer_bytes(&self.connections, &bytes).map(Some)
            }
        }
    }

    /// Adds what is written.
    pub(super) fn write_counter(&mut self, request: &Request, id: u32) -> Outcome {
        let bytes = request.payload(&self.connections, ferrix_proto::socket::DATA_MAX)?;
        let value = bytes.first_chunk().ok_or(EINVAL)?;
        let counter = self.counters.get_mut(&id).ok_or(EBADF)?;
        match counter.write(u64::from_le_bytes(*value))? {
            Answer::Wait(bits) => self.counter_waits(request, bits),
            Answer::Done(()) => {
                self.signal_counter(request.badge, id);
                self.sessions.event(request.badge, ready::READABLE);
                Ok(Some(Reply::value(size_of::<u64>() as u64)))
            }
        }
    }

    fn counter_waits(&mut self, request: &Request, bits: u32) -> Outcome {
        let flags = self.sessions.get(request.badge)?.flags;
        if flags & linux::O_NONBLOCK != 0 {
            return Err(EAGAIN);
        }
        Ok(Some(wait(bits, 0)))
    }

    fn signal_counter(&mut self, badge: u32, id: u32) {
        if let Some(counter) = self.counters.get(&id) {
            let bits = counter.readiness();
            self.sessions.signal(badge, bits);
        }
    }
}
