//! The runtime of Ferrix's native programs.
//!
//! [`sys`] holds one typed stub per system call and is all that the personality uses. With the feature
//! `server` there is also what a server binary needs: its entry ([`server!`]), heap, panic handler, and
//! the receiving side of the protocols ([`service`]).
//!
//! A server is: `server!(main)`, take your port from [`Startup`](ferrix_proto::startup::Startup),
//! loop on [`service::Port::serve`].

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "server")]
extern crate alloc;

pub mod client;
pub mod clock;
#[expect(unsafe_code, reason = "processor instructions")]
pub mod random;
#[expect(
    unsafe_code,
    reason = "the system call instruction and the thread's UTCB"
)]
pub mod sys;
#[expect(unsafe_code, reason = "memory shared with another process")]
pub mod window;

#[cfg(feature = "server")]
pub mod connections;
#[cfg(feature = "driver")]
#[expect(unsafe_code, reason = "device registers and memory that devices use")]
pub mod driver;
#[cfg(feature = "server")]
#[expect(unsafe_code, reason = "program entry")]
pub mod entry;
#[cfg(feature = "server")]
#[expect(unsafe_code, reason = "the global allocator's memory")]
mod heap;
#[cfg(feature = "server")]
pub mod log;
#[cfg(feature = "server")]
#[expect(unsafe_code, reason = "the contract of `lock_api::RawMutex`")]
mod mutex;
#[expect(unsafe_code, reason = "memory that is moved away page by page")]
pub mod pager;
#[cfg(feature = "driver")]
#[expect(unsafe_code, reason = "port instructions")]
pub mod ports;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod views;

pub use ferrix_abi as abi;
pub use ferrix_proto as proto;
