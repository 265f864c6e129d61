//! Message queues, semaphores, sockets, events and pipes: the checks of `ipccheck`, which hold on Linux too.

use crate::passes::passes;
use crate::trial::everywhere;
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let groups = [
        ("ipc::message_queues", "mq"),
        ("ipc::counters_and_lists", "event epoll"),
        ("ipc::sockets", "socket"),
        ("ipc::system_v", "msg sem"),
    ];
    groups
        .map(|(name, groups)| everywhere(name, move || passes(&format!("ipccheck {groups}"))))
        .into()
}
