//! What the kernel would trace: the test learns of the ends of threads.

use crate::machine::{Note, note};
use crate::object::Core;
use crate::thread::Thread;

pub fn wake(_: &Core, _: &Thread, _: usize) {}
pub fn migrate(_: &Core, _: &Thread, _: usize) {}
pub fn inherit(_: &Core, _: &Thread, _: u8) {}
pub fn receive(_: &Core, _: &Thread) {}
pub fn begin(_: &Core, _: &Thread) {}

pub fn end(core: &Core, thread: &Thread) {
    note(Note::Ended(thread.tid.get(core)));
}
