//! The Linux personality's logic: no system call, no program memory, so all of it is tested on the host.
//!
//! The personality around it (`main.rs`) takes a program's system calls, asks this library what they mean, and
//! does it by calls to the kernel and messages to servers.
//!
//! | module | what |
//! |---|---|
//! | [`errno`] | Linux's error numbers |
//! | [`descriptors`] | the descriptor table |
//! | [`elf_plan`] | an ELF file becomes a list of mappings |
//! | [`script`] | `#!` lines |
//! | [`stack_image`] | the initial stack: strings, vectors, auxiliary vector |
//! | [`mapping`] | `mmap`'s words in the kernel's |
//! | [`heap_break`] | `brk` |
//! | [`slots`] | which slots of a window are in use |
//! | [`frame`] | saved registers |
//! | [`signal_frame`] | what lies on the stack while a signal handler runs |
//! | [`fp_state`] | the floating-point state in it |
//! | [`actions`] | signal dispositions |
//! | [`attributes`] | file attributes in Linux's structures |
//! | [`ioctls`] | which argument an `ioctl` has |
//! | [`time`] | time structures |
//! | [`children`] | what `wait` reports |
//! | [`credentials`] | user and group ids |
//! | [`scheduling`] | nice values and real-time priorities |
//! | [`limits`] | resource limits |
//! | [`socket`] | addresses, messages and what comes with them |
//! | [`pollers`] | lists of descriptors to wait for |
//! | [`sysv`] | structures of System V message queues and semaphores |
//! | [`mq`] | structures of message queues |

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[path = "logic/actions.rs"]
pub mod actions;
#[path = "logic/attachments.rs"]
pub mod attachments;
#[path = "logic/attributes.rs"]
pub mod attributes;
#[path = "logic/children.rs"]
pub mod children;
#[path = "logic/credentials.rs"]
pub mod credentials;
#[path = "logic/descriptors.rs"]
pub mod descriptors;
#[path = "logic/elf_plan.rs"]
pub mod elf_plan;
#[path = "logic/errno.rs"]
pub mod errno;
#[path = "logic/fp_state.rs"]
pub mod fp_state;
#[path = "logic/frame.rs"]
pub mod frame;
#[path = "logic/heap_break.rs"]
pub mod heap_break;
#[path = "logic/ioctls.rs"]
pub mod ioctls;
#[path = "logic/limits.rs"]
pub mod limits;
#[path = "logic/mapping.rs"]
pub mod mapping;
#[path = "logic/mq.rs"]
pub mod mq;
#[path = "logic/pollers.rs"]
pub mod pollers;
#[path = "logic/scheduling.rs"]
pub mod scheduling;
#[path = "logic/script.rs"]
pub mod script;
#[path = "logic/shm.rs"]
pub mod shm;
#[path = "logic/signal_frame.rs"]
pub mod signal_frame;
#[path = "logic/slots.rs"]
pub mod slots;
#[path = "logic/socket.rs"]
pub mod socket;
#[path = "logic/stack_image.rs"]
pub mod stack_image;
#[path = "logic/sysv.rs"]
pub mod sysv;
#[path = "logic/time.rs"]
pub mod time;

pub use errno::{Errno, Result};
pub use frame::Frame;
