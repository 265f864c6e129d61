//! The contract between the kernel and user space: system calls, registers, errors, layouts.
//!
//! A small crate without logic, used by the kernel, the server runtime and the personality, so
//! that nothing is declared twice. Linux's own numbers (errno, signals, siginfo codes) are kept
//! where the field has them, so the personality passes them through unchanged.
//!
//! # How a system call is made
//!
//! `SYSCALL` with the number (and, for message passing, the [`ipc::Tag`] shifted by 8) in RAX and
//! up to six arguments in RDI, RSI, RDX, R10, R8, R9. The result is in RAX: a value of -4095 to -1
//! is a negated [`Error`]. RCX and R11 are clobbered as the instruction itself does; every other
//! register is kept, except the ones that [`ipc`] says carry a received message.
//!
//! In a process with a personality ([`process::Personality`]) a `SYSCALL` from outside the
//! personality's text is not a system call of this ABI: the kernel continues the thread at the
//! personality's entry with every register as the instruction left it.
//!
//! | module | what it declares |
//! |---|---|
//! | [`number`] | system call numbers with arguments and results |
//! | [`error`] | error numbers |
//! | [`ipc`] | messages: tag, UTCB, registers, kinds, notifications |
//! | [`vm`] | memory objects and mappings |
//! | [`handle`] | handles and rights |
//! | [`process`] | processes, personality, wait, information records |
//! | [`signal`] | signal numbers, dispositions, the delivery slot |
//! | [`sched`] | policies, priorities |
//! | [`cpu`] | what the kernel uses of the processor |
//! | [`info`] | the pages that the kernel maps for reading; system statistics |
//! | [`machine`] | I/O ports, the log, the end |
//! | [`layout`] | the user half of the address space |
//! | [`limit`] | resource limits |

#![no_std]
#![deny(unsafe_code)]

pub mod cpu;
pub mod error;
pub mod futex;
pub mod handle;
pub mod info;
pub mod ipc;
pub mod layout;
pub mod limit;
pub mod machine;
pub mod number;
pub mod process;
pub mod sched;
pub mod signal;
pub mod thread;
pub mod vm;

pub use error::Error;
pub use number::Call;
