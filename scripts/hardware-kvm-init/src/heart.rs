//! Tells the host all the while that this machine runs: an emulated one may stop as a whole.

use hardware_kvm_init::{HEARTBEAT, Message};
use std::fs::File;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

/// A thread that says [`Message::Alive`].
pub struct Heart {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Heart {
    /// Begins.
    pub fn beat(mut control: File) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(HEARTBEAT) {
                if Message::Alive.write(&mut control).is_err() {
                    return; // the host is gone
                }
            }
        });
        Self { stop, thread }
    }

    /// The last beat is written whole when this returns.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join(); // it does not panic
    }
}
