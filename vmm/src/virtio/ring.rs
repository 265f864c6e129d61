//! A ring as devices use it: all available chains in one loop ([`serve`]), or one by one ([`take`],
//! [`give_back`]) where several are served at the same time.

use std::sync::atomic::Ordering;

use virtio_bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::{Buffers, Interrupt};
use crate::memory::Ram;

/// What a device did with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Done; so many bytes were written to its buffers.
    Used(u32),
    /// Not now: the chain stays available.
    Later,
}

/// Serves available chains until there is none, the device says [`Served::Later`], or as many were served as the
/// ring has entries: then there may be more, and the answer is true. A driver that adds chains all the time keeps
/// nobody from other work so.
///
/// A driver that publishes a nonsensical index gets no service, and costs no time.
pub fn serve(
    queue: &mut Queue,
    ram: &Ram,
    interrupt: &Interrupt,
    mut device: impl FnMut(Buffers) -> Served,
) -> bool {
    if !queue.ready() {
        return false;
    }
    let mut left = queue.size();
    loop {
        let before = left;
        ignore(queue.disable_notification(ram));
        while left > 0
            && let Some(chain) = queue.pop_descriptor_chain(ram)
        {
            let head = chain.head_index();
            let Served::Used(written) = device(Buffers::of(chain)) else {
                go_back(queue, ram);
                return false;
            };
            left -= 1;
            give_back(queue, ram, interrupt, head, written);
        }
        let more = queue.enable_notification(ram).unwrap_or(false);
        if !more || left == before || left == 0 {
            return more && left == 0;
        }
    }
}

/// The event loop calls again, after other events.
pub fn again(notified: &EventFd) {
    // A full counter calls as well.
    let _ = notified.write(1);
}

/// A chain that was taken from a ring.
pub struct Taken {
    /// Which: to be given back.
    pub head: u16,
    /// Its buffers.
    pub buffers: Buffers,
    /// There are more.
    pub more: bool,
}

/// Takes the next chain. The driver notifies of every one that it adds from now on.
pub fn take(queue: &mut Queue, ram: &Ram) -> Option<Taken> {
    if !queue.ready() {
        return None;
    }
    let pop = |queue: &mut Queue| {
        let chain = queue.pop_descriptor_chain(ram)?;
        Some((chain.head_index(), Buffers::of(chain)))
    };
    let first = pop(queue);
    let more = queue.enable_notification(ram).unwrap_or(false);
    let (head, buffers) = match first {
        Some(chain) => chain,
        // One came before the driver knew that it has to notify.
        None if more => pop(queue)?,
        None => return None,
    };
    Some(Taken {
        head,
        buffers,
        more,
    })
}

/// Gives a chain back, with so many bytes written to its buffers.
pub fn give_back(queue: &mut Queue, ram: &Ram, interrupt: &Interrupt, head: u16, written: u32) {
    ignore(queue.add_used(ram, head, written));
    if wants_interrupt(queue, ram) {
        interrupt.used_buffers();
    }
}

/// Whether the driver asks for an interrupt: by `used_event`, else by `avail.flags`, which
/// virtio-queue does not look at (specification, section 2.7.7.2).
fn wants_interrupt(queue: &mut Queue, ram: &Ram) -> bool {
    let wanted = queue.needs_notification(ram).unwrap_or(true);
    if queue.event_idx_enabled() {
        return wanted;
    }
    let flags = ram.load(GuestAddress(queue.avail_ring()), Ordering::Acquire);
    flags.is_ok_and(|flags: u16| u32::from(u16::from_le(flags)) & VRING_AVAIL_F_NO_INTERRUPT == 0)
}

/// Puts back the chain that was popped last and asks to be notified.
fn go_back(queue: &mut Queue, ram: &Ram) {
    queue.set_next_avail(queue.next_avail().wrapping_sub(1));
    ignore(queue.enable_notification(ram));
}

/// A ring that the guest placed badly is the guest's loss; the log has it.
fn ignore<T>(result: Result<T, virtio_queue::Error>) {
    if let Err(error) = result {
        log::debug!("virtqueue: {error}");
    }
}
