//! Message queues as pure logic: nothing here knows a message, a handle or a clock, so all of it runs in host tests.
//!
//! | module | what |
//! |---|---|
//! | [`budget`] | what is held for whom, and how much that may be |
//! | [`message`] | one queue: messages by priority, and who waits at either end |
//! | [`names`] | the queues that have names: permissions and limits |
//! | [`parked`] | what does not fit into a message, between two calls of a thread |
//! | [`waits`] | callers that wait, and until when |
//! | [`socket`] | sockets of the Unix domain |
//! | [`counter`] | `eventfd` |
//! | [`sysv`] | System V message queues and semaphores |
//! | [`errno`] | error numbers |

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod budget;
pub mod counter;
pub mod errno;
pub mod message;
pub mod names;
pub mod parked;
pub mod socket;
pub mod sysv;
pub mod waits;
