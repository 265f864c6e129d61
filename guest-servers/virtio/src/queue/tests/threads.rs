//! Both sides at once: each sleeps as soon as the protocol allows it, so that a lost notification or
//! interrupt stops the test.

use super::*;
use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const REQUESTS: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves chains of a readable number and a writable place for its negation.
fn device(
    memory: &GuestMemoryMmap,
    mut queue: DeviceQueue,
    notified: &Receiver<()>,
    interrupt: &Sender<()>,
) {
    let mut served = 0;
    while served < REQUESTS {
        queue.disable_notification(memory).unwrap();
        while let Some(mut chain) = queue.pop_descriptor_chain(memory) {
            let head = chain.head_index();
            let (from, into) = (chain.next().unwrap(), chain.next().unwrap());
            let number: u32 = memory.read_obj(from.addr()).unwrap();
            memory
                .write_obj(!number, GuestAddress(into.addr().0))
                .unwrap();
            queue.add_used(memory, head, 4).unwrap();
            served += 1;
            if interrupts(&mut queue, memory) {
                let _ = interrupt.send(());
            }
        }
        if !queue.enable_notification(memory).unwrap() && served < REQUESTS {
            notified
                .recv_timeout(PATIENCE)
                .expect("a notification was lost");
        }
    }
}

struct Driver {
    queue: Queue<usize>,
    data: DmaMemory,
    free: Vec<usize>,
    sent: u32,
    done: u32,
}

impl Driver {
    /// Adds as many requests as fit.
    fn submit(&mut self) {
        while self.sent < REQUESTS && self.queue.fits(2) {
            let Some(slot) = self.free.pop() else { break };
            self.data.store32(slot * 8, self.sent);
            let number = Buffer::readable(self.data.segment(slot * 8, 4));
            let result = Buffer::writable(self.data.segment(slot * 8 + 4, 4));
            self.queue.add(&[number, result], slot).unwrap();
            self.sent += 1;
        }
    }

    fn drain(&mut self) {
        while let Some(used) = self.queue.pop().unwrap() {
            let (slot, written) = (used.token, used.written);
            assert_eq!(written, 4);
            assert_eq!(self.data.load32(slot * 8 + 4), !self.data.load32(slot * 8));
            self.free.push(slot);
            self.done += 1;
        }
    }
}

fn race(layout: QueueLayout) -> usize {
    let mut guest = Guest::new();
    let (queue, device_side) = pair(&mut guest, layout);
    let slots = usize::from(layout.size.get());
    let data = guest.dma(slots * 8);
    let free = (0..slots).collect();
    let mut driver = Driver {
        queue,
        data,
        free,
        sent: 0,
        done: 0,
    };
    let (notify, notified) = channel();
    let (interrupt, interrupted) = channel();
    let mut notifications = 0;
    thread::scope(|scope| {
        let memory = &guest.memory;
        scope.spawn(move || device(memory, device_side, &notified, &interrupt));
        while driver.done < REQUESTS {
            driver.submit();
            assert!(driver.queue.outstanding() > 0, "descriptors were lost");
            if driver.queue.publish() == Notify::Needed {
                notifications += 1;
                let _ = notify.send(());
            }
            driver.drain();
            let idle = driver.queue.enable_interrupts() == UsedRing::Empty;
            if idle && driver.queue.outstanding() > 0 {
                interrupted
                    .recv_timeout(PATIENCE)
                    .expect("an interrupt was lost");
            }
        }
    });
    notifications
}

#[test]
fn nobody_sleeps_through() {
    // A small ring makes both sides sleep all the time, a large one keeps them busy.
    for size in [2, 4, 16] {
        for (indirect, notifications) in SHAPES {
            let sent = race(layout(size, indirect, notifications));
            assert!(sent <= REQUESTS as usize, "{sent} notifications");
        }
    }
}
